"""The results of one run of `unblur bench`, as JSON, and their comparison with those of another run by ratios."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.regular_files import describe_read_error, read_regular_text

PACKAGES = ("unblur", "torch", "onnxruntime", "openvino")
"""Packages whose versions a benchmark records."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured number."""

    name: str
    """The measured work, unique in a benchmark."""
    value: float
    unit: str
    """Unit of the value, such as "core-s/MP"; "share" is a number from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """All measurements of one run, and where they were made."""

    machine: str
    """Name of the processor, number of its threads, and instructions that PyTorch uses."""
    versions: dict[str, str]
    """Versions of unblur and of the packages that compute."""
    measurements: tuple[Measurement, ...]


def write_benchmark(benchmark: Benchmark) -> bytes:
    """Return the content of a JSON file that `read_benchmark` reads."""
    return to_json(benchmark).encode("utf-8")


def read_benchmark(path: Path) -> Benchmark:
    """Read the file of `unblur bench --json`. Raises UnblurError when it cannot be read or is another file."""
    try:
        text = read_regular_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UnblurError(
            f"{path} cannot be read: {describe_read_error(error)}; give a file of `unblur bench --json`."
        ) from error
    return from_json(text, Benchmark, path)


def compare_benchmarks(old: Benchmark, new: Benchmark) -> Table:
    """Return a table of the measurements that both have, with the ratio of the new value to the old one.

    Raises UnblurError when they have no measurement in common.
    """
    before = {one.name: one for one in old.measurements}
    pairs = [(before[one.name], one) for one in new.measurements if one.name in before]
    if not pairs:
        raise UnblurError("The two benchmarks have no measurement in common; run both with the same options.")
    return Table(
        header=("measurement", "unit", "old", "new", "new / old"),
        lines=tuple(
            (a.name, a.unit, f"{a.value:.3g}", f"{b.value:.3g}", f"{b.value / a.value:.2f}" if a.value else "")
            for a, b in pairs
        ),
    )


def describe_machine() -> str:
    """Return the processor, the number of its threads, the instructions that PyTorch uses, and the system."""
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{_read_processor_name()}, {os.cpu_count()} threads, {instructions}, {platform.system()}"


def find_versions() -> dict[str, str]:
    """Return the versions of those of PACKAGES that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _read_processor_name() -> str:
    """Return the name of the processor as Linux has it, and elsewhere the instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
