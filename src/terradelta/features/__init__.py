"""Embeddings of other encoders, to match masks by: an image in, an `Embedding` out."""

from terradelta.features.encoder import FeatureEncoder
from terradelta.features.registry import FEATURES, FeatureCard, load_features

__all__ = ["FEATURES", "FeatureCard", "FeatureEncoder", "load_features"]
