"""The jobs of a command: which photographs are restored, and where each result is written."""

import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from unblur.errors import UnblurError
from unblur.names import Mode
from unblur.photos.formats import OUTPUT_SUFFIXES, RESTORABLE_SUFFIXES, choose_result_suffix

RESULT_SUFFIXES: dict[Mode, str] = {
    "faithful": "_unblurred",
    "fast": "_unblurred_fast",
    "generative": "_generated",
}
"""Default endings of the names of results: modes can be compared, and invented detail shows in the name."""

COMPARE_SUFFIX = "_compare"
"""Ending of the name of a picture that shows before and after side by side."""

UNCERTAINTY_SUFFIX = "_uncertainty"
"""Ending of the name of a map of the uncertainty of generated detail; always a PNG, which is lossless."""

LONGEST_NAME_BYTES = 255
"""The longest name in the file systems of Linux; those of macOS and Windows allow as many letters."""

SAME = "same"
"""The extension that stands for the photograph's own, where that can be written."""


class UsageError(UnblurError):
    """Contradictory or meaningless arguments; nothing has been written."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One photograph to restore."""

    path: Path
    inside: Path
    """Folder of the photograph relative to the folder that was named, to keep the tree in another place."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photograph and the files that are made of it."""

    source: Path
    output: Path
    compare: Path | None
    uncertainty: Path | None
    content: bytes | None = None
    """Content of the photograph's file if it was read from stdin; `source` then serves as its name in messages only."""
    to_stdout: bool = False
    """True if the result is written to stdout; `output` then serves as its name in messages only."""

    @property
    def input_name(self) -> str:
        """The photograph in the words of a report."""
        return str(self.source) if self.content is None else "stdin"

    @property
    def output_name(self) -> str:
        """The result in the words of a report."""
        return "stdout" if self.to_stdout else str(self.output)

    @property
    def targets(self) -> list[Path]:
        """Every file that is to be written."""
        if self.to_stdout:
            return []
        return [path for path in (self.output, self.compare, self.uncertainty) if path]


def plan_jobs(
    arguments: Sequence[str],
    *,
    output: str | None,
    recursive: bool,
    suffix: str,
    extension: str,
    compare: bool,
    uncertainty: bool,
    watched: bool = False,
) -> list[Job]:
    """Plan jobs for photographs, folders and patterns. Raises UsageError, before anything is written.

    `output` is a file for one photograph and otherwise a folder; None writes beside each photograph.
    `extension` is that of the results, without its dot, or SAME. Folders without photographs, and two results in one
    file, are an error unless the folders are `watched`.
    """
    if os.sep in suffix or "/" in suffix:
        raise UsageError(f'The suffix "{suffix}" contains a path separator; use -o to write to another folder.')
    results_folder = _resolve(Path(output)) if output else None
    sources = find_sources(
        arguments, recursive=recursive, suffix=suffix, results_folder=results_folder, may_be_empty=watched
    )
    file_output = _parse_output_file(output, arguments, sources)
    if output:
        _refuse_parents_at_the_root(output, (file_output or Path(output)).absolute().parent)
    jobs = []
    for source in sources:
        folder = Path(output) / source.inside if output else source.path.parent
        target = file_output or folder / name_result(source.path, suffix, extension)
        jobs.append(make_job(source.path, target, compare=compare, uncertainty=uncertainty))
    _refuse_overwritten_originals(jobs)
    if not watched:
        refuse_shared_targets(jobs)
    return jobs


def name_result(photo: Path, suffix: str, extension: str) -> str:
    """Return the name of the result of a photograph. `extension` is that of the result, without its dot, or SAME."""
    ending = choose_result_suffix(photo.suffix) if extension == SAME else f".{extension}"
    return make_result_name(photo.stem, f"{suffix}{ending}")


