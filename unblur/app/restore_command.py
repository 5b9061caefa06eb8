"""`unblur restore`: photographs on disk in, restored photographs on disk out."""

from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from unblur.app.generative_options import GenerativeOptions
from unblur.names import Mode, Runtime, ShakeChoice

if TYPE_CHECKING:
    from unblur.app.jobs import Job
    from unblur.app.report import Outcome
    from unblur.photos.photo import Photo
    from unblur.restoration.blur_report import BlurReport
    from unblur.restoration.generative import GenerativeRestorer
    from unblur.restoration.inspect import BlurInspector
    from unblur.restoration.restorer import Restoration, Restorer
    from unblur.restoration.tiled import Progress, Tile

# PyTorch and libvips are imported only before work begins, so that help and usage errors appear at once.

Flag = Annotated[bool, arg(help_behavior_hint="")]
DeviceName = Annotated[Literal["auto", "cpu", "cuda", "mps", "xpu"], arg(metavar="auto|cpu|cuda|mps|xpu")]
CheckpointName = Annotated[str | None, arg(metavar="FOLDER|OWNER/NAME", help_behavior_hint="")]


def restore(
    photos: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|FOLDER|GLOB...", help_behavior_hint="")] = (),
    /,
    *,
    output: Annotated[str | None, arg(aliases=["-o"], metavar="OUT", help_behavior_hint="")] = None,
    mode: Annotated[Mode, arg(metavar="faithful|fast|generative")] = "faithful",
    strength: Annotated[float, arg(metavar="0..1")] = 1.0,
    shake: Annotated[ShakeChoice, arg(metavar="auto|off|always")] = "auto",
    restore_sharp: Flag = False,
    recursive: Annotated[Flag, arg(aliases=["-r"])] = False,
    skip_existing: Flag = False,
    overwrite: Flag = False,
    suffix: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="(_unblurred, or _generated)")] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["same", "jpg", "png", "webp", "tif", "avif"], arg(metavar="jpg|png|webp|tif|avif")
    ] = "same",
    compare: Flag = False,
    device: DeviceName = "auto",
    tile: Annotated[Literal["auto"] | int, arg(metavar="auto|N|0")] = "auto",
    checkpoint: CheckpointName = None,
    runtime: Annotated[Runtime, arg(metavar="auto|torch|onnx|openvino")] = "auto",
    json: Flag = False,
    quiet: Flag = False,
    generative: Annotated[GenerativeOptions, OmitArgPrefixes] = GenerativeOptions(),
) -> int:
    """Make motion-blurred photographs sharper. Originals are never touched.

    Args:
        photos: What to restore: files, folders, or patterns such as "holiday/*.jpg".
        output: Where to write: a file for one photograph, else a folder. Without it, beside each photograph.
        mode: Without invented detail; without it in a fraction of the time, where fine blur stays; or with invented
            detail where blur left none.
        strength: How much of the restoration to use; 0 keeps the pixels exactly.
        shake: Whether to estimate the path of a shaking camera and deconvolve: auto where that pays, off for the
            network alone in less time, always even where the path is uncertain, which may make a photograph worse.
        restore_sharp: Also restore photographs that are sharp already; without this they are left unchanged. Weights
            given by --checkpoint restore every photograph.
        recursive: Look into folders inside folders, and keep their tree in OUT.
        skip_existing: Leave photographs alone whose result is there already.
        overwrite: Replace results that are there already. Without this or --skip-existing they are an error.
        suffix: Added to the name of each result; may be empty when OUT is another folder.
        format: Format of the results, the same as the photograph's if not given.
        compare: Also write a picture with before and after side by side.
        device: Where to compute; auto takes an accelerator if there is one.
        tile: Pixels on the longest side of the pieces a photograph is restored in; 0 is in one piece.
        checkpoint: Other weights: a folder here, or a repository on the Hugging Face hub.
        runtime: Program that runs the network; auto is ONNX Runtime where it is installed and the processor has no
            fast bfloat16, else PyTorch.
        json: Write one JSON object per photograph to stdout, and nothing else.
        quiet: Say nothing but errors.
        generative: Detail that blur destroyed is invented: it looks plausible and may be wrong.
    """
    from unblur.app.interruption import Interruption
    from unblur.app.jobs import RESULT_SUFFIXES, UsageError, plan_jobs
    from unblur.app.report import Report
    from unblur.restoration.blend import check_strength
    from unblur.restoration.inspect import BlurInspector
    from unblur.restoration.tiles import check_tile_px

    if not photos:
        raise UsageError("No photograph named; try: unblur photo.jpg")
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other; use one.")
    check_strength(strength)
    if tile != "auto":
        check_tile_px(tile)
    if mode == "generative":
        if runtime not in ("auto", "torch"):
            raise UsageError(f"--mode generative runs in PyTorch only; leave out --runtime {runtime}.")
        generative.check()
    else:
        generative.refuse()
    jobs = plan_jobs(
        photos,
        output=output,
        recursive=recursive,
        suffix=RESULT_SUFFIXES[mode] if suffix is None else suffix,
        extension=format,
        compare=compare,
        uncertainty=generative.uncertainty is not None,
    )
    restorer: Restorer | GenerativeRestorer | None = None
    inspector: BlurInspector | None = None
    leave_sharp = checkpoint is None and not restore_sharp
    with Report(len(jobs), quiet=quiet, json_lines=json) as report, Interruption() as interruption:

        def progress(share: float) -> None:
            interruption.check()
            report.progress(share)

        try:
            for job in jobs:
                interruption.check()
                outcome = None if overwrite else _check_existing(job, skip_existing)
                if outcome is None:
                    if restorer is None:
                        restorer = (
                            generative.load(checkpoint, device, shake)
                            if mode == "generative"
                            else _load(checkpoint, device, shake, runtime, fast=mode == "fast")
                        )
                    inspector = inspector or BlurInspector()
                    report.begin(job.source)
                    outcome = _restore_job(
                        job,
                        mode,
                        restorer,
                        inspector,
                        strength,
                        tile,
                        progress,
                        mark=not generative.no_mark,
                        leave_sharp=leave_sharp,
                    )
                report.add(outcome)
        except KeyboardInterrupt:
            return report.interrupt()
        return report.finish()


