"""Input checks of every metric: shapes, types, numbers and sizes that cannot be measured."""

from torch import Tensor

from unblur.errors import UnblurError


def check_same_shape(restored: Tensor, sharp: Tensor) -> None:
    """Raise UnblurError unless both are floating point of one shape (B, 3, H, W)."""
    if restored.shape != sharp.shape:
        raise UnblurError(
            f"Images of unequal shapes {tuple(restored.shape)} and {tuple(sharp.shape)} cannot be compared; "
            "crop or resize them to the same size."
        )
    _check_images(restored)
    _check_images(sharp)


def check_pair(restored: Tensor, sharp: Tensor, *, metric: str, smallest_px: int) -> None:
    """Raise UnblurError unless both are finite, of one shape (B, 3, H, W) and no side is below `smallest_px`."""
    check_same_shape(restored, sharp)
    _check_finite_and_large(restored, metric, smallest_px)
    _check_finite_and_large(sharp, metric, smallest_px)


def check_alone(image: Tensor, *, metric: str, smallest_px: int) -> None:
    """Raise UnblurError unless `image` is finite, (B, 3, H, W) and no side is below `smallest_px`."""
    _check_images(image)
    _check_finite_and_large(image, metric, smallest_px)


def _check_images(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
        raise UnblurError(f"Metrics measure images (B, 3, H, W), not {tuple(image.shape)}; add the batch axis.")
    if not image.is_floating_point():
        raise UnblurError(f"Metrics measure floats in [0, 1], not {image.dtype}; divide by full scale.")


def _check_finite_and_large(image: Tensor, metric: str, smallest_px: int) -> None:
    if min(image.shape[2:]) < smallest_px:
        raise UnblurError(
            f"{metric} needs images of at least {smallest_px} x {smallest_px} pixels, "
            f"not {image.shape[3]} x {image.shape[2]}; give larger ones."
        )
    if not image.isfinite().all():
        raise UnblurError(f"{metric} cannot measure an image with NaN or infinity; correct the step that made it.")
