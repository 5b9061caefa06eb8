"""`unblur inspect`: what kind of blur photographs have, one line for each."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unblur.app.options import Flag, OptionalFolder

if TYPE_CHECKING:
    from unblur.app.jobs import Source
    from unblur.restoration.blur_report import BlurReport
    from unblur.restoration.inspect import BlurInspector

OVERLAY_SUFFIX = "_blur.jpg"
"""Ends the name of the picture that shows where and how a photograph is blurred."""


def inspect(
    photos: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|FOLDER|GLOB...", help_behavior_hint="")] = (),
    /,
    *,
    recursive: Annotated[Flag, arg(aliases=["-r"])] = False,
    overlay: OptionalFolder = None,
    solve: Flag = False,
    json: Flag = False,
) -> int:
    """Say what kind of blur photographs have: sharp, shaken, moved subject, out of focus, noisy. Changes nothing.

    Args:
        photos: What to inspect: files, folders, or patterns such as "holiday/*.jpg".
        recursive: Look into folders inside folders.
        overlay: Folder for pictures that show where and how each photograph is blurred: warm colours and arrows for
            motion, blue and rings for places out of focus.
        solve: Estimate the path of the camera where a photograph is shaken, which takes longer and is more accurate.
        json: Write one JSON object per photograph to stdout, with the map of the blur, and nothing else.
    """
    from unblur.app.advice import advise
    from unblur.app.jobs import RESULT_SUFFIXES, UsageError, find_sources
    from unblur.app.report import OK, SOME_FAILED, describe_error, printable
    from unblur.restoration.inspect import BlurInspector

    if not photos:
        raise UsageError("No photograph named; try: unblur inspect photo.jpg")
    sources = find_sources(photos, recursive=recursive, suffix=RESULT_SUFFIXES["faithful"], results_folder=None)
    inspector = BlurInspector()
    failed = 0
    for source in sources:
        try:
            report = _inspect_file(inspector, source, overlay, solve)
        except Exception as error:
            # One bad file never stops a batch.
            failed += 1
            reason = describe_error(error)
            named = reason if str(source.path) in reason else f"{source.path}: {reason}"
            sys.stderr.write(f"failed: {printable(named)}\n")
            if json:
                sys.stdout.write(_format_json(source.path, None, reason))
        else:
            line = f"{printable(str(source.path))}: {report}; {printable(advise(report, str(source.path)))}\n"
            sys.stdout.write(_format_json(source.path, report, None) if json else line)
        sys.stdout.flush()
    if failed and len(sources) > 1:
        sys.stderr.write(f"{failed} of {len(sources)} photographs could not be inspected.\n")
    return SOME_FAILED if failed else OK


def _inspect_file(inspector: "BlurInspector", source: "Source", folder: Path | None, solve: bool) -> "BlurReport":
    from unblur.app.jobs import make_result_name
    from unblur.photos.reading import read_photo
    from unblur.photos.writing import write_photo
    from unblur.restoration.blur_overlay import draw_overlay
    from unblur.restoration.estimate_shake import estimate_shake

    photo = read_photo(source.path)
    report = inspector.inspect(photo)
    if solve and report.kind == "shaken":
        report = report.with_shake(estimate_shake(photo))
    if folder is not None:
        target = folder / source.inside / make_result_name(source.path.name, OVERLAY_SUFFIX)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_photo(draw_overlay(photo, report), target)
    return report


def _format_json(path: Path, report: "BlurReport | None", error: str | None) -> str:
    import json
    from dataclasses import asdict

    facts = {"input": str(path), "status": "failed" if report is None else "ok", "error": error}
    return json.dumps(facts | ({} if report is None else asdict(report))) + "\n"
