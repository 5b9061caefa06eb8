"""The homography that lays one picture onto another, by the enhanced correlation coefficient (ECC).

Source: Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization",
IEEE Transactions on Pattern Analysis and Machine Intelligence 30(10), 2008: the forward additive iteration, section
IV. Written from the paper, in float64, with the choices that make RealBlur's published evaluation comparable, which
calls OpenCV's `findTransformECC`: both pictures smoothed by (1 4 6 4 1) / 16, central differences, bilinear warping,
start at the identity, at most 100 iterations. Nothing is lost by stopping once a step moves nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

ITERATIONS = 100
STILL_PX = 1e-5
"""A step that moves no corner further than this ends the search: the remaining ones would change no digit."""
_SMOOTHING = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def find_homography(reference: Tensor, picture: Tensor) -> Tensor | None:
    """Return the (3, 3) float64 matrix from pixels (x, y, 1) of `reference` to the same points of `picture`.

    Both are grey, (H, W) and (h, w). None where the search fails: the pictures do not overlap, one is flat, or the
    correlation would fall (the cases in which OpenCV raises an error).
    """
    template, image = _smooth(reference.double()), _smooth(picture.double())
    across, down = _compute_differences(image)
    planes = torch.stack([image, across, down])
    height, width = template.shape
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(_make_places(height), _make_places(width), indexing="ij"))
    template = template.reshape(-1)
    homography = torch.eye(3, dtype=torch.float64)
    for _ in range(ITERATIONS):
        valid_x, valid_y, depth = _project(homography, x, y)
        warped, across, down = _sample_bilinear(planes, valid_x, valid_y)
        step = _step(
            template, warped, across, down, (x, y, valid_x, valid_y, depth), inside(valid_x, valid_y, image.shape)
        )
        if step is None:
            return None
        before = _list_corners(homography, height, width)
        homography = homography + step
        moved = (_list_corners(homography, height, width) - before).abs().max()
        if not bool(torch.isfinite(moved)):
            return None
        if moved < STILL_PX:
            break
    return homography


def project(homography: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the x and the y to which `homography` maps each pixel of an image (H, W), (H * W,) each, in rows."""
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(_make_places(height), _make_places(width), indexing="ij"))
    valid_x, valid_y, _ = _project(homography, x, y)
    return valid_x, valid_y


def inside(x: Tensor, y: Tensor, shape: torch.Size) -> Tensor:
    """Return whether the pixel nearest to each place lies in a picture of `shape` (..., H, W)."""
    return (x > -0.5) & (x < shape[-1] - 0.5) & (y > -0.5) & (y < shape[-2] - 0.5)


def _step(
    template: Tensor, warped: Tensor, across: Tensor, down: Tensor, places: tuple[Tensor, ...], valid: Tensor
) -> Tensor | None:
    """Return the update of the homography; None where the correlation cannot be raised. Equations 17 and 19."""
    x, y, valid_x, valid_y, depth = places
    count = valid.sum()
    template = torch.where(valid, template - (template * valid).sum() / count, 0)
    # Like OpenCV, and unlike the paper, pixels whose nearest neighbour is outside but whose other neighbours are not
    # stay as the interpolation made them: they move weakly textured pictures by a fraction of a pixel.
    warped = torch.where(valid, warped - (warped * valid).sum() / count, warped)
    across, down = across / depth, down / depth
    leaning = -(across * valid_x + down * valid_y)
    jacobian = torch.stack([across * x, across * y, across, down * x, down * y, down, leaning * x, leaning * y])
    normal = jacobian @ jacobian.T
    along_image, along_template = jacobian @ warped, jacobian @ template
    solved, failed = torch.linalg.solve_ex(normal, along_image)
    correlation = template @ warped
    numerator = (warped.square() * valid).sum() - along_image @ solved
    denominator = correlation - along_template @ solved
    # Written so that NaN, which a flat picture gives, fails too.
    if int(failed) or not bool(denominator > 0):
        return None
    residual = numerator / denominator * along_template - along_image
    step = torch.linalg.solve(normal, residual)
    return torch.cat([step, step.new_zeros(1)]).reshape(3, 3)


def _project(homography: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (a, b, c), (d, e, f), (g, h, i) = homography
    depth = g * x + h * y + i
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth, depth


def _list_corners(homography: Tensor, height: int, width: int) -> Tensor:
    x = torch.tensor([0.0, width - 1, 0, width - 1], dtype=torch.float64)
    y = torch.tensor([0.0, 0, height - 1, height - 1], dtype=torch.float64)
    return torch.stack(_project(homography, x, y)[:2])


def _sample_bilinear(planes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sample planes (C, H, W) at N places -> (C, N); zero outside."""
    height, width = planes.shape[1:]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
    return F.grid_sample(planes[None], grid[None, None], mode="bilinear", align_corners=True)[0, :, 0]


def _smooth(picture: Tensor) -> Tensor:
    kernel = picture.new_tensor(_SMOOTHING)
    padded = F.pad(picture[None, None], (2, 2, 2, 2), mode="reflect")[0, 0]
    return (padded.unfold(0, 5, 1) @ kernel).unfold(1, 5, 1) @ kernel


def _compute_differences(picture: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(picture[None, None], (1, 1, 1, 1), mode="reflect")[0, 0]
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


def _make_places(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float64)
