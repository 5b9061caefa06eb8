"""The interface of pairs and patches."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from unblur.blur import MotionField
from unblur.datasets.orientation import undo_dihedral


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A blurry photograph and its sharp twin, (3, H, W) sRGB in [0, 1]."""

    blurry: Tensor
    sharp: Tensor
    name: str
    motion: MotionField | None = None
    """The true motion, where it is known."""
    orientation: int = 0
    """The flip or quarter turn of the photograph, see `unblur.datasets.orientation`."""

    @property
    def upright(self) -> Tensor:
        """The sharp twin as it was photographed."""
        return undo_dihedral(self.sharp, self.orientation)


class Patch(Protocol):
    """One training example of a restoring network: a `Pair`, a `SimulatedPair` or an `AugmentedPair`."""

    @property
    def blurry(self) -> Tensor:
        """(3, P, P) sRGB in [0, 1]."""

    @property
    def sharp(self) -> Tensor:
        """(3, P, P) sRGB in [0, 1]."""

    @property
    def upright(self) -> Tensor:
        """The sharp patch without its flip or quarter turn, (3, P, P) sRGB in [0, 1]."""


PatchType = TypeVar("PatchType", bound=Patch, covariant=True)


class Patches(Protocol[PatchType]):
    """An endless list of patches; item i depends on i only. It is safe to use from threads."""

    def __getitem__(self, index: int, /) -> PatchType:
        """Return the patch of that number, from 0."""
