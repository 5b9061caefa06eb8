"""`unblur video`: a video in, the same video with its blurred frames restored out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from unblur.app.options import CheckpointName, DeviceName, Flag, Quiet, Share, TilePx
from unblur.names import FrameChoice

if TYPE_CHECKING:
    from unblur.app.report import Outcome
    from unblur.restoration.restorer import Restorer
    from unblur.restoration.tiled import Progress
    from unblur.restoration.video import VideoSettings


def video(
    original: Annotated[Positional[Path], arg(metavar="VIDEO")],
    output: Annotated[Positional[Path], arg(metavar="OUT")],
    /,
    *,
    frames: Annotated[FrameChoice, arg(metavar="blurred|all")] = "blurred",
    strength: Share = 1.0,
    crf: Annotated[int, arg(metavar="0..51")] = 18,
    overwrite: Flag = False,
    device: DeviceName = "auto",
    tile: TilePx = "auto",
    checkpoint: CheckpointName = None,
    json: Flag = False,
    quiet: Quiet = False,
) -> int:
    """Restore the blurred frames of a video. After an interruption, the same command continues.

    Args:
        original: The video to restore: 8 bits a channel, no HDR.
        output: The file to write, MP4, MOV or MKV, with the sound and the subtitles of the original.
        frames: Which frames to restore: those that are blurrier than their neighbours, or all.
        strength: How much of the restoration to apply, from 0 (nothing) to 1 (all).
        crf: Quality of the H.264 encoding: 0 is lossless, and larger numbers make smaller files.
        overwrite: Replace an existing result, and start again instead of continuing an interrupted run.
        device: Where to compute: auto uses an accelerator if there is one.
        tile: Restore each frame in pieces of at most this many pixels a side; smaller pieces need less memory, 0 is one
            piece.
        checkpoint: Weights instead of the bundled ones: a folder, or a repository on the Hugging Face hub.
        json: Print one JSON object about the video instead of a sentence.
        quiet: Print nothing but errors.
    """
    from unblur.app.background import run_in_background
    from unblur.app.interruption import Interruption
    from unblur.app.jobs import UsageError
    from unblur.app.report import Report
    from unblur.restoration.blend import check_strength
    from unblur.restoration.loading import load
    from unblur.restoration.tiles import check_tile_px
    from unblur.restoration.video import VideoSettings, make_parts_path
    from unblur.videos.encoded_frames import Encoding, check_crf
    from unblur.videos.video_file import load_av

    check_strength(strength)
    check_crf(crf)
    if tile != "auto":
        check_tile_px(tile)
    load_av()
    if output.exists() and original.exists() and output.samefile(original):
        raise UsageError(f"{output} is the original, which is never overwritten; give another name.")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} is there already; add --overwrite to replace it.")
    settings = VideoSettings(frames=frames, strength=strength, tile=tile, encoding=Encoding(crf=crf))
    # Whether shake is solved differs from frame to frame, which would flicker.
    restorer = load(checkpoint, device, shake="off")
    with Report(1, quiet=quiet, json_lines=json) as report, Interruption() as interruption:
        report.begin(original)
        try:
            outcome = run_in_background(
                lambda progress: _restore(original, output, restorer, settings, progress, overwrite),
                report,
                interruption,
            )
        except KeyboardInterrupt:
            return report.interrupt(f"type the same command again to go on from what {make_parts_path(output)} holds.")
        report.add(outcome)
        return report.finish()


def _restore(
    original: Path,
    output: Path,
    restorer: "Restorer",
    settings: "VideoSettings",
    progress: "Progress",
    overwrite: bool,
) -> "Outcome":
    from unblur.app.report import Outcome, describe_error
    from unblur.restoration.video import restore_video

    try:
        result = restore_video(original, output, restorer, settings, progress, starts_again=overwrite)
    except Exception as error:
        # Reported as a failure of this file, as `unblur restore` does, even if it is a fault of the program.
        return Outcome(input=str(original), output=str(output), status="failed", error=describe_error(error))
    return Outcome(
        input=str(original),
        output=str(output),
        status="ok",
        mode="faithful",
        width=result.width,
        height=result.height,
        seconds=round(result.seconds, 3),
        strength=settings.strength,
        checkpoint=restorer.checkpoint_sha256,
        frames=result.frames,
        restored_frames=result.restored_frames,
        left_behind=result.left_behind,
    )
