import json
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files

import pytest

import terradelta

HEAVY = ["torch", "transformers", "rasterio", "geopandas", "skimage", "scipy", "numpy"]


def loaded_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after running the code."""
    script = (
        f"{code}\nimport json, sys\nprint(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    answer: list[str] = json.loads(run.stdout)
    return answer


def test_the_public_names_are_these() -> None:
    assert sorted(terradelta.__all__) == [
        "AnyChange",
        "Changes",
        "MODELS",
        "__version__",
        "detect_scene",
        "load_segmenter",
        "make_scene",
    ]


@pytest.mark.parametrize("name", terradelta.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(terradelta, name) is getattr(terradelta, name)
    assert getattr(terradelta, name)


def test_public_names_are_those_of_their_modules() -> None:
    from terradelta.sam.registry import MODELS, load_segmenter
    from terradelta.synth import make_scene
    from terradelta.zeroshot.anychange import AnyChange
    from terradelta.zeroshot.changes import Changes

    assert terradelta.AnyChange is AnyChange
    assert terradelta.Changes is Changes
    assert terradelta.MODELS is MODELS
    assert terradelta.load_segmenter is load_segmenter
    assert terradelta.make_scene is make_scene


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from terradelta import *", names)  # noqa: S102
    assert set(terradelta.__all__) <= set(names)


def test_dir_lists_the_public_names() -> None:
    assert dir(terradelta) == sorted(terradelta.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'terradelta' has no attribute 'AnyChang'"):
        terradelta.AnyChang  # noqa: B018
    with pytest.raises(ImportError, match="AnyChang"):
        exec("from terradelta import AnyChang")  # noqa: S102


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import numpy") == ["numpy"]
    assert loaded_after("import terradelta") == []
    assert loaded_after("import terradelta; dir(terradelta); terradelta.__version__") == []
    assert loaded_after("import terradelta.errors") == []


def test_the_version_is_that_of_the_distribution() -> None:
    assert terradelta.__version__ == version("terradelta")


def test_the_package_says_that_it_is_typed() -> None:
    assert files("terradelta").joinpath("py.typed").is_file()
