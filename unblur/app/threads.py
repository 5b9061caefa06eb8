"""Limits how long threads spin while they wait for each other."""

import os

SPINS = "2000"
"""Rounds, some microseconds, after which a waiting thread sleeps."""


def wait_briefly() -> None:
    """Make OpenMP's threads sleep soon when they wait, unless the environment is set otherwise; call before PyTorch.

    By default GNU's library, which PyTorch has on Linux, lets them spin for milliseconds. With a thread on every core
    and one core used by another process, they spin while the thread that they wait for could run: on
    two cores a photograph of 1280 x 720 took 90 s instead of 1.2. So it takes 4, and 1.3 when nothing else runs. Other
    OpenMP libraries ignore the setting.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
