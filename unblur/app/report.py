"""Reports about a batch to people and programs: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tqdm import tqdm

from unblur.errors import UnblurError
from unblur.names import Mode

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130

GENERATED_MEANS = "it looks plausible, but may never have been there. Faces, letters and numbers prove nothing."

LONGEST_NAME = 32
"""Letters of a file name that the progress bar shows, cut in the middle."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one photograph or video; one line of `--json`."""

    input: str
    output: str
    status: Literal["ok", "failed", "skipped"]
    error: str | None = None
    compare: str | None = None
    uncertainty: str | None = None
    """Path of the map of the disagreement between seeds."""
    mode: Mode | None = None
    """Mode of the restoration; detail is generated only in the mode generative."""
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    """Seconds of the restoration, without reading and writing."""
    tile: int | None = None
    """Largest side of the tiles in pixels; 0 is the photograph in one piece."""
    strength: float | None = None
    change: float | None = None
    """Mean absolute difference to the input, as a share of full scale."""
    hardly_changed: bool | None = None
    unchanged_because: str | None = None
    """Why the result equals or nearly equals the photograph; None where it does not."""
    blur: str | None = None
    """The kind of blur: sharp, shaken, moved subject, out of focus or uncertain; this and the next five are None for
    photographs that are too small to show it, and for videos."""
    blur_confidence: float | None = None
    """Probability of the most probable kind."""
    blur_px: float | None = None
    """Length of the motion, or diameter of the spot that a point becomes out of focus; 0 if sharp."""
    blur_deg: float | None = None
    """Direction of the motion: 0 is horizontal, 90 vertical; None without motion."""
    noise_level: float | None = None
    """Standard deviation of the noise of the luminance, in 8-bit grey levels."""
    blur_sentence: str | None = None
    """The blur in words."""
    suggestion: str | None = None
    """Another mode that may suit the photograph better."""
    fallback_share: float | None = None
    """Share of the photograph that is unchanged, because the network's output there was unusable."""
    checkpoint: str | None = None
    """SHA-256 of the weights."""
    shake_px: float | None = None
    """Length of the camera shake that was solved; None, like the next two, if none was solved."""
    shake_deg: int | None = None
    """Main direction of the camera shake: 0 is horizontal, 90 vertical."""
    shake_confidence: float | None = None
    """1 less the expected relative error of the kernel of the camera shake."""
    generated_share: float | None = None
    """Share of the photograph whose detail was generated: plausible, not certain."""
    marked: bool | None = None
    """True if the metadata of the file state that detail was generated."""
    left_behind: tuple[str, ...] = ()
    """Contents of the photograph's file that the result does not have: "the video", "the gain map" and so on."""
    seed: int | None = None
    steps: int | None = None
    solver: str | None = None
    fidelity: float | None = None
    """Settings of the generative mode, None in the others."""
    decoder: str | None = None
    """SHA-256 of the decoder's weights, where it is a checkpoint of ours."""
    frames: int | None = None
    """Number of frames of a video; None for a photograph."""
    restored_frames: int | None = None


