"""Loss functions of training."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SOFTENING_PX = 4.0
"""Errors count in relation to the path: by 1/sqrt(length + this), halfway between pixels and shares of the length."""


def psnr_loss(restored: Tensor, sharp: Tensor, floor: float) -> Tensor:
    """Mean negative PSNR of a batch in dB (NAFNet, Chen et al. 2022). (B, 3, H, W) in [0, 1] -> scalar.

    `floor` is added to each mean squared error: the gradient of nearly perfect patches vanishes.
    """
    errors = (restored.float() - sharp.float()).square().mean(dim=(1, 2, 3))
    return 10 / math.log(10) * torch.log(errors + floor).mean()


def absolute_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean absolute error, L1. Equal shapes -> scalar."""
    return (restored.float() - sharp.float()).abs().mean()


def charbonnier_loss(restored: Tensor, sharp: Tensor, epsilon: float) -> Tensor:
    """Mean of sqrt(error^2 + epsilon^2): a smooth L1 (MPRNet, arXiv 2102.02808, eq. 3). Scalar."""
    return ((restored.float() - sharp.float()).square() + epsilon**2).sqrt().mean()


def edge_loss(restored: Tensor, sharp: Tensor, epsilon: float) -> Tensor:
    """Charbonnier loss of Laplacians (MPRNet, eq. 4). (B, C, H, W) -> scalar."""
    return charbonnier_loss(compute_laplacian(restored), compute_laplacian(sharp), epsilon)


def compute_laplacian(picture: Tensor) -> Tensor:
    """Return the detail that one step down the Laplacian pyramid removes. (B, C, H, W) -> same.

    The pyramid of Burt and Adelson (1983) with a = 0.4: blurred, every other pixel set to zero, blurred again.
    """
    sparse = torch.zeros_like(picture)
    # Four times: of four pixels one is left.
    sparse[..., ::2, ::2] = 4 * _blur(picture)[..., ::2, ::2]
    return picture - _blur(sparse)


def frequency_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean absolute error of the real and imaginary parts of all frequencies, not normalised. (B, C, H, W) -> scalar.

    MIMO-UNet's (Cho et al. 2021, arXiv 2108.05054, eq. 9).
    """
    return torch.view_as_real(torch.fft.fft2(restored.float() - sharp.float())).abs().mean()


def blur_binomially(picture: Tensor) -> Tensor:
    """Filter with (1 2 1) / 4 across and down, which removes the highest frequency. (B, C, H, W) -> same.

    Edges are mirrored.
    """
    return _filter_both_ways(picture, (0.25, 0.5, 0.25), "reflect")


def path_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean distance of undirected paths (B, 4, h, w) in pixels, each softened by its true length. Scalar.

    The doubled vectors count half: where only the length is wrong, that is the distance of the two ends.
    """
    off = predicted.float() - truth
    # The norm of nothing has no gradient.
    distance = _compute_norm(off[:, :2]) + _compute_norm(off[:, 2:]) / 2
    return (distance / (_compute_norm(truth[:, 2:]) + SOFTENING_PX).sqrt()).mean()


REBLUR_SQUARE_PX = 4
"""Side of the squares whose means are compared: smaller differences do not come from paths."""


def reblur_loss(again: Tensor, known: Tensor, blurry: Tensor) -> Tensor:
    """Mean absolute error of a photograph blurred `again` (B, 3, H, W) where it is `known` (B, 1, H, W). Scalar.

    Of means over small squares: sensor and JPEG soften a blurry photograph too, and longer paths must not make up for
    that. Absolute, where Motion-ETR has squares: lamps, objects in front of others and noise are more than paths.
    """
    off = F.avg_pool2d(again - blurry.float(), REBLUR_SQUARE_PX).abs().mean(dim=1, keepdim=True)
    certain = F.avg_pool2d(known.float(), REBLUR_SQUARE_PX) == 1
    return (off * certain).sum() / certain.sum().clamp(min=1)


def feature_loss(predicted: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Compute the distance from a teacher's features: mean over levels, each (B, C, H, W), of `hcl_loss`. Scalar.

    Each level's distance is divided by the variance of the teacher's features there, so that levels count alike and 1
    is what each channel's mean would get.
    """
    distances = [
        hcl_loss(answer, truth_level) / (truth_level.float().var(dim=(0, 2, 3)).mean() + 1e-6)
        for answer, truth_level in zip(predicted, truth, strict=True)
    ]
    return torch.stack(distances).mean()


def hcl_loss(answer: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of features and, for half, a quarter and an eighth, of their 4 x 4, 2 x 2 and 1 x 1 means.

    ReviewKD's hierarchical context loss (Chen et al. 2021, arXiv 2104.09044). (B, C, H, W) -> scalar.
    """
    answer, truth = answer.float(), truth.float()
    distance, weights = F.mse_loss(answer, truth), 1.0
    for halvings, side in enumerate((4, 2, 1), start=1):
        if side < min(answer.shape[2:]):
            pooled = F.mse_loss(F.adaptive_avg_pool2d(answer, side), F.adaptive_avg_pool2d(truth, side))
            distance = distance + pooled / 2**halvings
            weights += 0.5**halvings
    return distance / weights


def compute_mean_cosine(features: Tensor, others: Tensor) -> float:
    """Return the cosine similarity of features, (B, C, H, W) each, at every place, averaged over places."""
    return F.cosine_similarity(features.float(), others.float(), dim=1).mean().item()


def _blur(picture: Tensor) -> Tensor:
    """Weights of 1/20, 1/4, 2/5, 1/4, 1/20 in both directions, edges replicated. (B, C, H, W) -> same."""
    return _filter_both_ways(picture, (0.05, 0.25, 0.4, 0.25, 0.05), "replicate")


def _filter_both_ways(picture: Tensor, weights: tuple[float, ...], edges: str) -> Tensor:
    """An odd number of weights across and down. `edges`: how they are padded. (B, C, H, W) -> same."""
    channels, side = picture.shape[1], len(weights)
    line = picture.new_tensor(weights)
    window = torch.outer(line, line).expand(channels, 1, side, side)
    return F.conv2d(F.pad(picture, (side // 2,) * 4, mode=edges), window, groups=channels)


def _compute_norm(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=1) + 1e-6).sqrt()
