"""The HTML of the page, without a browser."""

from pathlib import Path

import numpy as np
import pytest

from unblur.app import restorers
from unblur.app.restorers import find_obstacle
from unblur.app.web import views
from unblur.app.web.estimates import Speeds, describe_duration
from unblur.app.web.results import Choices, Part, Result
from unblur.app.web.visit import Progress, Shown, Visit
from unblur.photos.photo import Metadata, Photo
from unblur.photos.writing import write_photo

HOSTILE = '<img src=x onerror="alert(1)">`${1}`.jpg'


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return Result(
        source=tmp_path / HOSTILE,
        part=None,
        folder=tmp_path,
        output=tmp_path / HOSTILE,
        before=tmp_path / "before.jpg",
        after=tmp_path / "after.jpg",
        generated=None,
        width=800,
        height=600,
        seconds=3.0,
        metadata=Metadata(),
        choices=Choices(),
        version=1,
        facts=(),
        hardly_changed=False,
        left_behind=(),
    )


def test_names_of_files_cannot_bring_html(result: Result, tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    visit.bring([result.source, tmp_path / "other.jpg"])
    visit.results, visit.stopped_at = [result], result.source
    visit.problems = {tmp_path / "other.jpg": f"{HOSTILE} is not a photograph"}
    progress = Progress(name=HOSTILE, number=1, count=2, share=0.5, seconds=3, expected_s=10)
    for html in (
        views.render_comparison(result, 2, None),
        views.render_photo(HOSTILE, Shown(preview=tmp_path / HOSTILE, width=9, height=9), 5),
        views.render_report(visit),
        views.render_progress(progress),
        views.render_link(tmp_path / HOSTILE),
        views.render_problem(HOSTILE),
    ):
        assert "alert" in html or "%3Cimg" in html
        assert "<img src=x" not in html
        assert '"alert(1)"' not in html


def test_modes_that_are_missing_are_disabled_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restorers.importlib.util, "find_spec", lambda _: None)
    obstacles = {mode: find_obstacle(mode) for mode, *_ in views.MODES}
    html = views.render_modes(obstacles)
    assert obstacles["faithful"] is None
    assert 'value="generative" disabled' in html
    assert "pip install" in html.partition("generative")[2]
    assert html.count("disabled") == 1
    # The template is evaluated by Gradio as JavaScript and as Handlebars.
    assert not any(sign in html + views.render_upload([".jpg"]) for sign in ("`", "${", "{{"))


def test_the_bar_moves_by_tiles_and_by_the_expected_time() -> None:
    def width(share: float, seconds: float, expected_s: float | None) -> str:
        progress = Progress(name="a.jpg", number=1, count=1, share=share, seconds=seconds, expected_s=expected_s)
        return views.render_progress(progress).partition("width:")[2].partition("%")[0]

    assert width(0.5, 1, None) == "50"
    assert width(0.0, 4, 10) == "40"
    assert width(0.6, 4, 10) == "60"
    assert width(0.0, 400, 10) == "95"
    assert "bar unknown" in views.render_waiting(for_others=True)


def test_only_large_photographs_offer_a_part(tmp_path: Path) -> None:
    small, large = (
        views.render_photo("a.jpg", Shown(preview=tmp_path, width=width, height=1000), None) for width in (640, 4000)
    )
    assert "Try" not in small
    assert "Try this part" in large
    assert "width:16.000%;height:64.000%" in large
    assert "about 2\N{NO-BREAK SPACE}min" in views.render_photo(
        "a.jpg", Shown(preview=tmp_path, width=640, height=1000), 110
    )


def test_a_part_has_no_download_but_the_time_of_the_whole(result: Result) -> None:
    assert "download=" in views.render_comparison(result, 1, None)
    assert "zip" not in views.render_comparison(result, 1, None)
    assert "zip" in views.render_comparison(result, 2, None)
    part = Result(**{**vars(result), "part": Part(x=0.5, y=0.5)})
    html = views.render_comparison(part, 2, 130)
    assert "download=" not in html
    assert "The whole photograph takes about 2\N{NO-BREAK SPACE}min." in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (7.4, "7 s"), (12, "10 s"), (13, "15 s"), (61, "1 min"), (3700, "1 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert describe_duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_times_are_estimated_by_the_last_measurement_of_the_mode() -> None:
    speeds = Speeds()
    assert speeds.estimate_s("fast", "auto", 100) is None
    speeds.note("fast", "auto", 100, 2.0)
    speeds.note("fast", "auto", 200, 8.0)
    assert speeds.estimate_s("fast", "auto", 1000) == 40.0
    assert speeds.estimate_s("faithful", "auto", 1000) is None
    # Estimating the shake takes as long for every size from a megapixel on.
    speeds.note("faithful", "auto", 1_000_000, 2.0)
    estimate_s = speeds.estimate_s("faithful", "auto", 4_000_000)
    assert estimate_s is not None
    assert 2 < estimate_s < 8
    # In a crop it takes less, as measured: 4 s for 0.15 and 8 s for 0.9 megapixels.
    speeds.note("faithful", "auto", 250_000, 2.0)
    crop_s = speeds.estimate_s("faithful", "auto", 12_000_000)
    assert crop_s is not None
    assert 20 < crop_s < 96
    speeds.note("faithful", "off", 1_000_000, 2.0)
    assert speeds.estimate_s("faithful", "off", 4_000_000) == pytest.approx(8)


def test_photographs_that_cannot_be_read_are_reported_when_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_text("no picture")
    write_photo(Photo(pixels=np.zeros((20, 30, 3), np.uint8)), tmp_path / "real.png")
    visit = Visit(tmp_path)
    visit.bring([tmp_path / "fake.jpg", tmp_path / "real.png"])
    assert visit.show(tmp_path / "fake.jpg") is None
    assert '<li class="problem">fake.jpg' in views.render_report(visit)
    shown = visit.show(tmp_path / "real.png")
    assert shown is not None
    assert (shown.width, shown.height) == (30, 20)
    visit.close()
