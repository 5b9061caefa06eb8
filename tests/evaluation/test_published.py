"""The published numbers: what the files hold, what is known to be wrong with it, and ours among them."""

import dataclasses
import shutil
from collections import Counter, defaultdict
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest

from unblur.datasets.catalogue import CATALOGUE
from unblur.errors import UnblurError
from unblur.evaluation.published.comparison import PublishedTable, make_published_tables
from unblur.evaluation.published.numbers import PublishedNumber, Standing, read_published
from unblur.evaluation.row import Conditions, Row

NUMBERS = read_published()

NO_REFERENCE = {"maniqa", "liqe", "nrqm", "clipiqa", "pi", "brisque", "niqe", "ilniqe"}
RANGES = {
    "psnr": (20, 45), "ssim": (0.6, 1), "maniqa": (0, 1), "clipiqa": (0, 1), "liqe": (1, 5), "nrqm": (0, 10),
    "pi": (2, 10), "niqe": (2, 10), "brisque": (10, 70), "ilniqe": (10, 60),
}  # fmt: skip


def value(method: str, data_set: str, metric: str, **more: str) -> PublishedNumber:
    """The only number with these properties."""
    found = [
        one
        for one in NUMBERS
        if (one.method, one.data_set, one.metric) == (method, data_set, metric)
        and all(getattr(one, name).startswith(text) for name, text in more.items())
    ]
    (one,) = found
    return one


def test_every_number_lies_in_the_range_of_its_metric_and_names_a_set_and_a_source() -> None:
    known = {data_set.name for data_set in CATALOGUE} | {"rwblur400", "average"}
    for one in NUMBERS:
        low, high = RANGES[one.metric]
        assert low <= one.value <= high, one
        assert one.data_set in known
        assert one.method
        assert one.trained_on
        assert one.found
        assert ("arXiv " in one.source or "repository " in one.source) == (one.standing != Standing.RECALLED), one
    assert len(NUMBERS) > 1000


def test_no_table_gives_a_number_twice() -> None:
    names = [field.name for field in dataclasses.fields(PublishedNumber) if field.name not in ("value", "notes")]
    counted = Counter(tuple(getattr(one, name) for name in names) for one in NUMBERS)
    assert counted.most_common(1)[0][1] == 1


def test_the_averages_of_the_cross_data_set_table_are_those_of_its_columns() -> None:
    # The page prints them, so they prove that no digit of the 98 others was lost.
    rows: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    for one in NUMBERS:
        if one.found.endswith("training sets against test sets"):
            rows[one.trained_on, one.metric][one.data_set] = one.value
    assert len(rows) == 14
    wrong = {}
    for (trained_on, metric), values in rows.items():
        average = values.pop("average")
        assert len(values) == 7
        if abs(sum(values.values()) / 7 - average) > Decimal("0.0051"):
            wrong[trained_on, metric] = average
    assert not wrong


def test_known_errors_are_noted_where_they_are_and_only_there() -> None:
    by_set: dict[tuple[str, str, str], dict[str, Decimal]] = defaultdict(dict)
    for one in NUMBERS:
        if one.metric in NO_REFERENCE:
            by_set[one.method, one.data_set, one.found][one.metric] = one.value
    copied = {
        (method, data_set)
        for (method, data_set, found), values in by_set.items()
        if sum(values == others for (other, _, where), others in by_set.items() if (other, where) == (method, found))
        > 1
    }
    assert copied == {("DiffIR", "bsd"), ("DiffIR", "rsblur")}
    for one in NUMBERS:
        noted = any("copied by mistake" in note for note in one.notes)
        assert noted == ((one.method, one.data_set) in copied and one.metric in NO_REFERENCE)
    blurry = value("blurry pictures", "gopro", "psnr")
    below = [one for one in NUMBERS if one.method == "GLOWDeblur" and one.value < blurry.value and one.metric == "psnr"]
    assert [one.data_set for one in below if any("Below the PSNR of the blurry" in note for note in one.notes)] == [
        "gopro"
    ]
    assert blurry.standing is Standing.RECALLED


