"""What decides a training, read from a TOML file: detector, loss, optimiser, schedule, augmentation."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from terradelta.detectors.registry import DETECTORS
from terradelta.errors import InputError, UsageError

ORACLE = "oracle"
"""The detector that is a SAM with adapters."""

RECIPES = Path(__file__).parent / "recipes"

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]


Term = Literal["bce", "dice", "cross-entropy", "own"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossSettings(_Table):
    """``terms`` of `terradelta.train.losses.LOSSES` are added; ``own`` is the detector's own loss.

    ``smoothing`` s moves the labels of ``bce`` and ``cross-entropy`` towards chance: 0 and 1 become s / 2
    and 1 - s / 2.
    """

    terms: Annotated[tuple[Term, ...], Field(min_length=1)] = ("bce",)
    smoothing: Share = 0.0


class OptimiserSettings(_Table):
    """``momentum`` is for ``sgd`` alone. ``clip`` is the largest norm of a step's gradient."""

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Rate = 0.03
    momentum: Share = 0.9
    weight_decay: Decay = 1e-4
    clip: Rate | None = None


class ScheduleSettings(_Table):
    """See `terradelta.train.schedule.poly`."""

    power: Decay = 0.9
    warmup: Annotated[int, Field(ge=0)] = 0


class AugmentSettings(_Table):
    """See `terradelta.train.augment`; ``crop`` in px."""

    crop: Annotated[int, Field(ge=16)] = 256
    scale: tuple[Rate, Rate] = (1.0, 1.0)
    flip: bool = True
    rotate: bool = True
    brightness: Share = 0.0
    contrast: Share = 0.0
    swap: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale is a range: the smaller number comes first")
        return self


class LoraSettings(_Table):
    """Those of AnyChange's appendix C.1 by default."""

    rank: Count = 32
    alpha: Rate = 320.0
    dropout: Share = 0.1


class TrainSettings(_Table):
    """One training.

    ``batch`` is that of all processes together, ``interval`` after how many steps the detector is
    validated, a row is added to the curves and all is saved. ``labels``: ``hard`` from the folder
    ``label``, ``soft`` from ``soft``; ``objects`` of single dates, from which a ChangeStar learns change
    (`terradelta.train.star`). ``workers`` are processes that read images, beside each process that
    trains; they change no result. ``segmenter`` and ``lora`` are for the detector ``oracle`` alone
    (`terradelta.oracle`): a SAM by name or path, and how it is adapted if not as in the paper.
    """

    detector: str
    classes: Count = 1
    pretrained: bool = False
    labels: Literal["hard", "soft", "objects"] = "hard"
    steps: Count
    batch: Count = 16
    interval: Count = 500
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    workers: Annotated[int, Field(ge=0)] = 4
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    segmenter: str | None = None
    lora: LoraSettings | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for check in (_known_detector, _fitting_loss, _fitting_labels):
            check(self)
        if self.schedule.warmup >= self.steps:
            raise ValueError(f"schedule.warmup must be below the {self.steps} steps")
        return self


def _known_detector(settings: TrainSettings) -> None:
    if settings.detector not in (*DETECTORS, ORACLE):
        raise ValueError(
            f"unknown detector {settings.detector!r}: choose from {', '.join(DETECTORS)}, {ORACLE}"
        )
    if settings.detector == ORACLE and settings.segmenter is None:
        raise ValueError("segmenter is missing: the oracle needs a SAM, such as sam-vit-b")
    if settings.detector != ORACLE and (settings.segmenter or settings.lora):
        raise ValueError(
            f"segmenter and lora are for the detector oracle, not for {settings.detector}"
        )


def _fitting_loss(settings: TrainSettings) -> None:
    terms = set(settings.loss.terms)
    if "own" in terms and len(terms) > 1:
        raise ValueError("loss.terms: own stands alone")
    if "cross-entropy" in terms and settings.classes == 1:
        raise ValueError("loss.terms: cross-entropy needs classes of 2 or more")
    if terms & {"bce", "dice"} and settings.classes > 1:
        raise ValueError("loss.terms: bce and dice need classes = 1; use cross-entropy")
    if settings.detector == ORACLE and not terms <= {"bce", "dice"}:
        raise ValueError("loss.terms: the oracle learns by bce and dice")


def _fitting_labels(settings: TrainSettings) -> None:
    if settings.labels != "objects":
        return
    changestar = settings.detector.startswith("changestar-")
    if not (changestar and set(settings.loss.terms) <= {"bce", "dice"}):
        raise ValueError("labels: objects are for a changestar with a loss of bce and dice")


def load_settings(recipe: str | Path, **instead: Any) -> TrainSettings:
    """The settings of a TOML file, or of one of the `recipes` by its name.

    Args:
        recipe: name or path.
        instead: keys of the outermost table and values that replace those of the file, if not None.

    Raises:
        UsageError: unknown recipe, unknown key, or a value out of range.
        InputError: the file cannot be read or is no TOML.
    """
    path = _path(recipe)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    given = {key: value for key, value in instead.items() if value is not None}
    return settings_of({**table, **given}, str(path))


def settings_of(table: Mapping[str, Any], source: str = "settings") -> TrainSettings:
    """Checked settings of a table; ``source`` is what an error calls it.

    Raises:
        UsageError: unknown key, or a value out of range.
    """
    try:
        return TrainSettings.model_validate(table)
    except ValidationError as error:
        told = "; ".join(_in_words(each) for each in error.errors())
        raise UsageError(f"{source}: {told}") from error


def recipes() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _path(recipe: str | Path) -> Path:
    path = Path(recipe)
    if str(recipe) in recipes():
        return RECIPES / f"{recipe}.toml"
    if path.suffix != ".toml" and not path.is_file():
        raise UsageError(
            f"unknown recipe {str(recipe)!r}: choose from {', '.join(recipes())}, or give a TOML file"
        )
    return path


def _in_words(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place} is not a setting: there are {', '.join(_keys(error['loc'][:-1]))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{place} is missing"
    if not place:
        return message
    return f"{place} is {error['input']!r}: {message[0].lower()}{message[1:]}"


def _keys(tables: tuple[str | int, ...]) -> list[str]:
    """The keys of the table that ``tables`` lead to."""
    model: type[BaseModel] = TrainSettings
    for name in tables:
        annotation = model.model_fields[str(name)].annotation
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return list(model.model_fields)
