"""Kernel PCA convolution: kernel principal components of the patch around each pixel.

Wu, Chen, Du and Zhang, "Unsupervised change detection in multitemporal VHR images based on deep kernel
PCA convolutional mapping network", IEEE Transactions on Cybernetics 52(11), 2022. Kernel PCA
(Schoelkopf, Smola and Mueller, 1998) with a Gaussian kernel is fitted to a few patches; that of any
other patch is then two convolutions with an exponential between them: one with the fitted patches, as
|x - s|^2 = |x|^2 - 2 x s + |s|^2, and one of 1 x 1 with the scaled eigenvectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NULL_COMPONENT = 1e-9
"""Share of the largest eigenvalue below which a component is rounding."""


@dataclass(frozen=True, slots=True)
class KernelConvolution:
    """``patches`` float64 [S, C, p, p]; ``mix`` [K, S] and ``bias`` [K] make components of kernels."""

    patches: Tensor
    gamma: float
    mix: Tensor
    bias: Tensor

    @classmethod
    def fitted(cls, patches: Tensor, components: int, gamma: float) -> KernelConvolution:
        """The first principal components of patches [S, C, p, p], at most S.

        ``gamma`` is that of the kernel exp(-gamma |x - s|^2). Components along which the patches do
        not vary are 0 everywhere.
        """
        kernel = _kernel_less_one(patches, patches, gamma)[..., 0, 0]
        means = kernel.mean(1)
        centred = kernel - means - means[:, None] + means.mean()
        variance, vectors = torch.linalg.eigh(centred)
        variance, vectors = variance.flip(0)[:components], vectors.flip(1)[:, :components]
        varies = variance > NULL_COMPONENT * variance[0].clamp(min=0)
        mix = (vectors * torch.where(varies, variance.rsqrt(), 0)).T.contiguous()
        return cls(patches, gamma, mix, -mix @ means)

    def __call__(self, images: Tensor) -> Tensor:
        """Components [N, K, h - p + 1, w - p + 1] of every patch of images float64 [N, C, h, w]."""
        kernel = _kernel_less_one(images, self.patches, self.gamma)
        return functional.conv2d(kernel, self.mix[..., None, None], self.bias)


def _kernel_less_one(images: Tensor, patches: Tensor, gamma: float) -> Tensor:
    """exp(-gamma |x - s|^2) - 1 [N, S, h - p + 1, w - p + 1] of every patch x of the images.

    Less 1, which centring takes out again: deep layers see patches so alike that their kernel differs
    from 1 in its last digits only. In place, as memory is what it waits for.
    """
    window = torch.full_like(patches[:1, :1], gamma)
    energy = functional.conv2d((images**2).sum(1, keepdim=True), window)
    own = -gamma * (patches**2).sum((1, 2, 3))
    exponent = functional.conv2d(images, 2 * gamma * patches, own)
    return exponent.sub_(energy).clamp_(max=0).expm1_()