def test_uncertain_numbers_have_notes() -> None:
    for one in NUMBERS:
        if "2601.06525" not in one.source:
            assert not any("GLOWDeblur's page" in note for note in one.notes)
            continue
        notes = " ".join(one.notes)
        if one.data_set in ("realblur-j", "bsd", "rsblur") and one.metric in ("psnr", "ssim"):
            assert "does not say whether pictures were aligned" in notes
        if one.data_set == "reds":
            assert "track" in notes
        if one.trained_on == "not stated":
            assert ("not trained alike" in notes) or one.method == "Restormer*"
        if one.data_set == "rsblur" and one.value == Decimal("0.94"):
            assert "0.8628" in notes


@pytest.mark.parametrize(
    ("method", "data_set", "metric", "more", "printed", "standing"),
    [
        # HI-Diff's tables 2 and 3, ID-Blau's table and RSBlur's README, read for this test.
        ("Restormer", "gopro", "psnr", {"source": "HI-Diff"}, "32.92", "others"),
        ("Stripformer", "realblur-r", "ssim", {"source": "HI-Diff", "trained_on": "RealBlur-R"}, "0.974", "others"),
        ("HI-Diff", "realblur-j", "psnr", {"source": "HI-Diff", "trained_on": "RealBlur-J"}, "33.70", "own"),
        ("FFTformer with ID-Blau", "hide", "ssim", {}, "0.949", "own"),
        ("Uformer-B", "rsblur", "ssim", {}, "0.8660", "others"),
        ("SRN", "rsblur", "psnr", {"trained_on": "synthetic RSBlur: averaged in linear"}, "30.12", "others"),
        ("MIMO-UNet++", "gopro", "psnr", {}, "32.68", "own"),
        ("NAFNet-64", "reds", "psnr", {"split": "val-jpeg-300"}, "29.0903", "own"),
        ("GLOWDeblur", "rwbi", "niqe", {}, "4.796", "own"),
        ("MLWNet-B", "realblur-j", "psnr", {}, "33.84", "secondary"),
        ("MLWNet-S", "realblur-j", "psnr", {}, "33.0", "approximate"),
    ],
)
def test_numbers_have_their_printed_digits(
    method: str, data_set: str, metric: str, more: dict[str, str], printed: str, standing: str
) -> None:
    one = value(method, data_set, metric, **more)
    assert (str(one.value), one.standing) == (printed, standing)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("reds_trained.csv", "29.0903", "twenty-nine", r"reds_trained\.csv, line 2, is not a published number"),
        ("reds_trained.csv", ",own,", ",maybe,", "line 2, is not a published number"),
        ("reds_trained.csv", ",own,", ",own,nothing", "'nothing'"),
        ("reds_trained.csv", "method,", "methods,", "does not have the columns method, trained_on"),
        ("notes.csv", "note,", "key,", r"notes\.csv, line 2, does not have the columns note, text"),
    ],
)
def test_a_damaged_file_is_named(file: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    for name in ("reds_trained.csv", "notes.csv"):
        shutil.copy(Path(str(files("unblur.evaluation.published"))) / name, tmp_path / name)
    assert len(read_published(tmp_path)) == 2
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UnblurError, match=said):
        read_published(tmp_path)
    (tmp_path / "notes.csv").unlink()
    with pytest.raises(UnblurError, match=r"notes\.csv cannot be read"):
        read_published(tmp_path)


def run(data_set: str, protocol: str, count: int, method: str = "network", **scores: float) -> list[Row]:
    conditions = Conditions(data_set=data_set, protocol=protocol, method=method, checkpoint="0123456789abcdef")
    return [
        Row(image=f"{n}.png", height=8, width=8, scores=scores, seconds=1.0, conditions=conditions)
        for n in range(count)
    ]


def beside(*runs: list[Row]) -> PublishedTable:
    (table,) = make_published_tables(runs, NUMBERS)
    return table


GOPRO = {"psnr_before_db": 25.5, "psnr_after_db": 31.0, "ssim_3d_before": 0.85, "ssim_3d_after": 0.93}


