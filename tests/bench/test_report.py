import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from terradelta.bench import report
from terradelta.bench.settings import Protocol
from terradelta.bench.speed import Measurement, Scaling

KEYS = {
    *("speedup", "speedup_min", "speedup_max", "speedup_by_stage", "spread_by_stage", "seconds"),
    *(
        "runs",
        "peak_memory_bytes",
        "agreement",
        "thresholds",
        "scaling",
        "scaled",
        "peer",
        "weights",
    ),
    *("image_px", "images", "settings", "date", "commit", "machine", "versions", "command"),
}


def test_a_file_is_named_by_what_was_measured() -> None:
    assert report.file_name(Protocol("torchange")) == "speed-torchange-vit-b-32-cpu-float32.json"
    other = Protocol("transformers", 64, "cuda:1", "bfloat16", model="weights/my sam.pth")
    assert report.file_name(other) == "speed-transformers-my_sam-64-cuda_1-bfloat16.json"


def test_the_command_repeats_the_measurement_without_folders() -> None:
    protocol = Protocol("torchange", 8, size="tiny", repeats=1, peer_batches=0)
    assert report.command(protocol, (Path("/data/a.tif"), Path("/data/b.tif"))) == (
        "terradelta bench speed a.tif b.tif --against torchange --points 8 --device cpu "
        "--dtype float32 --size tiny --repeats 1 --peer-batches 0"
    )
    assert "--model sam.pth" in report.command(Protocol("torchange", model="/x/sam.pth"), None)


def test_a_record_is_plain_and_complete(measurement: Measurement) -> None:
    told = report.record(measurement)
    assert set(told) >= KEYS
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["speedup"] == measurement.speedup.median
    assert told["seconds"]["ours"]["total"] == measurement.ours[0].total
    assert told["peer"]["name"] in told["versions"]
    assert told["machine"]["cores"] >= 1
    assert str(Path.cwd()) not in json.dumps(told)


def test_what_was_scaled_is_stated(measurement: Measurement) -> None:
    found = replace(measurement, scaling=Scaling(128, 1024, 20, 50))
    note = report.scaling_note(found)
    assert "128 of 1024 points of each date (2 of 16 batches of 64)" in note
    assert "multiplied by 8;" in note
    assert "from 20 masks to the 50" in note
    whole = replace(measurement, scaling=Scaling(144, 144, 20, 50))
    assert report.scaling_note(whole).startswith("nothing: both sides ran all 144 points")


def test_people_are_told_the_same_numbers(measurement: Measurement) -> None:
    told = report.record(measurement)
    table = report.table(told)
    names, _, _, ratios, *_ = (list(column.cells) for column in table.columns)
    assert names == ["encode", "propose", "match", "end to end"]
    assert np.isclose(float(str(ratios[-1])), told["speedup"], atol=0.006)
    text = "\n".join(report.lines(told))
    assert f"stability {measurement.thresholds.stability:.4f}" in text
    assert told["scaled"] in text
