"""Blur that is the same everywhere: what a point becomes when it runs along a path during the exposure."""

import math

import torch
from torch import Tensor


def compute_path_kernel(path: Tensor) -> Tensor:
    """The light of a point at equally long stays along `path`, (N, 2) in pixels right and down of where it is now.

    (side, side) float64 with an odd side and sum 1, the origin in the middle; light between pixels is shared among the
    four around it in proportion.
    """
    path = path.double()
    reach = math.ceil(float(path.abs().max()))
    side = 2 * reach + 1
    kernel = torch.zeros(side + 1, side + 1, dtype=torch.float64)
    x, y = (reach + path).unbind(dim=1)
    column, row = x.floor().long(), y.floor().long()
    for lower, row_weight in ((0, 1 - (y - row)), (1, y - row)):
        for further, column_weight in ((0, 1 - (x - column)), (1, x - column)):
            kernel.index_put_((row + lower, column + further), row_weight * column_weight, accumulate=True)
    return kernel[:side, :side] / kernel[:side, :side].sum()
