"""Orientations of a patch: eight flips and quarter turns, named 0 to 7."""

from torch import Tensor


def apply_dihedral(patch: Tensor, orientation: int) -> Tensor:
    """Return one of the eight flips and quarter turns, named 0 to 7. (..., P, P) -> (..., P, P)."""
    if orientation >= 4:
        patch = patch.flip(-1)
    return patch.rot90(orientation % 4, (-2, -1)).contiguous()


def undo_dihedral(patch: Tensor, orientation: int) -> Tensor:
    """Return the inverse of `apply_dihedral`."""
    patch = patch.rot90(-(orientation % 4), (-2, -1))
    return (patch.flip(-1) if orientation >= 4 else patch).contiguous()
