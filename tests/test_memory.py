"""Free memory is that of the machine, or that of the container where it is less."""

from pathlib import Path

import psutil
import pytest

from unblur.memory import free_memory

MIB = 2**20


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_container_of_today(tmp_path: Path) -> None:
    statistics = f"anon {30 * MIB}\ninactive_anon 0\ninactive_file {20 * MIB}\nactive_file 0\n"
    write(tmp_path, memory__max=f"{100 * MIB}\n", memory__current=f"{60 * MIB}\n", memory__stat=statistics)
    assert free_memory(tmp_path) == 60 * MIB


def test_a_container_of_old(tmp_path: Path) -> None:
    write(
        tmp_path / "memory",
        memory__limit_in_bytes=f"{100 * MIB}\n",
        memory__usage_in_bytes=f"{90 * MIB}\n",
        memory__stat=f"cache 1\ntotal_inactive_file {5 * MIB}\n",
    )
    assert free_memory(tmp_path) == 15 * MIB


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "not there"])
def test_without_a_limit_the_machine_decides(tmp_path: Path, limit: str) -> None:
    if limit != "not there":
        write(tmp_path, memory__max=limit, memory__current="1000", memory__stat="inactive_file 10\n")
    assert free_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_container_that_is_full_has_nothing(tmp_path: Path) -> None:
    write(tmp_path, memory__max="1000", memory__current="2000", memory__stat="inactive_file 10\n")
    assert free_memory(tmp_path) == 0


def test_the_limit_of_address_space_counts(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 100 * MIB, before[1]))
    try:
        free = free_memory(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert 0 < free <= 100 * MIB
