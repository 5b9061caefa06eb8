"""The figure of blur patterns: there, whole, the same twice, and a sentence where it cannot be drawn."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from unblur.config import to_json
from unblur.errors import UnblurError
from unblur.evaluation.pattern_plots import check_plottable, plot_patterns
from unblur.metrics.blur_patterns import BlurPatterns, collect_patterns, measure_motion


def patterns(seed: int, length_px: float = 10) -> BlurPatterns:
    generator = torch.Generator().manual_seed(seed)
    offsets = length_px * torch.randn(5, 2, 6, 8, generator=generator)
    return collect_patterns(measure_motion(-offset, offset) for offset in offsets)


def test_equal_numbers_give_equal_bytes(tmp_path: Path) -> None:
    """Only PNG files are compared, because Matplotlib names the clipping paths of an SVG by addresses in memory."""
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        plot_patterns({"GoPro": patterns(0)}, path)
    assert first.read_bytes() == second.read_bytes()
    plot_patterns({"GoPro": patterns(1)}, second)
    assert first.read_bytes() != second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_one_row_a_data_set(tmp_path: Path) -> None:
    sizes = []
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        plot_patterns({f"set {number}": patterns(number) for number in range(count)}, path)
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
            sizes.append(picture.size)
    assert sizes[1] == (sizes[0][0], 2 * sizes[0][1])


def test_each_row_is_titled_with_its_diversity(tmp_path: Path) -> None:
    data = patterns(0)
    plot_patterns({"a set": data}, tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    assert f"a set: 5 images, diversity {data.diversity:.2f}" in text
    ElementTree.fromstring(text)


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    names = ["$broken_{", "x" * 300, "<&>", "sets/a_b^c\\d"]
    plot_patterns(dict.fromkeys(names, patterns(0)), tmp_path / "figure.svg")
    ElementTree.parse(tmp_path / "figure.svg")


@pytest.mark.filterwarnings("error")
def test_sets_without_motion_can_be_drawn(tmp_path: Path) -> None:
    plot_patterns({"still": patterns(0, length_px=0)}, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_drawing_does_not_change_the_settings_of_matplotlib(tmp_path: Path) -> None:
    program = (
        "import sys, matplotlib; before = dict(matplotlib.rcParams.copy());"
        "from pathlib import Path; from unblur.evaluation.pattern_plots import plot_patterns;"
        "from unblur.metrics.blur_patterns import BlurPatterns; from unblur.config import from_json;"
        "data = from_json(Path('data.json').read_text(), BlurPatterns); plot_patterns({'a': data}, Path('a.svg'));"
        "assert 'matplotlib.pyplot' not in sys.modules; assert dict(matplotlib.rcParams.copy()) == before"
    )
    (tmp_path / "data.json").write_text(to_json(patterns(0)))
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (tmp_path / "a.svg").exists()


def test_a_missing_matplotlib_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None is how Python remembers that a module cannot be imported.
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UnblurError, match=r"matplotlib is not installed; run: pip install 'unblur\[plots\]'"):
        plot_patterns({"a": patterns(0)}, tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["figure.jpg", "figure", ".png"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnblurError, match=r"\.png or \.svg"):
        check_plottable(tmp_path / name)


def test_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="no data set"):
        plot_patterns({}, tmp_path / "figure.png")
