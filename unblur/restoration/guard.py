"""Detection of implausible restorations, which are discarded."""

import torch.nn.functional as F
from torch import Tensor

from unblur.restoration.low_frequencies import extract_low_frequencies

LARGEST_MEAN_SHIFT = 0.25
"""Limit as a share of full scale. Restoration moves light around; a larger shift of the mean colour is an error."""

CELL_PX = 32
"""Side of the square of pixels that one latent represents."""

NEIGHBOURHOOD_CELLS = 4
"""Side of the neighbourhoods that are tested one by one, so that a broken corner of a sound tile is detected."""

LARGEST_COLOUR_DIFFERENCE = 0.25
"""Root mean square of differences of cells, as a share of full scale. Between 63 photographs and the same blurred along
41 px it was 0.12 at most; where the blur also displaced them by 20 px it was above 0.25 in two. Random tones: 0.28."""

LARGEST_COLOURED_DETAIL = 0.1
"""Root mean square of new coloured detail, as a share of full scale. Sharp photographs had 0.06 at most, compared with
the blurred ones above; mosaics of random colours have 0.14 to 0.24, with stones of 1 to 32 px."""


def is_sane(restored: Tensor, blurry: Tensor) -> bool:
    """Return whether a restoration is finite and about as bright as the blurry photograph. Shape: (1, 3, h, w) each."""
    shift = (restored - blurry).mean(dim=(2, 3)).abs().max()
    # Comparisons with NaN are false, and one infinite or undefined value spoils the mean.
    return bool(shift <= LARGEST_MEAN_SHIFT)


def is_sane_detail(generated: Tensor, restored: Tensor) -> bool:
    """Return whether generated detail is plausible beside a restoration without it. Shape: (1, 3, h, w) each.

    The image must be sane, agree with `restored` in the colours of cells, and be no mosaic: detail of photographs is
    mostly light and dark, that of broken decoders is coloured.
    """
    if not is_sane(generated, restored):
        return False
    colours = float(_average_over_neighbourhoods(_average_over_cells(generated - restored).square()).max())
    # Detail that is coloured in the restoration already may gain colour as blur is removed.
    new = _measure_coloured_detail(generated) - 4 * _measure_coloured_detail(restored)
    return colours <= LARGEST_COLOUR_DIFFERENCE**2 and float(new.max()) <= LARGEST_COLOURED_DETAIL**2


def _average_over_cells(picture: Tensor) -> Tensor:
    """Average over cells, at the end over the pixels that exist. (1, C, h, w) -> (1, C, rows, columns)."""
    return F.avg_pool2d(picture, CELL_PX, ceil_mode=True)


def _average_over_neighbourhoods(cells: Tensor) -> Tensor:
    """Average over colours and neighbourhoods of cells. Shape: (1, C, rows, columns) -> (1, 1, ., .)."""
    side = [min(NEIGHBOURHOOD_CELLS, count) for count in cells.shape[2:]]
    return F.avg_pool2d(cells.mean(dim=1, keepdim=True), side, stride=1)


def _measure_coloured_detail(picture: Tensor) -> Tensor:
    """Return the mean square, over neighbourhoods, of the chromatic part of the high frequencies."""
    detail = picture - extract_low_frequencies(picture)
    return _average_over_neighbourhoods(_average_over_cells((detail - detail.mean(dim=1, keepdim=True)).square()))
