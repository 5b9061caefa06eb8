"""Advice about a photograph: which command helps with its kind of blur."""

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unblur.restoration.blur_report import BlurReport


def advice(report: "BlurReport", path: str) -> str:
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
            return "unblur removes blur of motion, and hardly helps"


def why_unchanged(report: "BlurReport") -> str:
    """Return why restoration hardly changed a photograph, as the end of a sentence that begins with "because"."""
    match report.kind:
        case "sharp":
            return "it is sharp"
        case "shaken":
            return "these weights cannot undo this shake; try --shake always or --mode generative"
        case "moved subject":
            return "only a subject moved, which these weights rarely undo; try --mode generative"
        case "out of focus":
            return "the blur is out of focus, not motion; try --mode generative"
