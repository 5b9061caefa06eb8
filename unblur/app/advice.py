"""Advice about a photograph: which mode helps with its kind of blur, and why a result is unchanged."""

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unblur.names import Mode
    from unblur.restoration.blur_report import BlurReport

LONG_PX = 20.0
"""Length of unsolved shake from which the faithful mode leaves visible blur."""


def advise(report: "BlurReport", path: str) -> str:
    """Return what to do with the photograph in `path`, as the end of a sentence."""
    command = f"`unblur {shlex.quote(path)}`"
    match report.kind:
        case "sharp":
            return "there is nothing to restore"
        case "shaken":
            return f"restore it with {command}"
        case "moved subject":
            return f"{command} sharpens it only partly"
        case "out of focus":
            return f"{command} is made for motion and may help only a little"
        case "uncertain":
            return f"try {command}, and compare"


def suggest_mode(report: "BlurReport", mode: "Mode") -> str | None:
    """Return an option that may suit the photograph better than `mode`, as a sentence; None if there is none."""
    if mode == "fast" and report.kind == "shaken":
        return "--mode faithful also removes fine blur and estimates the path of the camera."
    if mode != "faithful" or report.solved:
        return None
    if report.kind == "shaken" and report.length_px >= LONG_PX:
        return "The path of the camera could not be solved; --mode generative may invent the detail that is lost."
    if report.kind == "moved subject":
        return "Moving subjects stay partly blurred; --mode generative may invent their detail."
    return None


def explain_unchanged(report: "BlurReport", mode: "Mode") -> str:
    """Return why restoration hardly changed a photograph, as the end of a sentence that begins with "because"."""
    match report.kind:
        case "sharp":
            return "it is sharp"
        case "shaken" if mode == "fast":
            return "the fast mode leaves fine blur"
        case "shaken":
            return "this shake is too slight or too complicated for these weights"
        case "moved subject":
            return "only a subject moved, which these weights rarely undo"
        case "out of focus":
            return "it is out of focus, and these weights undo motion"
        case "uncertain":
            return "it shows no blur that these weights can undo"
