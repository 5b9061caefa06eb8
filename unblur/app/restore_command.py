"""`unblur restore`: photographs on disk in, restored photographs on disk out."""

from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from unblur.app.generative_options import GenerativeOptions
from unblur.app.options import CheckpointName, DeviceName, Flag, Share, TilePx
from unblur.names import Mode, Runtime, ShakeChoice

if TYPE_CHECKING:
    from unblur.app.jobs import Job
    from unblur.app.report import Outcome
    from unblur.photos.photo import Photo
    from unblur.restoration.generative import GenerativeRestorer
    from unblur.restoration.inspect import BlurInspector
    from unblur.restoration.picture_restorer import Restoration
    from unblur.restoration.restorer import Restorer
    from unblur.restoration.tiled import Progress, Tile

# PyTorch and libvips are imported only before work begins, so that help and usage errors appear at once.


def restore(
    photos: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|FOLDER|GLOB...", help_behavior_hint="")] = (),
    /,
    *,
    output: Annotated[str | None, arg(aliases=["-o"], metavar="OUT", help_behavior_hint="")] = None,
    mode: Annotated[Mode, arg(metavar="faithful|fast|generative")] = "faithful",
    strength: Share = 1.0,
    shake: Annotated[ShakeChoice, arg(metavar="auto|off|always")] = "auto",
    restore_sharp: Flag = False,
    recursive: Annotated[Flag, arg(aliases=["-r"])] = False,
    skip_existing: Flag = False,
    overwrite: Flag = False,
    suffix: Annotated[
        str | None, arg(metavar="TEXT", help_behavior_hint="(default: _unblurred, _unblurred_fast or _generated)")
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["same", "jpg", "png", "webp", "tif", "avif"], arg(metavar="same|jpg|png|webp|tif|avif")
    ] = "same",
    compare: Flag = False,
    device: DeviceName = "auto",
    tile: TilePx = "auto",
    checkpoint: CheckpointName = None,
    runtime: Annotated[Runtime, arg(metavar="auto|torch|onnx|openvino")] = "auto",
    json: Flag = False,
    quiet: Annotated[Flag, arg(aliases=["-q"])] = False,
    generative: Annotated[GenerativeOptions, OmitArgPrefixes] = GenerativeOptions(),
) -> int:
    """Make motion-blurred photographs sharper. Originals are never changed.

    Args:
        photos: Photographs, folders, or patterns such as "holiday/*.jpg".
        output: Where to write: a file for one photograph, otherwise a folder, which is created if it is missing.
            Without it, each result is written beside its photograph.
        mode: faithful: best quality, adds nothing. fast: several times faster, but fine blur stays. generative: may
            invent detail where blur destroyed it; needs `pip install 'unblur[generative]'`.
        strength: How much of the restoration to apply, from 0 (nothing) to 1 (all).
        shake: Camera shake. auto: estimate and remove it where that helps. off: never, which takes about a third of
            the time. always: also where the estimate is uncertain, which may make a photograph worse.
        restore_sharp: Also restore photographs that are sharp already, which are otherwise left unchanged unless
            --checkpoint is given.
        recursive: Include subfolders, and create the same subfolders in OUT.
        skip_existing: Skip photographs that already have a result.
        overwrite: Replace existing results. Without this or --skip-existing, an existing result is an error.
        suffix: Text that is added to the name of each result; may be empty if OUT is another folder.
        format: File format of the results; same is the format of the photograph.
        compare: Also write a picture that shows before and after side by side.
        device: Where to compute: auto uses an accelerator if there is one.
        tile: Restore in pieces of at most this many pixels a side; smaller pieces need less memory, 0 is one piece.
        checkpoint: Weights instead of the bundled ones: a folder, or a repository on the Hugging Face hub.
        runtime: Library that runs the network. auto: ONNX Runtime if it is installed and the processor has no fast
            bfloat16, otherwise PyTorch.
        json: Print one JSON object for each photograph instead of sentences.
        quiet: Print nothing but errors.
        generative: These options need --mode generative. Invented detail looks plausible and may be wrong.
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
                            else _load(checkpoint, device, shake, runtime, mode)
                        )
                    inspector = inspector or BlurInspector()
                    report.begin(job.source)
                    outcome = _restore_job(
                        job, mode, restorer, inspector, strength, tile, progress, leave_sharp=leave_sharp
                    )
                report.add(outcome)
        except KeyboardInterrupt:
            return report.interrupt()
        return report.finish()


def _load(
    checkpoint: str | None, device: str, shake: ShakeChoice, runtime: Runtime, mode: Literal["faithful", "fast"]
) -> "Restorer":
    from unblur.restoration.loading import load

    return load(checkpoint, device, mode=mode, shake=shake, runtime=runtime)


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
    leave_sharp: bool,
) -> "Outcome":
    from dataclasses import replace

    from unblur.app.report import Outcome, describe_error
    from unblur.photos.files import check_format, left_behind, read_photo, write_photo
    from unblur.restoration.inspected import restore_inspected
    from unblur.restoration.uncertainty import render_uncertainty

    try:
        photo = read_photo(job.source)
        # Reported here, not after minutes of work.
        check_format(photo, job.output)
        restoration = restore_inspected(
            restorer, inspector, photo, strength, tile, progress, leave_sharp=leave_sharp
        )
        restored = restoration.photo
        job.output.parent.mkdir(parents=True, exist_ok=True)
        write_photo(restored, job.output)
        if job.uncertainty and restoration.uncertainty is not None:
            write_photo(render_uncertainty(restoration.uncertainty), job.uncertainty)
        if job.compare:
            write_photo(join_side_by_side(photo, restored), job.compare)
    except Exception as error:
        # One bad file never stops a batch, not even by a defect of this program.
        return Outcome(input=str(job.source), output=str(job.output), status="failed", error=describe_error(error))
    return replace(_make_outcome(job, mode, restorer, restoration), left_behind=left_behind(restored, job.output))


def _make_outcome(
    job: "Job", mode: Mode, restorer: "Restorer | GenerativeRestorer", restoration: "Restoration"
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
    outcome = add_blur(outcome, mode, restoration)
    if isinstance(restorer, Restorer):
        return outcome
    return replace(
        outcome,
        generated_share=round(restoration.generated_share, 6),
        marked=restorer.settings.mark and restoration.generated_share > 0,
        seed=restorer.settings.seed,
        steps=restorer.settings.steps,
        solver=restorer.settings.solver,
        fidelity=restorer.settings.fidelity,
        decoder=restorer.decoder_sha256,
    )


def add_blur(outcome: "Outcome", mode: Mode, restoration: "Restoration") -> "Outcome":
    """Return the outcome with the kind of blur, why the result is unchanged if it is, and a mode that suits better."""
    from dataclasses import replace

    from unblur.app.advice import explain_unchanged, suggest_mode

    report = restoration.blur
    if report is None:
        return outcome
    return replace(
        outcome,
        blur=report.kind,
        blur_confidence=report.confidence,
        blur_px=report.length_px,
        blur_deg=report.direction_deg,
        noise_level=report.noise_level,
        blur_sentence=str(report),
        unchanged_because=explain_unchanged(report, mode) if restoration.hardly_changed else None,
        suggestion=suggest_mode(report, mode),
    )


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