def make_job(source: Path, target: Path, *, compare: bool, uncertainty: bool) -> Job:
    """Return the job that writes the result to `target`, and further pictures beside it."""
    comparison = target.with_name(
        make_result_name(target.stem, f"{COMPARE_SUFFIX}{choose_result_suffix(target.suffix)}")
    )
    uncertainty_map = target.with_name(make_result_name(target.stem, f"{UNCERTAINTY_SUFFIX}.png"))
    return Job(
        source=source,
        output=target,
        compare=comparison if compare else None,
        uncertainty=uncertainty_map if uncertainty else None,
    )


def make_result_name(stem: str, ending: str) -> str:
    """Join `stem` and `ending` to at most as many bytes as file systems allow.

    A stem that is too long is cut between two letters and followed by a hash of the whole stem, so that long names
    remain distinct.
    """
    name = f"{stem}{ending}"
    if len(os.fsencode(name)) <= LONGEST_NAME_BYTES:
        return name
    mark = f"~{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"
    while stem and len(os.fsencode(f"{stem}{mark}{ending}")) > LONGEST_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{mark}{ending}"


def find_sources(
    arguments: Sequence[str],
    *,
    recursive: bool,
    suffix: str,
    results_folder: Path | None,
    may_be_empty: bool = False,
) -> list[Source]:
    """Return every photograph named, once. A file that is named is included even if it is missing.

    Folders and patterns give their photographs, without hidden files, without earlier results (names ending
    in `suffix` or in that of any mode), and without what lies in `results_folder` when that is a folder inside them.
    """
    found: dict[Path, Source] = {}
    for argument in arguments:
        path = Path(argument)
        if _is_folder(path):
            sources = list(_scan(path, path, recursive, suffix, results_folder))
            where = "" if recursive else "; add --recursive to look into the folders inside it"
            if not sources and not may_be_empty:
                raise UsageError(f"The folder {argument} holds no photographs{where}.")
        elif _read_file_id(path) is None and glob.has_magic(argument):
            sources = list(_match(argument, recursive, suffix, results_folder))
            if not sources:
                raise UsageError(f'No photograph matches "{argument}".')
        else:
            sources = [Source(path=path, inside=Path())]
        for source in sources:
            found.setdefault(_resolve(source.path), source)
    # A shell that expands *.jpg also names the results of earlier runs.
    originals = {(source.path.parent, source.path.stem) for source in found.values()}
    return [
        source
        for source in found.values()
        if not any((source.path.parent, stem) in originals for stem in _list_original_stems(source.path, suffix))
    ]


def _scan(folder: Path, root: Path, recursive: bool, suffix: str, results_folder: Path | None) -> Iterator[Source]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        if folder == root:
            raise UsageError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
        # One closed folder among many is a failure to report later, not a reason to stop now.
        yield Source(path=folder, inside=folder.parent.relative_to(root))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            if recursive and not entry.is_symlink() and _resolve(entry) != results_folder:
                yield from _scan(entry, root, recursive, suffix, results_folder)
        elif is_original(entry, suffix):
            yield Source(path=entry, inside=entry.parent.relative_to(root))


def _match(pattern: str, recursive: bool, suffix: str, results_folder: Path | None) -> Iterator[Source]:
    root = Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute ones
        path = Path(name)
        if _is_folder(path):
            if recursive:
                yield from _scan(path, root, recursive, suffix, results_folder)
        elif is_original(path, suffix):
            yield Source(path=path, inside=path.parent.relative_to(root))


def is_original(path: Path, suffix: str) -> bool:
    """Return whether `path` has the name of a photograph, and not of a result with `suffix` or that of any mode."""
    return path.suffix.lower() in RESTORABLE_SUFFIXES and not _list_original_stems(path, suffix)


def _list_original_stems(path: Path, suffix: str) -> list[str]:
    """Return the stems of the photographs that `path` may be a result of, by its name; none for an original."""
    of_results = {suffix, *RESULT_SUFFIXES.values()}
    endings = [one + more for one in of_results for more in ("", COMPARE_SUFFIX, UNCERTAINTY_SUFFIX) if one + more]
    return [path.stem.removesuffix(ending) for ending in endings if path.stem.endswith(ending)]


