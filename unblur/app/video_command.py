"""`unblur video`: a video in, the same video with its blurred frames restored out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from unblur.app.restore_command import CheckpointName, DeviceName, Flag
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
    strength: Annotated[float, arg(metavar="0..1")] = 1.0,
    crf: Annotated[int, arg(metavar="0..51")] = 18,
    overwrite: Flag = False,
    device: DeviceName = "auto",
    tile: Annotated[Literal["auto"] | int, arg(metavar="auto|N|0")] = "auto",
    checkpoint: CheckpointName = None,
    json: Flag = False,
    quiet: Flag = False,
) -> int:
    """Restore the blurred frames of a video. An interrupted run goes on when the same command is typed again.

    Args:
        original: The video to restore: 8 bits a channel, no HDR.
        output: The file to write, MP4, MOV or MKV, with the sound and the subtitles of the original.
        frames: Which frames to restore: those that are blurrier than their neighbours, or all.
        strength: How much of the restoration to use.
        crf: Quality of the H.264 encoding: 0 is lossless, larger numbers make smaller files.
        overwrite: Replace a result that is there already, and drop what an interrupted run left.
        device: Where to compute; auto takes an accelerator if there is one.
        tile: Pixels on the longest side of the pieces a frame is restored in; 0 is in one piece.
        checkpoint: Other weights: a folder here, or a repository on the Hugging Face hub.
        json: Write one JSON object about the video to stdout, and nothing else.
        quiet: Say nothing but errors.
    """
    from unblur.app.interruption import Interruption
    from unblur.app.jobs import UsageError
    from unblur.app.report import Report
    from unblur.restoration.blend import check_strength
    from unblur.restoration.loading import load
    from unblur.restoration.tiles import check_tile_px
    from unblur.restoration.video import VideoSettings, parts_folder
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

        def progress(share: float) -> None:
            interruption.check()
            report.progress(share)

        report.begin(original)
        try:
            outcome = _restore(original, output, restorer, settings, progress, overwrite)
        except KeyboardInterrupt:
            return report.interrupt(f"type the same command again to go on from what {parts_folder(output)} holds.")
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
        result = restore_video(original, output, restorer, settings, progress, starts_anew=overwrite)
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