class Report:
    """Report about `count` photographs, one `add` each. The bar appears on a terminal only."""

    def __init__(self, count: int, *, quiet: bool, json_lines: bool, uses_stdout: bool = True) -> None:
        """Report about `count` photographs. With `uses_stdout` False, stdout is left to the photograph."""
        self._count = count
        self._uses_stdout = uses_stdout
        self._quiet = quiet
        self._json_lines = json_lines
        self._outcomes: list[Outcome] = []
        self._bar: tqdm[Any] = tqdm(
            total=count,
            file=sys.stderr,
            disable=quiet or json_lines or not sys.stderr.isatty(),
            leave=False,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def begin(self, photo: Path, index: int = 0) -> None:
        """Show the name of the photograph in work, the one of this index."""
        # The time of loading the network must not enter the estimate of the remaining time.
        self._bar.unpause()
        position = f"{index + 1}/{self._count} " if self._count > 1 else ""
        name = printable(photo.name)
        short = name if len(name) <= LONGEST_NAME else f"{name[:12]}...{name[15 - LONGEST_NAME :]}"
        self._bar.set_description_str(f"{position}{short}")

    def progress(self, share: float, index: int = 0) -> None:
        """Show the share of the photograph of this index that is done."""
        self._bar.update(max(0, index + share - self._bar.n))

    def tick(self) -> None:
        """Move the clock of the bar."""
        self._bar.refresh()

    def add(self, outcome: Outcome) -> None:
        """Report the outcome of the present photograph."""
        self._outcomes.append(outcome)
        self._bar.update(max(0, len(self._outcomes) - self._bar.n))
        if self._json_lines:
            self._write(json.dumps(asdict(outcome)), stdout=True)
        elif outcome.status == "failed":
            self._write(f"failed: {_format_reason(outcome)}")
        elif not self._quiet:
            self._write(_format_line(outcome), stdout=True)

    def note(self, sentence: str) -> None:
        """Write a sentence about the whole batch."""
        if not self._quiet and not self._json_lines:
            self._write(printable(sentence))

    def finish(self) -> int:
        """Write the summary of the batch, and return the exit code."""
        self._bar.close()
        failed = [outcome for outcome in self._outcomes if outcome.status == "failed"]
        unchanged = sum(bool(outcome.hardly_changed and not outcome.unchanged_because) for outcome in self._outcomes)
        if unchanged and not self._quiet and not self._json_lines:
            which = f"{unchanged} of {self._count} photographs" if self._count > 1 else "The photograph"
            self._write(f"{which} hardly changed: already sharp, or blurred in a way these weights cannot undo.")
        generated = sum(bool(outcome.generated_share) for outcome in self._outcomes)
        if generated and not self._quiet and not self._json_lines:
            which = f"{generated} of {self._count} photographs" if self._count > 1 else "the photograph"
            self._write(f"Detail in {which} was generated: {GENERATED_MEANS}")
        left_behind = dict.fromkeys(name for outcome in self._outcomes for name in outcome.left_behind)
        if left_behind and not self._quiet and not self._json_lines:
            self._write(describe_left_behind(left_behind))
        if failed and self._count > 1:
            self._write(f"{len(failed)} of {self._count} photographs could not be restored:")
            for outcome in failed:
                self._write(f"  {_format_reason(outcome)}")
        return SOME_FAILED if failed else OK

    def interrupt(self, advice: str | None = None) -> int:
        """Write the summary after Ctrl-C, or `advice` on how to go on, and return the exit code."""
        if advice is not None:
            self._write(f"Interrupted: {printable(advice)}")
            return INTERRUPTED
        done = sum(outcome.status == "ok" for outcome in self._outcomes)
        of_all = f"{done} of {self._count} photographs were" if self._count > 1 else "the photograph was not"
        self._write(f"Interrupted: {of_all} restored; no file was left half-written.")
        return INTERRUPTED

    def _write(self, line: str, *, stdout: bool = False) -> None:
        stream = sys.stdout if stdout and self._uses_stdout else sys.stderr
        # Clears the bar first, so that it never runs through a line of text.
        self._bar.clear()
        stream.write(f"{line}\n")
        stream.flush()
        self._bar.refresh()


def printable(text: str) -> str:
    """Return `text` on one line that any terminal can show: file names may hold anything, also escape codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def describe_error(error: Exception) -> str:
    """Describe an error in a sentence: that of an UnblurError, or one about files, memory or a defect."""
    if isinstance(error, UnblurError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}; check that the place exists and may be written."
    if isinstance(error, MemoryError):
        return "The memory that is free is not enough; close other programs, or give a smaller input."
    # A defect of this program, or of a package that it uses.
    text = " ".join(str(error).split())
    return f"An unexpected error occurred ({type(error).__name__}: {text}); please report it with the input."


def describe_left_behind(names: Iterable[str]) -> str:
    """Return a sentence about contents that results do not have; `names` such as "the video"."""
    return f"Left behind, because the result does not hold it: {', '.join(printable(name) for name in names)}."


def describe_fallback(fallback_share: float) -> str:
    """Return a sentence about the share of a photograph, above 0, that was not restored."""
    return f"{fallback_share:.0%} left as it was: the network's answer there was unusable"


def _format_reason(outcome: Outcome) -> str:
    error = outcome.error or ""
    return printable(error if outcome.input in error else f"{outcome.input}: {error}")


def _format_line(outcome: Outcome) -> str:
    if outcome.status == "skipped":
        return f"{printable(outcome.input)}: skipped, {printable(outcome.output)} is there already"
    return f"{printable(outcome.input)} -> {printable(outcome.output)}  {describe_outcome(outcome)}"


def describe_outcome(outcome: Outcome) -> str:
    """Return the facts about a restored photograph or video on one line."""
    line = f"{outcome.width}x{outcome.height}  {outcome.seconds:.1f} s"
    if outcome.frames is not None:
        line += f"  {outcome.restored_frames} of {outcome.frames} frames restored"
    if outcome.shake_px is None and outcome.blur_sentence and not outcome.unchanged_because:
        line += f"  {outcome.blur_sentence}"
    if outcome.shake_px is not None:
        line += f"  shake: {outcome.shake_px:.0f} px, {outcome.shake_deg} degrees, solved"
    if outcome.mode == "generative":
        line += f"  {_describe_generation(outcome)}"
    if outcome.fallback_share:
        line += f"  {describe_fallback(outcome.fallback_share)}"
    elif outcome.unchanged_because:
        line += f"  {'unchanged' if outcome.change == 0 else 'hardly changed'}, because {outcome.unchanged_because}"
    elif outcome.hardly_changed:
        line += "  hardly changed"
    return f"{line}  {outcome.suggestion}" if outcome.suggestion else line


def _describe_generation(outcome: Outcome) -> str:
    how = f"(seed {outcome.seed}, {outcome.steps} steps, fidelity {outcome.fidelity:g})"
    if outcome.fidelity == 1 or outcome.strength == 0:
        return f"no detail generated {how}"
    unusable = 1 - (outcome.generated_share or 0)
    return f"detail generated {how}" + (f", but in {unusable:.0%} of it left out: it was unusable" if unusable else "")
