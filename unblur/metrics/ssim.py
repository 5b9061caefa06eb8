"""Structural similarity in its two conventions; a table must say which one it quotes.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing 13(4), 2004, with a Gaussian window of 11 pixels and sigma 1.5.

- `ssim`: the authors' ssim.m on each RGB channel on its own. Windows lie wholly inside the image; the mean runs over
  windows and channels. It equals scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
  use_sample_covariance=False, data_range=1, channel_axis=...)`, the measure of the RealBlur and RSBlur protocols. Of
  a gray image that is given as three equal channels it is ssim.m of that image. (Tables that use luma only differ.)
- `ssim_3d`: MATLAB's toolbox function `ssim()` on an (H, W, 3) array, which takes the channels for a third axis of
  space: 11 x 11 x 11 windows, edges replicated, the mean over every pixel and channel. The GoPro and HIDE tables since
  MPRNet quote it (their evaluate_gopro_hide.m), and NAFNet's Python rebuilds it; docs/reference/metrics.md says how
  far the two lie apart.
"""

from torch import Tensor
from torch.nn import functional as F

from unblur.metrics.checks import check_pair
from unblur.metrics.windows import compute_gaussian_weights, compute_window_means

SIGMA_PX = 1.5
RADIUS_PX = 5
SMALLEST_PX = 2 * RADIUS_PX + 1
C1, C2 = 0.01**2, 0.03**2
"""The paper's (K1 L)^2 and (K2 L)^2 for range L = 1."""


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Wang's, per channel, per image in [-1, 1]: higher is better, 1 for equal images. (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Raises UnblurError if the shapes differ or are not these, an image is smaller than one
    window or holds NaN.
    """
    check_pair(restored, sharp, metric="SSIM", smallest_px=SMALLEST_PX)
    # Variances are differences of nearly equal numbers: float32 would lose their digits in flat regions.
    luminance, contrast_structure = compute_similarity_maps(restored.double(), sharp.double())
    return (luminance * contrast_structure).mean(dim=(1, 2, 3)).to(restored.dtype)


def ssim_3d(restored: Tensor, sharp: Tensor) -> Tensor:
    """MATLAB's `ssim()` of RGB arrays, per image in [-1, 1]: higher is better. (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Raises UnblurError as `ssim` does.
    """
    check_pair(restored, sharp, metric="SSIM", smallest_px=SMALLEST_PX)
    x, y = (F.pad(image.double()[:, None], (RADIUS_PX,) * 6, mode="replicate") for image in (restored, sharp))
    luminance, contrast_structure = compute_similarity_maps(x, y, axes=(2, 3, 4))
    return (luminance * contrast_structure).mean(dim=(1, 2, 3, 4)).to(restored.dtype)


def compute_similarity_maps(x: Tensor, y: Tensor, axes: tuple[int, ...] = (-2, -1)) -> tuple[Tensor, Tensor]:
    """The luminance term and the contrast-structure term of every window along `axes` inside two float64 images."""
    luminance, variance_x, variance_y, covariance = _compute_statistics(x, y, axes)
    return luminance, (2 * covariance + C2) / (variance_x + variance_y + C2)


def compute_similarity_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Luminance, contrast and structure of every window inside two float64 images, the paper's equations 6, 9, 10."""
    luminance, variance_x, variance_y, covariance = _compute_statistics(x, y, (-2, -1))
    deviations = (variance_x.clamp(min=0) * variance_y.clamp(min=0)).sqrt()
    contrast = (2 * deviations + C2) / (variance_x + variance_y + C2)
    return luminance, contrast, (covariance + C2 / 2) / (deviations + C2 / 2)


def _compute_statistics(x: Tensor, y: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The luminance term, the two variances and the covariance of every window."""
    weights = compute_gaussian_weights(RADIUS_PX, SIGMA_PX, x)
    mean_x, mean_y = compute_window_means(x, weights, axes), compute_window_means(y, weights, axes)
    variance_x = compute_window_means(x * x, weights, axes) - mean_x * mean_x
    variance_y = compute_window_means(y * y, weights, axes) - mean_y * mean_y
    covariance = compute_window_means(x * y, weights, axes) - mean_x * mean_y
    return (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1), variance_x, variance_y, covariance
