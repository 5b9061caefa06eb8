"""Patches from several sources, in fixed shares."""

import math
from collections.abc import Sequence
from fractions import Fraction

from unblur.datasets.pair import Patch, Patches

FINEST_SHARE = 10_000
"""Shares are rounded to fractions whose denominator is at most this, to count without rounding errors."""


class Mixture:
    """An endless list whose items come from several others in turn; item i depends on i and those items only.

    The sources take turns as evenly as their shares allow: of any n items in a row, each source has its share of n, to
    within one item where there are two sources, and to within a few where there are more. Each source's items are used
    in their order, none left out, so that results that a source caches for its next items are used.
    """

    def __init__(self, sources: Sequence[Patches[Patch]], shares: Sequence[float]) -> None:
        """Mix `sources` in the proportions of `shares`, which are above zero."""
        whole = math.fsum(shares)
        finest = Fraction(1, FINEST_SHARE)
        parts = [max(finest, Fraction(share / whole).limit_denominator(FINEST_SHARE)) for share in shares]
        self.sources = sources
        rests = [sum(parts[place:], Fraction(0)) for place in range(len(parts))]
        # The share is relative to the items that earlier sources leave.
        self._portions = [part / rest for part, rest in zip(parts, rests, strict=True)]

    def __getitem__(self, index: int) -> Patch:
        place, number = self.locate(index)
        return self.sources[place][number]

    def locate(self, index: int) -> tuple[int, int]:
        """Return the place of the source that item `index` comes from, and the item's number there."""
        for place, portion in enumerate(self._portions):
            before, after = (math.floor(count * portion) for count in (index, index + 1))
            if after > before:
                return place, before
            index -= before
        raise IndexError(f"there is no item {index}")
