"""Soft labels: how sure a change is, from the angle.

The paper trains on hard labels. A soft one is the logistic function of the angle over its threshold,

    p = 1 / (1 + exp(-4 (angle / threshold - 1))),

0.5 at the threshold, 0.018 where the embeddings are alike (angle 0) and 0.982 at twice the threshold. It
grows with the angle, has no unit, so that it holds for every segmenter, and treats both sides alike. It
is a way of weighing labels, not a measured frequency.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from terradelta.errors import UsageError
from terradelta.sam.masks import FloatArray
from terradelta.types import Answer
from terradelta.zeroshot.changes import Changes

STEEPNESS = 4.0
FROM_ANGLE = "1 / (1 + exp(-4 (angle / threshold - 1)))"
FROM_MODEL = "score of the model"


def chance_of_angle(angle: FloatArray, threshold: float) -> FloatArray:
    """float32 in [0, 1] of angles in degrees; of a threshold of 0 a step."""
    if threshold <= 0:
        return (angle > threshold).astype(np.float32)
    return np.asarray(expit(STEEPNESS * (angle.astype(np.float64) / threshold - 1)), np.float32)


def chance_image(answer: Answer) -> tuple[FloatArray, str]:
    """float32 [H, W] in [0, 1], and how it came about: from the angle, or the score of a detector.

    Raises:
        UsageError: the score of the model is no probability.
    """
    if isinstance(answer, Changes):
        return chance_of_angle(answer.pixel_angle, answer.threshold), FROM_ANGLE
    score = answer.score_image()
    known = score[answer.pair.valid]
    if not (known >= 0).all() or not (known <= 1).all():
        raise UsageError(
            "the scores of this model are no probabilities, so that it gives no soft labels: leave "
            "out soft, or label with AnyChange or a detector"
        )
    return score, FROM_MODEL
