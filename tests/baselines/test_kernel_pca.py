import numpy as np
import pytest
import torch

from terradelta.baselines.kernel_pca import KernelConvolution


def patches_of(image: torch.Tensor, side: int) -> np.ndarray:
    """float64 [h' w', C side side]: every patch of an image [C, h, w], in the order of its pixels."""
    return torch.nn.functional.unfold(image[None], side)[0].T.numpy()


@pytest.mark.parametrize(("channels", "gamma"), [(3, 5e-4), (8, 0.05)])
def test_it_is_the_kernel_pca_of_scikit_learn(channels: int, gamma: float) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(40, channels, 3, 3, generator=generator, dtype=torch.float64)
    image = torch.randn(channels, 9, 12, generator=generator, dtype=torch.float64)
    ours = KernelConvolution.fitted(patches, 5, gamma)(image[None])[0]
    assert ours.shape == (5, 7, 10)
    theirs = decomposition.KernelPCA(5, kernel="rbf", gamma=gamma, eigen_solver="dense")
    theirs.fit(patches.flatten(1).numpy())
    expected = theirs.transform(patches_of(image, 3)).T
    for component, other in zip(ours.flatten(1).numpy(), expected, strict=True):
        sign = np.sign(component @ other)
        np.testing.assert_allclose(component, sign * other, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_close_patches_get_linear_components(scale: float) -> None:
    """As gamma |x - s|^2 vanishes, kernel PCA becomes PCA times sqrt(2 gamma)."""
    gamma = 1e-9
    generator = torch.Generator().manual_seed(1)
    patches = scale * torch.randn(30, 2, 1, 1, generator=generator, dtype=torch.float64)
    image = scale * torch.randn(1, 2, 6, 6, generator=generator, dtype=torch.float64)
    ours = KernelConvolution.fitted(patches, 2, gamma)(image)[0].flatten(1).numpy()
    samples = patches.flatten(1).numpy()
    _, _, axes = np.linalg.svd(samples - samples.mean(0))
    expected = np.sqrt(2 * gamma) * axes @ (image[0].flatten(1).numpy() - samples.mean(0)[:, None])
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), rtol=1e-5)


def test_components_along_which_nothing_varies_are_zero() -> None:
    random = torch.randn(20, 1, 1, 1, dtype=torch.float64)
    line = torch.cat([random, 2 * random], dim=1)
    features = KernelConvolution.fitted(torch.ones_like(line), 4, 0.1)(line[:, :, :1, :1])
    assert features.shape == (20, 4, 1, 1)
    assert not features.any()


def test_there_are_no_more_components_than_patches() -> None:
    patches = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    assert KernelConvolution.fitted(patches, 8, 0.1)(torch.randn(1, 2, 5, 5).double()).shape == (
        1,
        3,
        3,
        3,
    )