def _load(checkpoint: str | None, device: str, shake: ShakeChoice, runtime: Runtime, *, fast: bool) -> "Restorer":
    from unblur.restoration.restorer import load

    return load(checkpoint, device, fast=fast, shake=shake, runtime=runtime)


def _check_existing(job: "Job", skip_existing: bool) -> "Outcome | None":
    """Return the outcome if a result exists already, before any time is spent; None if there is work to do."""
    from unblur.app.report import Outcome

    there = [path for path in job.targets if path.exists() or path.is_symlink()]
    if not there:
        return None
    if skip_existing and job.output in there:
        return Outcome(input=str(job.source), output=str(job.output), status="skipped")
    return Outcome(
        input=str(job.source),
        output=str(job.output),
        status="failed",
        error=f"{there[0]} is there already; add --overwrite to replace it or --skip-existing to keep it.",
    )


def _restore_job(
    job: "Job",
    mode: Mode,
    restorer: "Restorer | GenerativeRestorer",
    inspector: "BlurInspector",
    strength: float,
    tile: "Tile",
    progress: "Progress",
    *,
    mark: bool,
    leave_sharp: bool,
) -> "Outcome":
    from dataclasses import replace

    from unblur.app.report import Outcome, describe_error
    from unblur.photos.files import check_format, left_behind, read_photo, write_photo
    from unblur.restoration.inspect import SMALLEST_PX
    from unblur.restoration.restorer import unchanged
    from unblur.restoration.uncertainty import render_uncertainty

    try:
        photo = read_photo(job.source)
        # Reported here, not after minutes of work.
        check_format(photo, job.output)
        report = inspector.inspect(photo) if min(photo.width, photo.height) >= SMALLEST_PX else None
        if leave_sharp and report is not None and report.is_surely_sharp:
            restoration = unchanged(photo, strength)
        else:
            restoration = restorer.restore_photo(photo, strength, tile, progress)
        mark = mark and restoration.generated_share > 0
        restored = add_mark(restoration.photo) if mark else restoration.photo
        job.output.parent.mkdir(parents=True, exist_ok=True)
        write_photo(restored, job.output)
        if job.uncertainty and restoration.uncertainty is not None:
            write_photo(render_uncertainty(restoration.uncertainty), job.uncertainty)
        if job.compare:
            write_photo(join_side_by_side(photo, restored), job.compare)
    except Exception as error:
        # One bad file never stops a batch, not even by a defect of this program.
        return Outcome(input=str(job.source), output=str(job.output), status="failed", error=describe_error(error))
    outcome = replace(
        _make_outcome(job, mode, restorer, restoration, mark), left_behind=left_behind(restored, job.output)
    )
    return outcome if report is None else _add_report(outcome, report, restoration)


