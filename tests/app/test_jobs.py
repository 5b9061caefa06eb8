"""Arguments become jobs: which photographs are found, where results go, and which arguments are refused."""

import os
from pathlib import Path

import pytest

from unblur.app.jobs import SAME, Job, UsageError, plan_jobs


def _plan(
    *arguments: str | Path,
    output: str | Path | None = None,
    recursive: bool = False,
    suffix: str = "_unblurred",
    extension: str = SAME,
    compare: bool = False,
    uncertainty: bool = False,
) -> list[Job]:
    return plan_jobs(
        [str(argument) for argument in arguments],
        output=None if output is None else str(output),
        recursive=recursive,
        suffix=suffix,
        extension=extension,
        compare=compare,
        uncertainty=uncertainty,
    )


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _sources(jobs: list[Job], root: Path) -> list[str]:
    return [job.source.relative_to(root).as_posix() for job in jobs]


def _outputs(jobs: list[Job], root: Path) -> list[str]:
    return [job.output.relative_to(root).as_posix() for job in jobs]


def test_the_result_lies_beside_the_photograph(tmp_path: Path) -> None:
    _touch(tmp_path / "a photo #1.JPG")
    (job,) = _plan(tmp_path / "a photo #1.JPG")
    assert job.output == tmp_path / "a photo #1_unblurred.JPG"
    assert job.compare is None


