"""Captioners: what a photograph shows, in words, from the user, from a file, or from a model (see the next file)."""

from typing import Protocol

from torch import Tensor

from unblur.datasets.captions import Caption, CaptionFile
from unblur.errors import UnblurError


class Captioner(Protocol):
    """Whoever says what a photograph shows."""

    @property
    def model(self) -> str:
        """By what name files remember it."""
        ...

    def caption(self, photo: Tensor, name: str) -> str:
        """A sentence or more. `photo`: (3, H, W) sRGB in [0, 1]; `name`: by what name files know it."""
        ...


class GivenCaption:
    """The same words for every photograph."""

    model = "given"

    def __init__(self, text: str) -> None:
        self.text = text

    def caption(self, photo: Tensor, name: str) -> str:  # noqa: ARG002 - the captioner's interface
        return self.text


class CachedCaptioner:
    """Captions from a file; another captioner, if there is one, is asked for what the file lacks, once."""

    def __init__(self, file: CaptionFile, captioner: Captioner | None = None) -> None:
        self.file, self.captioner = file, captioner

    @property
    def model(self) -> str:
        return str(self.file.path) if self.captioner is None else self.captioner.model

    def caption(self, photo: Tensor, name: str) -> str:
        """Raises UnblurError for a photograph that the file lacks when there is nobody to ask."""
        if found := self.file.of(name):
            return found.caption
        if self.captioner is None:
            raise UnblurError(f"{self.file.path} has no caption of {name}; add a line, or name a captioner.")
        said = self.captioner.caption(photo, name)
        self.file.add(Caption(photo=name, caption=said, model=self.captioner.model))
        return said
