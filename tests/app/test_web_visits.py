"""Visits begin when something is restored, end when the visitor has gone, and stop when they are asked to."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from unblur.app.restorers import Restorers
from unblur.app.web.results import Choices
from unblur.app.web.visit import Visit
from unblur.app.web.visits import ABSENT_S, DAY_S, Visits
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.restoration.picture_restorer import Restoration


class SlowRestorers(Restorers):
    """Restorers that take `seconds` over each photograph, cannot be interrupted, and change nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__(None, "cpu")
        self.seconds = seconds
        self.begun = threading.Event()

    def get(self, *_):  # type: ignore[no-untyped-def]
        return self

    def restore_photo(self, photo: Photo, progress) -> Restoration:  # type: ignore[no-untyped-def]
        self.begun.set()
        time.sleep(self.seconds)
        progress(1.0)
        return Restoration(photo=photo, seconds=0.0, tile_px=0, strength=1.0, change=0.0, fallback_share=0.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_photo(Photo(pixels=np.zeros((32, 32, 3), np.uint8)), tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    (tmp_path / "visits").mkdir()
    return tmp_path / "visits"


def restore(visit: Visit, source: Path, restorers: SlowRestorers) -> None:
    visit.bring([source])
    for _ in visit.restore([source, source], Choices(mode="fast"), restorers):
        pass


def test_unknown_sessions_make_no_folders(parent: Path) -> None:
    visits = Visits(parent, present=())
    for number in range(50):
        assert visits.find(f"find{number}") is None
        visits.get(f"of{number}")
    assert list(parent.iterdir()) == []


def test_visits_without_a_heartbeat_are_removed_soon_and_others_after_a_day(parent: Path, source: Path) -> None:
    now = [0.0]
    present: set[str] = {"browser"}
    visits = Visits(parent, present=present, clock=lambda: now[0])
    for session in ("browser", "program"):
        restore(visits.get(session), source, SlowRestorers(0))
    assert len(list(parent.iterdir())) == 2
    now[0] = ABSENT_S - 1
    visits.forget_absent()
    assert len(list(parent.iterdir())) == 2
    now[0] = ABSENT_S + 1
    visits.forget_absent()
    assert len(list(parent.iterdir())) == 1
    assert visits.find("program") is None
    assert visits.find("browser") is not None
    now[0] += DAY_S + 1
    visits.forget_absent()
    assert list(parent.iterdir()) == []


def test_calls_prolong_a_visit(parent: Path) -> None:
    now = [0.0]
    visits = Visits(parent, present=(), clock=lambda: now[0])
    visits.get("program")
    for _ in range(5):
        now[0] += ABSENT_S - 1
        visits.forget_absent()
        assert visits.find("program") is not None


def restore_in_a_thread(visit: Visit, restorers: SlowRestorers, source: Path) -> threading.Thread:
    thread = threading.Thread(target=restore, args=(visit, source, restorers), daemon=True)
    thread.start()
    return thread


def test_stop_ends_the_call_within_two_seconds_whatever_is_under_way(parent: Path, source: Path) -> None:
    visit, restorers = Visit(parent), SlowRestorers(4)
    thread = restore_in_a_thread(visit, restorers, source)
    assert restorers.begun.wait(10)
    began = time.monotonic()
    visit.stop.set()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert (visit.stopped_at, visit.results) == (source, [])


def test_a_visitor_who_waits_for_another_can_stop(parent: Path, source: Path) -> None:
    restorers = SlowRestorers(3)
    first, second = Visit(parent), Visit(parent)
    restore_in_a_thread(first, restorers, source)
    assert restorers.begun.wait(10)
    thread = restore_in_a_thread(second, restorers, source)
    time.sleep(0.2)
    began = time.monotonic()
    second.stop.set()
    thread.join(10)
    assert time.monotonic() - began < 1
    assert second.stopped_at == source
    first.close()


def test_a_busy_visit_is_not_removed(parent: Path, source: Path) -> None:
    now = [0.0]
    visits = Visits(parent, present=(), clock=lambda: now[0])
    restorers = SlowRestorers(0.5)
    visit = visits.get("program")
    thread = restore_in_a_thread(visit, restorers, source)
    assert restorers.begun.wait(10)
    now[0] = 10 * DAY_S
    visits.forget_absent()
    thread.join(10)
    assert len(visit.results) == 2
    visits.forget_absent()
    assert list(parent.iterdir()) == []


def test_too_many_pixels_are_reported_in_a_sentence(
    parent: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unblur.app.web.results.MOST_PIXELS", 1000)
    visit = Visit(parent)
    restore(visit, source, SlowRestorers(0))
    assert visit.problems == {source: "photo.png claims 32 x 32 pixels, more than 1,000; cut it into parts first."}


def copied(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    (parent / name / "photo.png").write_text("copy")
    return parent / name


def test_uploads_and_copies_are_removed_with_the_visit_unless_shared(parent: Path, tmp_path: Path) -> None:
    visits = Visits(parent, present={"one", "other"})
    upload, shared = copied(parent, "upload"), copied(parent, "shared")
    elsewhere = copied(tmp_path, "elsewhere")
    visits.note_copies(visits.get("one"), [upload, shared, elsewhere, parent])
    visits.note_copies(visits.get("other"), [shared])
    visits.close("one")
    assert [path.name for path in parent.iterdir()] == ["shared"]
    assert elsewhere.exists()
    visits.close("other")
    assert list(parent.iterdir()) == []


def test_unused_uploads_are_removed_after_the_last_visitor_leaves(parent: Path) -> None:
    now = [0.0]
    present = {"browser"}
    visits = Visits(parent, present=present, clock=lambda: now[0])
    old, new = copied(parent, "old"), copied(parent, "new")
    os.utime(old, (time.time() - 2 * ABSENT_S,) * 2)
    for now[0] in (1.0, ABSENT_S * 3):
        visits.forget_absent()
        assert old.exists()
    present.clear()
    for now[0] in (ABSENT_S * 3 + 1, ABSENT_S * 4):
        visits.forget_absent()
        assert old.exists()
    now[0] = ABSENT_S * 4 + 2
    visits.forget_absent()
    assert not old.exists()
    assert new.exists()
    visits.get("program")
    os.utime(new, (time.time() - 2 * ABSENT_S,) * 2)
    now[0] += 1
    visits.forget_absent()
    assert new.exists()