def test_our_results_are_sorted_among_the_published() -> None:
    shown = beside(run("gopro test", "gopro-v1", 1111, **GOPRO)).table
    assert shown.header == ("method", "trained on", "PSNR", "SSIM", "numbers", "source", "notes")
    values = [float(line[2]) for line in shown.lines]
    assert values == sorted(values, reverse=True)
    ours = [line for line in shown.lines if line[4].startswith("measured")]
    assert ours == [
        ("network 0123456789ab", "-", "31.00", "0.9300", "measured here", "", ""),
        ("blurry pictures", "-", "25.50", "0.8500", "measured here", "", ""),
    ]
    assert {line[4] for line in shown.lines} == {
        "measured here", "published", "published by others", "recalled, not looked up"
    }  # fmt: skip


def test_every_mark_has_its_footnote_and_no_footnote_lacks_its_mark() -> None:
    for data_set in ("gopro test", "realblur-j test", "rsblur test", "reds val", "hide test"):
        shown = beside(run(data_set, "gopro-v1", 3, psnr_after_db=28.0, niqe_after=5.0))
        used = {mark for line in shown.table.lines for mark in (line[-2], *line[-1].split()) if mark}
        assert used == {mark for mark, _ in shown.footnotes.lines}
        assert all(line[-2] for line in shown.table.lines if not line[-3].startswith("measured"))


def test_only_measured_metrics_are_shown_and_sorted_in_their_direction() -> None:
    shown = beside(run("rwbi all", "no-reference-v1", 2, change_after=0.1, niqe_before=6.0, niqe_after=5.0))
    assert shown.table.header == ("method", "trained on", "NIQE", "numbers", "source", "notes")
    assert [line[2] for line in shown.table.lines][:3] == ["4.796", "4.886", "5.0000"]
    assert "How many pictures RWBI has is not verified" in shown.footnotes.markdown()
    assert not make_published_tables([run("rwbi all", "no-reference-v1", 2, change_after=0.1)], NUMBERS)
    assert not make_published_tables([run("levin test", "levin-v1", 2, psnr_after_db=30.0)], NUMBERS)
    # A folder of one's own that is called like a data set is none.
    assert not make_published_tables([run("gopro", "pairs-v1", 2, psnr_after_db=30.0)], NUMBERS)


@pytest.mark.parametrize(
    ("data_set", "protocol", "count", "reason"),
    [
        ("gopro test", "gopro-v1", 12, "12 of 1111 pictures."),
        ("gopro test", "pairs-v1", 1111, "protocol pairs-v1 instead of gopro-v1."),
        ("gopro train", "gopro-v1", 2103, "measured on train, published for test."),
        ("reds val", "reds-v1", 300, "300 of 3000 pictures."),
        ("bsd test-1ms8ms", "bsd-v1", 3000, "measured on test-1ms8ms, published for test-1ms8ms and test-2ms16ms"),
        ("rsblur val", "realblur-v1", 3, "3 of 1120 pictures; measured on val, published for test; protocol realblur"),
    ],
)
def test_the_reason_why_results_are_not_comparable_is_given(
    data_set: str, protocol: str, count: int, reason: str
) -> None:
    shown = beside(run(data_set, protocol, count, psnr_after_db=28.0))
    (ours,) = [line for line in shown.table.lines if line[0].startswith("network")]
    assert ours[-3] == "measured here, not comparable"
    assert reason in dict(shown.footnotes.lines)[ours[-1]]


def test_only_the_numbers_of_the_split_are_shown_if_it_has_its_own() -> None:
    shown = beside(run("reds val-jpeg-300", "reds-jpeg-v1", 300, psnr_after_db=28.0))
    assert [(line[0], line[3]) for line in shown.table.lines] == [
        ("NAFNet-64", "published"),
        ("network 0123456789ab", "measured here"),
    ]
    others = beside(run("reds val", "reds-v1", 3000, psnr_after_db=28.0))
    assert "NAFNet-64" not in [line[0] for line in others.table.lines]


def test_runs_of_one_data_set_share_a_table_and_the_line_of_the_blurry_pictures() -> None:
    runs = [run("gopro test", "gopro-v1", 1111, method=method, **GOPRO) for method in ("network", "unsharp")]
    shown = beside(*runs, run("somebody's folder", "pairs-v1", 3, psnr_after_db=30.0))
    measured = [line[0] for line in shown.table.lines if line[4] == "measured here"]
    assert sorted(measured) == ["blurry pictures", "network 0123456789ab", "unsharp 0123456789ab"]
