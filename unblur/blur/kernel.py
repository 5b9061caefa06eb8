"""Kernels of uniform blur: the image of a point that moves along a path during the exposure."""

import math

import torch
from torch import Tensor


def compute_path_kernel(path: Tensor) -> Tensor:
    """Compute the kernel of a point that stays equally long at each of `path`, (N, 2) offsets right and down in pixels.

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