def _parse_output_file(output: str | None, arguments: Sequence[str], sources: Sequence[Source]) -> Path | None:
    """Return `output` if it names a file and not a folder, else None."""
    if output is None:
        return None
    path = Path(output)
    if _is_folder(path) or output.endswith(("/", os.sep)):
        return None
    if path.suffix.lower() in OUTPUT_SUFFIXES or _read_file_id(path) is not None:
        if len(sources) != 1 or len(arguments) != 1 or Path(arguments[0]) != sources[0].path:
            raise UsageError(f"-o {output} names one file, which needs one photograph; for several, name a folder.")
        return path
    if path.suffix and len(arguments) == 1 and Path(arguments[0]) == sources[0].path:
        raise UsageError(
            f'-o {output} ends in "{path.suffix}", which is not a format that photographs are written in; '
            f"use one of {', '.join(sorted(OUTPUT_SUFFIXES))}, or end the name of a folder with a slash."
        )
    return None


def find_new_folder(output: str) -> Path | None:
    """Return the folder that has to be created for `output`; None if it exists. Valid before anything is written."""
    path = Path(output)
    is_file = path.suffix.lower() in OUTPUT_SUFFIXES and not output.endswith(("/", os.sep)) and not _is_folder(path)
    folder = path.parent if is_file else path
    return None if _exists(folder) else folder


def refuse_no_folders(arguments: Sequence[str]) -> None:
    """Raise UsageError if one of `arguments` is not a folder, which cannot be watched."""
    for argument in arguments:
        if not _is_folder(Path(argument)):
            raise UsageError(f"--watch watches folders, and {argument} is none; name the folder of the photographs.")


def _refuse_parents_at_the_root(output: str, parent: Path) -> None:
    """Raise UsageError if `parent`, in which OUT is to be made, begins with a missing folder at the root of a disk.

    A folder there is more often a misspelt name or a disk that is not mounted than one that somebody wants.
    """
    missing = [folder for folder in (parent, *parent.parents) if not _exists(folder)]
    if missing and missing[-1].parent == Path(parent.anchor):
        raise UsageError(f"-o {output} is in {missing[-1]}, which does not exist; create it, or correct the name.")


def _refuse_overwritten_originals(jobs: Sequence[Job]) -> None:
    # Compared as files and not as names, because of links and of file systems that ignore case.
    originals = {_read_file_id(job.source): job.source for job in jobs}
    originals.pop(None, None)
    for job in jobs:
        for target in job.targets:
            original = originals.get(_read_file_id(target))
            if original is not None:
                raise UsageError(
                    f"{target} is the original {original}, which is never overwritten; "
                    "use another --suffix or another -o."
                )


def refuse_shared_targets(jobs: Sequence[Job]) -> None:
    """Raise UsageError if two results would be written to one file."""
    for _, sentence in separate_shared_targets(jobs)[1]:
        raise UsageError(sentence)


def separate_shared_targets(jobs: Sequence[Job]) -> tuple[list[Job], list[tuple[Job, str]]]:
    """Return the jobs that share no file with an earlier job, and the others, each with a sentence that explains it."""
    claimed: dict[str, Path] = {}
    distinct: list[Job] = []
    shared: list[tuple[Job, str]] = []
    for job in jobs:
        targets = {os.path.normcase(target.absolute()): target for target in job.targets}
        taken = next((key for key in targets if key in claimed), None)
        if taken is None:
            claimed |= dict.fromkeys(targets, job.source)
            distinct.append(job)
        else:
            sentence = (
                f"{claimed[taken]} and {job.source} would both be written to {targets[taken]}; "
                "restore them one after the other, with another --suffix or -o."
            )
            shared.append((job, sentence))
    return distinct, shared


def _read_file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _exists(path: Path) -> bool:
    # Names that cannot exist, such as very long ones, are reported when the result is written.
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _is_folder(path: Path) -> bool:
    # Path.is_dir raises for some names that cannot exist, such as very long ones.
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path