def _add_report(outcome: "Outcome", report: "BlurReport", restoration: "Restoration") -> "Outcome":
    """The outcome with the kind of blur of the photograph, and why it is unchanged where it is."""
    from dataclasses import replace

    from unblur.app.advice import why_unchanged

    if restoration.shake is not None:
        report = report.with_shake(restoration.shake)
    return replace(
        outcome,
        blur=report.kind,
        blur_confidence=report.confidence,
        blur_px=report.length_px,
        blur_degrees=report.direction_degrees,
        noise_level=report.noise_level,
        blur_sentence=str(report),
        unchanged_because=why_unchanged(report) if restoration.hardly_changed else None,
    )


def _make_outcome(
    job: "Job", mode: Mode, restorer: "Restorer | GenerativeRestorer", restoration: "Restoration", marked: bool
) -> "Outcome":
    from dataclasses import replace

    from unblur.app.report import Outcome
    from unblur.restoration.restorer import Restorer

    outcome = Outcome(
        input=str(job.source),
        output=str(job.output),
        compare=str(job.compare) if job.compare else None,
        uncertainty=str(job.uncertainty) if job.uncertainty else None,
        mode=mode,
        status="ok",
        width=restoration.photo.width,
        height=restoration.photo.height,
        seconds=round(restoration.seconds, 3),
        tile=restoration.tile_px,
        strength=restoration.strength,
        change=round(restoration.change, 6),
        hardly_changed=restoration.hardly_changed,
        fallback_share=round(restoration.fallback_share, 6),
        checkpoint=restorer.checkpoint_sha256,
    )
    if restoration.shake is not None:
        outcome = replace(
            outcome,
            shake_px=round(restoration.shake.length_px, 1),
            shake_deg=round(restoration.shake.direction_deg),
            shake_confidence=round(restoration.shake.confidence, 2),
        )
    if isinstance(restorer, Restorer):
        return outcome
    return replace(
        outcome,
        generated_share=round(restoration.generated_share, 6),
        marked=marked,
        seed=restorer.settings.seed,
        steps=restorer.settings.steps,
        solver=restorer.settings.solver,
        fidelity=restorer.settings.fidelity,
        decoder=restorer.decoder_sha256,
    )


def add_mark(photo: "Photo") -> "Photo":
    """Return `photo` with metadata that state that this program generated part of it."""
    from dataclasses import replace
    from importlib.metadata import version

    from unblur.photos.marks import COMPOSITE_WITH_GENERATED, mark_metadata

    software = f"unblur {version('unblur')}, generative"
    metadata = mark_metadata(photo.metadata, software=software, source_type=COMPOSITE_WITH_GENERATED)
    return replace(photo, metadata=metadata)


def join_side_by_side(before: "Photo", after: "Photo") -> "Photo":
    """Return one photograph with `before` on the left, `after` on the right and a white line between."""
    from dataclasses import replace

    import numpy as np

    height, width, channels = before.pixels.shape
    white = np.iinfo(before.pixels.dtype).max
    line = np.full((height, max(1, width // 200), channels), white, before.pixels.dtype)
    pixels = np.concatenate([before.pixels, line, after.pixels], axis=1)
    alpha = before.alpha
    if alpha is not None:
        opaque = np.full(line.shape[:2], white, alpha.dtype)
        alpha = np.concatenate([alpha, opaque, alpha], axis=1)
    # The metadata are those of the result, with its marks.
    return replace(after, pixels=pixels, alpha=alpha)
