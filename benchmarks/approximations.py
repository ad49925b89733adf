"""Recall of the opt-in approximations: which of the exact proposals of one image do they still find?

    python benchmarks/approximations.py [--checkpoint sam_vit_b_01ec64.pth] [--image photo.png]

Without a checkpoint: seeded random ViT-B weights and a made scene, as in `terradelta bench speed`. An
exact proposal is found if an approximate one has a mask IoU of at least 0.9 with it. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from terradelta.bench.random_weights import random_network
from terradelta.bench.settings import Thresholds
from terradelta.bench.weights import load_network
from terradelta.geo.pair import load_pair
from terradelta.sam.proposals import APPROXIMATIONS, ProposalSettings, propose
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import Proposals
from terradelta.synth import make_scene

SAME_IOU = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--points", type=int, default=32)
    arguments = parser.parse_args()
    scene = make_scene(1024, seed=4)
    images = (arguments.image,) * 2 if arguments.image else (scene.before, scene.after)
    pair = load_pair(*images)
    path = arguments.checkpoint
    network = load_network(str(path)) if path else random_network("vit-b")
    segmenter = SamSegmenter(network, name="measured")
    chosen = (
        Thresholds.of(segmenter) if arguments.checkpoint else Thresholds.calibrated(segmenter, pair)
    )
    encoded = segmenter.encode(pair.before)
    found: dict[tuple[str, ...], Proposals] = {}
    seconds: dict[tuple[str, ...], float] = {}
    names = tuple(APPROXIMATIONS)
    for approximate in ((), *((name,) for name in names), names):
        settings = ProposalSettings(
            arguments.points,
            chosen.pred_iou,
            chosen.stability,
            chosen.nms,
            approximate=approximate,
        )
        started = time.perf_counter()
        found[approximate] = propose(segmenter, encoded, settings)
        seconds[approximate] = time.perf_counter() - started
    exact = found[()]
    print(
        json.dumps(
            {
                "weights": str(arguments.checkpoint or "random vit-b, seeded"),
                "points_per_side": arguments.points,
                "exact_masks": len(exact),
                "approximations": {
                    " + ".join(approximate): {
                        "masks": len(found[approximate]),
                        "recall": recall(exact, found[approximate]),
                        "times_faster": round(seconds[()] / seconds[approximate], 2),
                    }
                    for approximate in found
                    if approximate
                },
            },
            indent=2,
        )
    )


def recall(exact: Proposals, approximate: Proposals) -> float:
    """Share of the exact masks that have one of IoU `SAME_IOU` among the approximate."""
    if not len(exact) or not len(approximate):
        return float(not len(exact))
    crowd = [0] * len(exact)
    overlap = coco.iou(approximate.masks.rles(), exact.masks.rles(), crowd)
    return round(float((np.asarray(overlap).max(0) >= SAME_IOU).mean()), 3)


if __name__ == "__main__":
    main()
