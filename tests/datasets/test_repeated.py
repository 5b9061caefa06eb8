"""Pairs used several times: each item depends on its number alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.blur import Camera
from unblur.datasets import PhotoFolder, RepeatedPairs, SimulatedPairs
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.repeated import AugmentedPair
from unblur.datasets.simulated import PatchSampling, SimulatedPair
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedPairs:
    pixels = np.random.default_rng(1).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    write_photo(Photo(pixels=pixels), tmp_path / "photos" / "one.png")
    return SimulatedPairs(
        PhotoFolder(tmp_path / "photos"), Camera(extent_px=(1, 8)), PatchSampling(patch_px=24), seed=1
    )


def same(one: AugmentedPair | SimulatedPair, other: AugmentedPair | SimulatedPair) -> bool:
    return torch.equal(one.blurry, other.blurry) and torch.equal(one.sharp, other.sharp)


def test_items_do_not_depend_on_the_order_of_access(simulated: SimulatedPairs) -> None:
    in_order = RepeatedPairs(simulated, repeats=4, apart=3)
    items = [in_order[index] for index in range(40)]
    for index in (39, 0, 17, 5):
        assert same(RepeatedPairs(simulated, repeats=4, apart=3)[index], items[index])


def test_items_are_the_same_whichever_thread_makes_them(simulated: SimulatedPairs) -> None:
    alone, together = (RepeatedPairs(simulated, repeats=4, apart=3) for _ in range(2))
    with ThreadPoolExecutor(4) as pool:
        for index, item in enumerate(pool.map(together.__getitem__, range(40))):
            assert same(item, alone[index])


@pytest.mark.parametrize("orientation", range(8))
def test_rotated_cached_ends_equal_the_ends_of_the_rotated_motion(simulated: SimulatedPairs, orientation: int) -> None:
    for number in range(6):
        pair = simulated[number]
        fitted = AugmentedPair(pair, orientation).fit_ends(8)
        start, end = pair.compute_motion_at(8).apply_dihedral(orientation).fit_ends()
        assert torch.equal(fitted.start, start)
        assert torch.equal(fitted.end, end)
        assert pair.fit_ends(8) is pair.fit_ends(8)


def test_each_pair_is_used_repeatedly_in_different_orientations(simulated: SimulatedPairs) -> None:
    repeats, apart = 4, 3
    items = RepeatedPairs(simulated, repeats, apart)
    pair = simulated[0]
    places = [use + use * apart * repeats for use in range(repeats)]
    shown = [items[place] for place in places]
    for use, item in enumerate(shown):
        assert same(item, AugmentedPair(pair, 3 * use % 8))
    assert len({item.blurry.numpy().tobytes() for item in shown}) == repeats


@pytest.mark.parametrize("orientation", range(8))
def test_the_upright_patch_is_that_of_the_photograph_in_every_orientation(
    simulated: SimulatedPairs, orientation: int
) -> None:
    pair = simulated[2]
    assert torch.equal(AugmentedPair(pair, orientation).upright, pair.upright)
    assert torch.equal(apply_dihedral(pair.upright, pair.record.orientation), pair.sharp)


def test_pairs_used_once_are_the_simulated_ones(simulated: SimulatedPairs) -> None:
    for index in range(5):
        assert same(RepeatedPairs(simulated, repeats=1, apart=1)[index], simulated[index])


def test_simulation_is_done_once_for_each_pair(simulated: SimulatedPairs, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = SimulatedPairs.draw

    def counted(self: SimulatedPairs, index: int):
        drawn.append(index)
        return draw(self, index)

    monkeypatch.setattr(SimulatedPairs, "draw", counted)
    items = RepeatedPairs(simulated, repeats=4, apart=5)
    for index in range(200):
        items[index]
    assert len(drawn) == len(set(drawn))
    assert len(drawn) <= 200 / 4 + 3 * 5


def test_an_error_is_raised_in_every_waiting_thread(simulated: SimulatedPairs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: SimulatedPairs, _index: int):
        raise RuntimeError("no photograph")

    monkeypatch.setattr(SimulatedPairs, "draw", broken)
    items = RepeatedPairs(simulated, repeats=2, apart=1)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no photograph"):
            items[0]