def test_suffix_format_and_comparison_are_in_the_names(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg")
    (job,) = _plan(tmp_path / "a.jpg", suffix="-sharp", extension="png", compare=True)
    assert job.output == tmp_path / "a-sharp.png"
    assert job.compare == tmp_path / "a-sharp_compare.png"


def test_a_folder_yields_only_its_photographs(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.jpg")))
    _touch(*(tmp_path / name for name in ("a_unblurred.png", "b_unblurred_compare.jpg")))
    assert _sources(_plan(tmp_path), tmp_path) == ["a.PNG", "b.jpg"]


def test_recursive_preserves_the_tree(tmp_path: Path) -> None:
    _touch(*(tmp_path / "in" / name for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg", ".trash/d.jpg")))
    jobs = _plan(tmp_path / "in", output=tmp_path / "out", recursive=True)
    assert _sources(jobs, tmp_path / "in") == ["a.jpg", "x/b.jpg", "x/y/c.jpg"]
    assert _outputs(jobs, tmp_path / "out") == [
        "a_unblurred.jpg",
        "x/b_unblurred.jpg",
        "x/y/c_unblurred.jpg",
    ]


def test_results_inside_the_scanned_folder_are_not_photographs(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg", tmp_path / "other" / "b.jpg")
    jobs = _plan(tmp_path, output=tmp_path / "out", recursive=True, suffix="")
    assert _sources(jobs, tmp_path) == ["a.jpg", "other/b.jpg"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert _sources(_plan(tmp_path, recursive=True), tmp_path) == ["a.jpg"]


def test_patterns_are_expanded_and_preserve_the_tree(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("a.jpg", "b.jpg", "c.txt", "x/d.jpg", "b_unblurred.jpg")))
    assert _sources(_plan(tmp_path / "*"), tmp_path) == ["a.jpg", "b.jpg"]
    jobs = _plan(tmp_path / "**" / "*.jpg", output=tmp_path / "out")
    assert _sources(jobs, tmp_path) == ["a.jpg", "b.jpg", "x/d.jpg"]
    assert _outputs(jobs, tmp_path / "out")[-1] == "x/d_unblurred.jpg"


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    _touch(tmp_path / "a[1].jpg", tmp_path / "a1.jpg")
    assert _sources(_plan(tmp_path / "a[1].jpg"), tmp_path) == ["a[1].jpg"]


def test_earlier_results_that_the_shell_names_too_are_left_out(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "a_unblurred.jpg")
    assert _sources(_plan(tmp_path / "a.jpg", tmp_path / "a_unblurred.jpg"), tmp_path) == ["a.jpg"]
    # Those of another mode, or whose name was chosen for this time, too.
    _touch(tmp_path / "a_generated.jpg", tmp_path / "a_generated_uncertainty.png")
    assert _sources(_plan(tmp_path), tmp_path) == ["a.jpg"]
    assert _sources(_plan(tmp_path, suffix="_b"), tmp_path) == ["a.jpg"]
    # Alone, it is meant.
    assert _sources(_plan(tmp_path / "a_unblurred.jpg"), tmp_path) == ["a_unblurred.jpg"]


def test_a_photograph_named_twice_is_restored_once(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg")
    assert len(_plan(tmp_path / "a.jpg", tmp_path, tmp_path / "*.jpg", tmp_path / "x" / ".." / "a.jpg")) == 1


def test_a_missing_file_is_listed(tmp_path: Path) -> None:
    (job,) = _plan(tmp_path / "missing.jpg")
    assert job.source == tmp_path / "missing.jpg"
    assert len(_plan(tmp_path / ("long" * 1000 + ".jpg"))) == 1


def test_output_may_be_a_file_for_one_photograph(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    (job,) = _plan(tmp_path / "a.jpg", output=tmp_path / "sharp.png", compare=True)
    assert (job.output, job.compare) == (tmp_path / "sharp.png", tmp_path / "sharp_compare.png")
    with pytest.raises(UsageError, match="one photograph"):
        _plan(tmp_path / "a.jpg", tmp_path / "b.jpg", output=tmp_path / "sharp.png")
    with pytest.raises(UsageError, match="one photograph"):
        _plan(tmp_path, output=tmp_path / "sharp.png")
    with pytest.raises(UsageError, match=r"\.docx"):
        _plan(tmp_path / "a.jpg", output=tmp_path / "sharp.docx")


@pytest.mark.parametrize("name", ["out", "out/", "sharp.png/"])
def test_output_may_be_a_folder(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / "a.jpg")
    (job,) = _plan(tmp_path / "a.jpg", output=f"{tmp_path}/{name}")
    assert job.output == tmp_path / name / "a_unblurred.jpg"


def test_empty_folders_and_patterns_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path / "deep" / "a.jpg", tmp_path / "notes.txt")
    with pytest.raises(UsageError, match="--recursive"):
        _plan(tmp_path)
    with pytest.raises(UsageError, match="No photograph matches"):
        _plan(tmp_path / "*.jpg")
    (tmp_path / "deep" / "a.jpg").unlink()
    with pytest.raises(UsageError, match="holds no photographs"):
        _plan(tmp_path, recursive=True)


def test_the_original_is_never_the_output(tmp_path: Path) -> None:
    original = tmp_path / "a.jpg"
    _touch(original)
    (tmp_path / "a_unblurred.jpg").symlink_to(original)
    os.link(original, tmp_path / "hard.jpg")
    (tmp_path / "same").symlink_to(tmp_path)
    for arguments in (
        {"suffix": ""},
        {"output": original},
        {"output": tmp_path / "hard.jpg"},
        {"output": tmp_path / "x" / ".." / "a.jpg"},
        {"output": tmp_path / "same", "suffix": ""},
        {},
    ):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="never overwritten"):
            _plan(original, **arguments)


def test_the_original_of_another_job_is_never_the_output(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "out" / "a_unblurred.jpg")
    with pytest.raises(UsageError, match="never overwritten"):
        _plan(tmp_path / "a.jpg", tmp_path / "out" / "a_unblurred.jpg", output=tmp_path / "out")


def test_two_photographs_do_not_share_a_result(tmp_path: Path) -> None:
    _touch(tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg", tmp_path / "x" / "a.png")
    with pytest.raises(UsageError, match="both"):
        _plan(tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg", output=tmp_path / "out")
    with pytest.raises(UsageError, match="both"):
        _plan(tmp_path / "x", extension="png")
    assert len(_plan(tmp_path / "x", tmp_path / "y")) == 3


def test_a_suffix_with_a_separator_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="separator"):
        _plan(tmp_path / "a.jpg", suffix="/../b")
