import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from terradelta.errors import ModelError
from terradelta.oracle import OracleNetwork, load_oracle_network, save_oracle
from terradelta.oracle.network import load_sam

Pair = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def pair() -> Pair:
    before, after = torch.randn(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    return before, after


def test_loaded_into_a_fresh_sam_it_says_the_same(
    network: OracleNetwork, pair: Pair, tmp_path: Path
) -> None:
    again = load_oracle_network(save_oracle(network.eval(), tmp_path, {"note": 1}))
    assert again.settings == network.settings
    assert not again.training
    with torch.inference_mode():
        expected = network(*pair)
        assert torch.equal(again(*pair), expected)
        for weight in network.score.parameters():
            weight.zero_()
        assert not torch.equal(network(*pair), expected)
    assert json.loads((tmp_path / "oracle.json").read_text())["extra"] == {"note": 1}


def test_peft_reads_the_adapters(network: OracleNetwork, sam_folder: Path, tmp_path: Path) -> None:
    save_oracle(network.eval(), tmp_path)
    canvas = torch.randn(1, 3, 256, 256)
    encoder = load_sam(str(sam_folder)).vision_encoder
    with torch.inference_mode():
        plain = encoder(canvas).last_hidden_state
        by_peft = PeftModel.from_pretrained(encoder, tmp_path)(canvas).last_hidden_state
        ours = network.encoder(canvas).last_hidden_state
    assert torch.equal(by_peft, ours)
    assert not torch.allclose(by_peft, plain, atol=1e-2)


def test_a_sam_that_moved_is_named_and_another_one_is_refused(
    network: OracleNetwork, sam_folder: Path, pair: Pair, tmp_path: Path
) -> None:
    folder = save_oracle(network.eval(), tmp_path / "oracle")
    moved = tmp_path / "moved"
    shutil.copytree(sam_folder, moved)
    again = load_oracle_network(folder, segmenter=str(moved))
    with torch.inference_mode():
        assert torch.equal(again(*pair), network(*pair))
    sam = load_sam(str(moved))
    with torch.no_grad():
        sam.vision_encoder.neck.conv1.weight[0, 0, 0, 0] += 1
    sam.save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match="was trained on another SAM"):
        load_oracle_network(folder, segmenter=str(tmp_path / "other"))


def test_what_is_missing_or_damaged_is_named(network: OracleNetwork, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not the folder of an oracle"):
        load_oracle_network(tmp_path)
    for name, told in (
        ("adapter_model.safetensors", "cannot read the adapters"),
        ("score.safetensors", "holds no score network"),
        ("oracle.json", "is not the folder of an oracle"),
    ):
        folder = save_oracle(network, tmp_path / name)
        (folder / name).write_bytes(b"?")
        with pytest.raises(ModelError, match=told):
            load_oracle_network(folder)
    folder = save_oracle(network, tmp_path / "rank")
    card = json.loads((folder / "oracle.json").read_text())
    card["settings"]["lora"]["rank"] = 8
    (folder / "oracle.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="of another network or of another rank"):
        load_oracle_network(folder)
    del card["settings"]["lora"]
    (folder / "oracle.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="describes no oracle"):
        load_oracle_network(folder)
