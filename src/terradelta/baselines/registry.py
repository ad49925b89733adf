"""The baselines by name: what each is, where it was published, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from terradelta.errors import UsageError
from terradelta.types import ChangeModel


@dataclass(frozen=True, slots=True)
class Card:
    """``home`` is module:class. ``learns`` from the ``"pair"``, from the ``"folder"``, or not at all.

    ``needs`` weights of ``"features"`` (an encoder by name), a ``"segmenter"``, a ``"backbone"`` that was
    trained on ImageNet, or none.
    """

    title: str
    paper: str
    home: str
    learns: str | None = None
    needs: str | None = None


BASELINES: dict[str, Card] = {
    "cva": Card(
        "change vector analysis", "Bruzzone and Prieto, 2000", "terradelta.baselines.cva:Cva"
    ),
    "dinov2-cva": Card(
        "DINOv2 + CVA",
        "AnyChange, 2024, appendix C.1",
        "terradelta.baselines.feature_cva:FeatureCva",
        needs="features",
    ),
    "sam-mask-match": Card(
        "SAM + Mask Match",
        "AnyChange, 2024, appendix C.1",
        "terradelta.baselines.mask_match:SamMaskMatch",
        needs="segmenter",
    ),
    "sam-cva-match": Card(
        "SAM + CVA Match",
        "AnyChange, 2024, appendix C.1",
        "terradelta.baselines.cva_match:SamCvaMatch",
        needs="segmenter",
    ),
    "isfa": Card(
        "iterative slow feature analysis",
        "Wu, Du and Zhang, 2013",
        "terradelta.baselines.isfa:Isfa",
        learns="pair",
    ),
    "irmad": Card(
        "iteratively reweighted multivariate alteration detection",
        "Nielsen, 2007",
        "terradelta.baselines.irmad:Irmad",
        learns="pair",
    ),
    "obcd": Card(
        "object-based change detection", "Xiao et al., 2016", "terradelta.baselines.obcd:Obcd"
    ),
    "kpca-mnet": Card(
        "deep kernel PCA convolutional mapping network",
        "Wu, Chen, Du and Zhang, 2021",
        "terradelta.baselines.kpca_mnet:KpcaMnet",
        learns="pair",
    ),
    "dsfa": Card(
        "deep slow feature analysis",
        "Du, Ru, Wu and Zhang, 2019",
        "terradelta.baselines.dsfa:Dsfa",
        learns="pair",
    ),
    "dcae": Card(
        "deep convolutional autoencoder",
        "Bergamasco et al., 2022",
        "terradelta.baselines.dcae:Dcae",
        learns="folder",
    ),
    "dcva": Card(
        "deep change vector analysis",
        "Saha, Bovolo and Bruzzone, 2019",
        "terradelta.baselines.dcva:Dcva",
        needs="backbone",
    ),
    "i3pe": Card(
        "intra- and inter-image patch exchange",
        "Chen et al., 2023",
        "terradelta.baselines.i3pe:I3pe",
        learns="folder",
        needs="backbone",
    ),
}


def load_baseline(name: str, **settings: Any) -> ChangeModel:
    """A baseline by its name in `BASELINES`, with the settings of its class.

    Raises:
        UsageError: unknown name. ModelError: weights that it needs cannot be had.
    """
    card = BASELINES.get(name)
    if card is None:
        raise UsageError(f"unknown baseline {name!r}: choose from {', '.join(BASELINES)}")
    module, _, kind = card.home.partition(":")
    model: ChangeModel = getattr(import_module(module), kind)(**settings)
    return model
