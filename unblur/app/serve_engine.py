"""The restorer of the service: the stages of `unblur restore` for one photograph after the other."""

from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from unblur.app.jobs import Job
from unblur.app.pipes import find_suffix
from unblur.app.report import Outcome, describe_outcome
from unblur.app.restore_job import JobRunner, JobSettings
from unblur.app.restorers import Restorers
from unblur.photos.formats import choose_result_suffix
from unblur.photos.opening import read_source
from unblur.photos.photo import Photo
from unblur.restoration.generative import GenerativeRestorer
from unblur.restoration.inspect import BlurInspector
from unblur.restoration.picture_restorer import Restoration
from unblur.restoration.restorer import Restorer
from unblur.service.engine import Report, RestoredFile
from unblur.service.options import Format, Options

NAME = "photograph"
"""Name of all photographs in messages; their own are not sent."""

WARM_PX = 256
"""Side of the picture that is restored before the first photograph: PyTorch prepares much at its first use."""

_REPORTED = {field.name for field in fields(Outcome)} & set(Report.model_fields)


class RestoringEngine:
    """Engine that restores photographs as `unblur restore` does."""

    def __init__(self, restorers: Restorers, *, leave_sharp: bool, most_pixels: int) -> None:
        """Take over the restorers. Without `leave_sharp`, sharp photographs are restored, too."""
        self._restorers = restorers
        self._leave_sharp = leave_sharp
        self._most_pixels = most_pixels
        self._inspector: BlurInspector | None = None

    def load(self) -> None:
        """Load the networks of the default options, and restore a picture with them. Raises UnblurError."""
        self._inspector = BlurInspector()
        pixels = np.random.default_rng(0).integers(0, 256, (WARM_PX, WARM_PX, 3), np.uint8)
        self._restorers.get("faithful").restore_photo(Photo(pixels=pixels))

    def identify(self, content: bytes) -> Format:
        """Return the format of results for a file. Raises UnblurError for files that are not photographs."""
        suffix = choose_result_suffix(_find_suffix(content))
        return cast(Format, suffix.removeprefix("."))

    def decode(self, content: bytes, options: Options, result_format: Format) -> "DecodedPhoto":
        """Decode a file. Raises UnblurError for damaged ones, and those that the result's format cannot hold."""
        settings = JobSettings(
            mode=options.mode,
            strength=options.strength,
            quality=options.quality,
            overwrite=True,
            leave_sharp=self._leave_sharp and not options.restore_sharp,
            most_pixels=self._most_pixels,
        )
        job = Job(
            source=Path(f"{NAME}{_find_suffix(content)}"),
            output=Path(f"{NAME}.{result_format}"),
            compare=None,
            uncertainty=None,
            content=content,
            to_stdout=True,
        )
        runner = JobRunner(settings, partial(self._get_restorer, options), self._inspector)
        return DecodedPhoto(runner, job, runner.read(job))

    def _get_restorer(self, options: Options) -> Restorer | GenerativeRestorer:
        restorer = self._restorers.get(options.mode, options.shake)
        if isinstance(restorer, GenerativeRestorer) and options.fidelity is not None:
            return restorer.with_fidelity(options.fidelity)
        return restorer


class DecodedPhoto:
    """A photograph of the service between its stages."""

    def __init__(self, runner: JobRunner, job: Job, photo: Photo) -> None:
        self._runner = runner
        self._job = job
        self._photo = photo
        self._restoration: Restoration | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self._photo.width * self._photo.height

    def restore(self, progress: Callable[[float], None]) -> None:
        """Restore the photograph; what `progress` raises ends this. Raises UnblurError."""
        self._runner.load()
        self._restoration = self._runner.restore(self._photo, progress)

    def encode(self) -> RestoredFile:
        """Encode the restored photograph. Raises UnblurError."""
        assert self._restoration is not None
        finished = self._runner.encode(self._job, self._photo, self._restoration)
        reported = {name: value for name, value in asdict(finished.outcome).items() if name in _REPORTED}
        ((_, content),) = finished.files
        return RestoredFile(content=content, report=Report(summary=describe_outcome(finished.outcome), **reported))


def _find_suffix(content: bytes) -> str:
    _, _, kind = read_source(content)
    return find_suffix(content, kind)
