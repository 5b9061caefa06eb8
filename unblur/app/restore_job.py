"""The restoration of one photograph of a batch, in stages that different threads may run."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unblur.app.advice import explain_unchanged, suggest_mode
from unblur.app.jobs import Job
from unblur.app.previews import make_thumbnail
from unblur.app.report import Outcome
from unblur.names import Mode
from unblur.photos.photo import Photo
from unblur.photos.reading import MAX_PIXELS, read_photo
from unblur.photos.writing import check_format, encode_photo, list_left_behind, write_encoded
from unblur.restoration.generative import GenerativeRestorer
from unblur.restoration.inspect import BlurInspector
from unblur.restoration.inspected import restore_inspected
from unblur.restoration.picture_restorer import Restoration
from unblur.restoration.restorer import Restorer
from unblur.restoration.tiled import Progress, Tile
from unblur.restoration.uncertainty import render_uncertainty

THUMBNAIL_PX = 120_000
"""Pixels of a thumbnail, 400 x 300."""

THUMBNAIL_NAME, THUMBNAIL_QUALITY = Path("thumbnail.webp"), 80


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Settings of all jobs of a batch, by default those of the command line."""

    mode: Mode = "faithful"
    strength: float = 1.0
    tile: Tile = "auto"
    quality: int | None = None
    """Quality of lossy formats, None for their default."""
    skip_existing: bool = False
    overwrite: bool = False
    leave_sharp: bool = True
    """True if photographs that the blur report is certain are sharp are returned unchanged."""
    make_thumbnails: bool = False
    most_pixels: int = MAX_PIXELS
    """Pixels of the largest photograph that is read."""


@dataclass(frozen=True, kw_only=True)
class Thumbnails:
    """WebP files of a photograph before and after restoration."""

    before: bytes
    after: bytes


@dataclass(frozen=True, kw_only=True)
class FinishedJob:
    """The files of a job, encoded, and its outcome once they are written."""

    outcome: Outcome
    files: tuple[tuple[Path, bytes], ...] = ()
    thumbnails: Thumbnails | None = None


class JobRunner:
    """Runner of the stages of jobs. `restore` is called by one thread at a time, the others by any number."""

    def __init__(
        self,
        settings: JobSettings,
        load: Callable[[], Restorer | GenerativeRestorer],
        inspector: BlurInspector | None = None,
    ) -> None:
        """Take over `load`, which loads the network; it is called when the first photograph is to be restored.

        None as the inspector loads one with the network.
        """
        self._settings = settings
        self._load = load
        self._restorer: Restorer | GenerativeRestorer | None = None
        self._inspector = inspector

    def skips(self, job: Job) -> bool:
        """Return whether the job has a result already that is not to be replaced."""
        return not self._settings.overwrite and (job.output.exists() or job.output.is_symlink())

    def check_existing(self, job: Job) -> Outcome | None:
        """Return the outcome if a result exists already, before any time is spent; None if there is work to do."""
        there = [] if self._settings.overwrite else [path for path in job.targets if path.exists() or path.is_symlink()]
        if not there:
            return None
        if self._settings.skip_existing and job.output in there:
            return Outcome(input=job.input_name, output=job.output_name, status="skipped")
        return fail(job, f"{there[0]} is there already; add --overwrite to replace it or --skip-existing to keep it.")

    def read(self, job: Job) -> Photo:
        """Read the photograph. Raises UnblurError if it cannot be read, or not be written in the result's format."""
        photo = read_photo(job.source if job.content is None else job.content, most_pixels=self._settings.most_pixels)
        # Reported here, not after minutes of work.
        check_format(photo, job.output)
        return photo

    def load(self) -> None:
        """Load the networks if they are not loaded. Raises UnblurError if they cannot be loaded."""
        if self._restorer is None:
            self._restorer = self._load()
            self._inspector = self._inspector or BlurInspector()

    def restore(self, photo: Photo, progress: Progress) -> Restoration:
        """Restore the photograph by the network, which is loaded. Raises UnblurError, and what `progress` raises."""
        assert self._restorer is not None
        assert self._inspector is not None
        settings = self._settings
        return restore_inspected(
            self._restorer,
            self._inspector,
            photo,
            settings.strength,
            settings.tile,
            progress,
            leave_sharp=settings.leave_sharp,
        )

    def encode(self, job: Job, photo: Photo, restoration: Restoration) -> FinishedJob:
        """Encode the files of a restored photograph. Raises UnblurError if a format cannot hold them."""
        settings = self._settings
        restored = restoration.photo
        files = [(job.output, encode_photo(restored, job.output, settings.quality))]
        if job.uncertainty and restoration.uncertainty is not None:
            files.append((job.uncertainty, encode_photo(render_uncertainty(restoration.uncertainty), job.uncertainty)))
        if job.compare:
            both = join_side_by_side(photo, restored)
            files.append((job.compare, encode_photo(both, job.compare, settings.quality)))
        thumbnails = None
        if settings.make_thumbnails:
            thumbnails = Thumbnails(before=_encode_thumbnail(photo), after=_encode_thumbnail(restored))
        outcome = replace(self._make_outcome(job, restoration), left_behind=list_left_behind(restored, job.output))
        return FinishedJob(outcome=outcome, files=tuple(files), thumbnails=thumbnails)

    def _make_outcome(self, job: Job, restoration: Restoration) -> Outcome:
        restorer = self._restorer
        assert restorer is not None
        outcome = Outcome(
            input=job.input_name,
            output=job.output_name,
            compare=str(job.compare) if job.compare else None,
            uncertainty=str(job.uncertainty) if job.uncertainty else None,
            mode=self._settings.mode,
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
        outcome = _add_blur(outcome, self._settings.mode, restoration)
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


def write_files(job: Job, finished: FinishedJob) -> None:
    """Write the encoded files of a job, or its photograph to stdout. Raises UnblurError, and BrokenPipeError there."""
    if job.to_stdout:
        for _, data in finished.files:
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    job.output.parent.mkdir(parents=True, exist_ok=True)
    for path, data in finished.files:
        write_encoded(data, path)


def fail(job: Job, error: str) -> Outcome:
    """Return the outcome of a job that failed."""
    return Outcome(input=job.input_name, output=job.output_name, status="failed", error=error)


def join_side_by_side(before: Photo, after: Photo) -> Photo:
    """Return one photograph with `before` on the left, `after` on the right and a white line between."""
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


def _add_blur(outcome: Outcome, mode: Mode, restoration: Restoration) -> Outcome:
    """Return the outcome with the kind of blur, why the result is unchanged if it is, and a mode that suits better."""
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


def _encode_thumbnail(photo: Photo) -> bytes:
    return encode_photo(make_thumbnail(photo, THUMBNAIL_PX), THUMBNAIL_NAME, THUMBNAIL_QUALITY)
