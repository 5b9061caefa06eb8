"""Detects restorations that are implausible and must be thrown away."""

import torch.nn.functional as F
from torch import Tensor

from unblur.restoration.low_frequencies import low_frequencies

LARGEST_MEAN_SHIFT = 0.25
"""Limit as a share of full scale. Restoration moves light around; a larger shift of the mean colour is garbage."""

CELL_PX = 32
"""Side of the square that a latent stands for."""

NEIGHBOURHOOD_CELLS = 4
"""Side of the neighbourhoods that are judged, so that a broken corner shows in a tile that is else in order."""

LARGEST_COLOUR_DIFFERENCE = 0.25
"""Root mean square of differences of cells, as a share of full scale. Between 63 photographs and the same blurred along
41 px it was 0.12 at most; where the blur also displaced them by 20 px it was above 0.25 in two. Random tones: 0.28."""

LARGEST_COLOURED_DETAIL = 0.1
"""Root mean square of new coloured detail, as a share of full scale. Sharp photographs had 0.06 at most, compared with
the blurred ones above; mosaics of random colours have 0.14 to 0.24, with stones of 1 to 32 px."""


def is_sane(restored: Tensor, blurry: Tensor) -> bool:
    """Whether a restoration is finite and about as bright as the blurry photograph. Shape: (1, 3, h, w) each."""
    shift = (restored - blurry).mean(dim=(2, 3)).abs().max()
    # Comparisons with NaN are false, and one infinite or undefined value spoils the mean.
    return bool(shift <= LARGEST_MEAN_SHIFT)


def is_sane_detail(generated: Tensor, restored: Tensor) -> bool:
    """Whether generated detail may stand in the place of a restoration without it. Shape: (1, 3, h, w) each.

    It must be plausible, agree with `restored` in the colours of cells, and not be a mosaic: detail of photographs is
    mostly light and dark, that of broken decoders is coloured.
    """
    if not is_sane(generated, restored):
        return False
    colours = float(_in_neighbourhoods(_over_cells(generated - restored).square()).max())
    # What is coloured in the restoration already may become more so as blur goes.
    new = _coloured_detail(generated) - 4 * _coloured_detail(restored)
    return colours <= LARGEST_COLOUR_DIFFERENCE**2 and float(new.max()) <= LARGEST_COLOURED_DETAIL**2


def _over_cells(picture: Tensor) -> Tensor:
    """Means over cells, those at the end over what there is. Shape: (1, C, h, w) -> (1, C, rows, columns)."""
    return F.avg_pool2d(picture, CELL_PX, ceil_mode=True)


def _in_neighbourhoods(cells: Tensor) -> Tensor:
    """Means over colours and neighbourhoods of cells. Shape: (1, C, rows, columns) -> (1, 1, ., .)."""
    side = [min(NEIGHBOURHOOD_CELLS, count) for count in cells.shape[2:]]
    return F.avg_pool2d(cells.mean(dim=1, keepdim=True), side, stride=1)


def _coloured_detail(picture: Tensor) -> Tensor:
    """Mean square, in neighbourhoods, of what high frequencies have that is neither light nor dark."""
    detail = picture - low_frequencies(picture)
    return _in_neighbourhoods(_over_cells((detail - detail.mean(dim=1, keepdim=True)).square()))
