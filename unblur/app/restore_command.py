"""`unblur restore`: photographs on disk in, restored photographs on disk out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from unblur.app.cluster.ray_cluster import RayAddress, connect_to_ray, import_ray
from unblur.app.generative_options import GenerativeOptions
from unblur.app.options import CheckpointName, DeviceName, Flag, OptionalNumber, Quiet, Share, TilePx
from unblur.app.restorer_choice import RestorerChoice
from unblur.names import Mode, Runtime, ShakeChoice

if TYPE_CHECKING:
    from unblur.app.jobs import Job

LOSSLESS = ("png", "tif", "dng")
"""Formats without a quality."""

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
        Literal["same", "jpg", "png", "webp", "tif", "avif", "jxl", "dng"],
        arg(metavar="same|jpg|png|webp|tif|avif|jxl|dng"),
    ] = "same",
    quality: OptionalNumber = None,
    compare: Flag = False,
    jobs: OptionalNumber = None,
    device: DeviceName = "auto",
    tile: TilePx = "auto",
    checkpoint: CheckpointName = None,
    runtime: Annotated[Runtime, arg(metavar="auto|torch|onnx|openvino")] = "auto",
    watch: Flag = False,
    ray: RayAddress = None,
    report: Annotated[Path | None, arg(metavar="FILE.html|FILE.json", help_behavior_hint="")] = None,
    json: Flag = False,
    quiet: Quiet = False,
    generative: Annotated[GenerativeOptions, OmitArgPrefixes] = GenerativeOptions(),
) -> int:
    """Make motion-blurred photographs sharper. Originals are never changed.

    Args:
        photos: Photographs, folders, or patterns such as "holiday/*.jpg"; - reads one photograph from stdin.
        output: Where to write: a file for one photograph, otherwise a folder, which is created if it is missing.
            Without it, each result is written beside its photograph. - writes to stdout.
        mode: faithful: best quality, adds nothing. fast: several times faster, but fine blur stays. generative: may
            invent detail where blur destroyed it; needs `pip install 'unblur[generative]'`.
        strength: How much of the restoration to apply, from 0 (nothing) to 1 (all).
        shake: Camera shake. auto: estimate and remove it where that helps. off: never, which takes about a third of
            the time. always: also where the estimate is uncertain, which may make a photograph worse.
        restore_sharp: Also restore photographs that are sharp already. Without this they are left unchanged, unless
            --checkpoint is given.
        recursive: Include subfolders, and create the same subfolders in OUT.
        skip_existing: Skip photographs that already have a result.
        overwrite: Replace existing results. Without this or --skip-existing, an existing result is an error.
        suffix: Text that is added to the name of each result; may be empty if OUT is another folder.
        format: File format of the results; same is the format of the photograph, and TIFF for raw files. dng: linear
            light, for raw files only. jxl: needs a libvips that has JPEG XL.
        quality: Quality of JPEG, WebP, AVIF and JPEG XL files, from 1 to 100; by default 90 for AVIF and 95 for the
            others.
        compare: Also write a picture that shows before and after side by side.
        jobs: Photographs in work at a time, by default 1: while the network restores one, others are decoded and
            encoded. With --ray, the most processes that restore, by default as many as the cluster has cores for.
            Changes no result, and needs the memory of N photographs.
        device: Where to compute: auto uses an accelerator if there is one.
        tile: Restore in pieces of at most this many pixels a side; smaller pieces need less memory, 0 is one piece.
        checkpoint: Weights instead of the bundled ones: a folder, or a repository on the Hugging Face hub.
        runtime: Library that runs the network. auto: ONNX Runtime if it is installed and the processor has no fast
            bfloat16, otherwise PyTorch.
        watch: Do not end, but also restore photographs that appear in the folders later, as soon as they are complete.
            Photographs that have a result are left alone unless you add --overwrite. Ctrl-C ends it.
        ray: Distribute the photographs with Ray, on this computer or on the cluster at an address (`auto`: the cluster
            that this computer belongs to). PHOTO, FOLDER and OUT may then be addresses such as s3://bucket/scans. The
            same command continues an interrupted batch. Needs `pip install 'unblur[cluster]'`.
        report: Also write a report about all photographs: HTML with thumbnails, or JSON. Replaces an earlier report.
        json: Print one JSON object for each photograph instead of sentences.
        quiet: Print nothing but errors.
        generative: These options need --mode generative. Invented detail looks plausible and may be wrong.
    """
    from unblur.app.cluster.jobs import check_cluster_options, plan_stored_jobs, refuse_addresses
    from unblur.app.cluster.storage import open_storage
    from unblur.app.jobs import RESULT_SUFFIXES, UsageError, find_new_folder, plan_jobs, refuse_no_folders
    from unblur.app.pipes import DASH, connect, read_stdin
    from unblur.app.report_file import check_report_path
    from unblur.photos.writing import check_quality
    from unblur.restoration.blend import check_strength
    from unblur.restoration.tiles import check_tile_px

    if ray is not None:
        check_cluster_options(photos, output, ray, watch=watch, report=report)
    else:
        refuse_addresses(photos, output)
    if not photos:
        raise UsageError("No photograph named; try: unblur photo.jpg")
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other; use one.")
    check_strength(strength)
    if tile != "auto":
        check_tile_px(tile)
    check_quality(quality)
    if quality is not None and format in LOSSLESS:
        raise UsageError(f"--quality has no meaning with --format {format}, which loses nothing; leave it out.")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs} restores nothing; use 1 or more.")
    if mode == "generative":
        if runtime not in ("auto", "torch"):
            raise UsageError(f"--mode generative runs in PyTorch only; leave out --runtime {runtime}.")
        generative.check()
    else:
        generative.refuse()
    if report is not None:
        check_report_path(report)
    if watch:
        refuse_no_folders(photos)
    suffix = RESULT_SUFFIXES[mode] if suffix is None else suffix
    uncertainty = generative.uncertainty is not None
    choice = RestorerChoice(
        mode=mode, checkpoint=checkpoint, device=device, shake=shake, runtime=runtime, generative=generative
    )
    piped = read_stdin(photos)
    to_stdout = output == DASH or (piped is not None and output is None)
    new_folder = None if output is None or to_stdout or ray is not None else find_new_folder(output)

    def plan() -> "list[Job]":
        planned = plan_jobs(
            (piped.name,) if piped else photos,
            output=None if to_stdout else output,
            recursive=recursive,
            suffix=suffix,
            extension=format,
            compare=compare,
            uncertainty=uncertainty,
            watched=watch,
        )
        return connect(planned, piped, to_stdout=to_stdout, json=json)

    if ray is not None:
        assert output is not None
        import_ray()
        results = open_storage(output)
        stored = plan_stored_jobs(
            photos,
            results,
            recursive=recursive,
            suffix=suffix,
            extension=format,
            compare=compare,
            uncertainty=uncertainty,
        )
    else:
        planned = plan()

    from unblur.app.interruption import Interruption, end_at_once

    with end_at_once():
        from unblur.app.batch import Reporting, run_batch
        from unblur.app.cluster.restore import ClusterWork, restore_on_cluster
        from unblur.app.restore_job import JobRunner, JobSettings
        from unblur.app.watch import watch_folders

    settings = JobSettings(
        mode=mode,
        strength=strength,
        tile=tile,
        quality=quality,
        skip_existing=skip_existing,
        overwrite=overwrite,
        leave_sharp=checkpoint is None and not restore_sharp,
        make_thumbnails=report is not None and report.suffix.lower() != ".json",
    )
    if ray is not None:
        work = ClusterWork.choose(choice, settings, results)
        with connect_to_ray(ray) as cluster:
            return restore_on_cluster(cluster, stored, work, workers=jobs, quiet=quiet, json_lines=json)
    reporting = Reporting(quiet=quiet, json_lines=json, to_stdout=not to_stdout, file=report, new_folder=new_folder)
    runner = JobRunner(settings, choice.load)
    if watch:
        return watch_folders(plan, runner, reporting, threads=jobs or 1)
    with Interruption() as interruption:
        return run_batch(planned, runner, reporting, interruption, threads=jobs or 1)[0]
