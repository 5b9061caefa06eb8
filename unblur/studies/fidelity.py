"""What generated detail at its default fidelity is held to: to look better where blur is severe, at a bounded cost."""

from unblur.studies.release import Bar
from unblur.studies.severe_half import Line

LEAST_PSNR_DB = -1.5
"""Of generated detail at its default fidelity, over the faithful restoration."""


def bars(name: str, faithful: Line, generated: Line) -> list[Bar]:
    """Those of the set `name`, whose lines are those of `severe_half`."""
    where = f"{name}, severe half"
    ours, theirs = generated.severe, faithful.severe
    lost_db = generated.whole.psnr_db - faithful.whole.psnr_db
    return [
        _below(f"{where}, ST-LPIPS", ours.st_lpips, theirs.st_lpips, digits=4),
        _below(f"{where}, NIQE", ours.niqe, theirs.niqe, digits=2),
        Bar(
            demand=f"{name}, PSNR over faithful, dB",
            bound=f">= {LEAST_PSNR_DB:.2f}",
            found=f"{lost_db:.2f}",
            holds=lost_db >= LEAST_PSNR_DB,
        ),
    ]


def _below(demand: str, found: float, bound: float, *, digits: int) -> Bar:
    return Bar(
        demand=f"{demand}, below faithful",
        bound=f"< {bound:.{digits}f}",
        found=f"{found:.{digits}f}",
        holds=found < bound,
    )
