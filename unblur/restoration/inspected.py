"""The restoration of a photograph together with the report on its blur."""

from dataclasses import replace

from unblur.photos.photo import Photo
from unblur.restoration.inspect import SMALLEST_PX, BlurInspector
from unblur.restoration.picture_restorer import PictureRestorer, Restoration
from unblur.restoration.tiled import Progress, Tile


def restore_inspected(
    restorer: PictureRestorer,
    inspector: BlurInspector,
    photo: Photo,
    strength: float,
    tile: Tile,
    progress: Progress,
    *,
    leave_sharp: bool,
) -> Restoration:
    """Restore a photograph, and report its blur in `Restoration.blur` unless it is too small to show it.

    With `leave_sharp`, a photograph that is surely sharp is returned unchanged. Arguments and errors are those of
    `PictureRestorer.restore_photo`.
    """
    if min(photo.width, photo.height) < SMALLEST_PX:
        return restorer.restore_photo(photo, strength, tile, progress)
    report = inspector.inspect(photo)
    if leave_sharp and report.is_surely_sharp:
        return Restoration(
            photo=photo, seconds=0.0, tile_px=0, change=0.0, fallback_share=0.0, strength=strength, blur=report
        )
    restoration = restorer.restore_photo(photo, strength, tile, progress)
    if restoration.shake is not None:
        report = report.with_shake(restoration.shake)
    return replace(restoration, blur=report)
