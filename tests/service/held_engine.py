"""An engine that a test can hold, and photographs."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from unblur.errors import UnblurError
from unblur.service.application import Service
from unblur.service.engine import Report, RestoredFile
from unblur.service.options import Format, Options

ROOT = Path(__file__).parents[2]

MOST_PIXELS = 20_000
"""Pixels of the largest photograph of the services with the real restorer."""

MakeClient = Callable[..., tuple[TestClient, Service]]


class HeldEngine:
    """An engine that returns each file as it is, once `may_go` is set."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.may_go.set()
        self.reports_progress = True
        self.begun = threading.Semaphore(0)
        self.stopped = threading.Event()
        self.order: list[bytes] = []
        self.decoded = 0
        self.most_decoded = 0
        self._lock = threading.Lock()

    def load(self) -> None:
        pass

    def identify(self, content: bytes) -> Format:
        if content.startswith(b"no"):
            raise UnblurError("That is no photograph; give another.")
        return "png"

    def decode(self, content: bytes, options: Options, result_format: Format) -> "HeldPhoto":  # noqa: ARG002
        with self._lock:
            self.decoded += 1
            self.most_decoded = max(self.decoded, self.most_decoded)
        return HeldPhoto(self, content)

    def finish(self) -> None:
        with self._lock:
            self.decoded -= 1


class HeldPhoto:
    pixels = 100

    def __init__(self, engine: HeldEngine, content: bytes) -> None:
        self._engine = engine
        self._content = content

    def restore(self, progress: Callable[[float], None]) -> None:
        self._engine.order.append(self._content)
        self._engine.begun.release()
        try:
            while not self._engine.may_go.wait(0.005):
                if self._engine.reports_progress:
                    progress(0.5)
            if self._content.startswith(b"defect"):
                raise KeyError(self._content)
            if self._content.startswith(b"memory"):
                raise MemoryError
        except BaseException:
            self._engine.stopped.set()
            raise

    def encode(self) -> RestoredFile:
        self._engine.finish()
        report = Report(
            summary="as it was",
            mode="fast",
            width=10,
            height=10,
            seconds=0.0,
            strength=1.0,
            change=0.0,
            hardly_changed=True,
            unchanged_because="it is sharp",
            fallback_share=0.0,
            left_behind=("the video",),
        )
        return RestoredFile(content=self._content, report=report)


def encode_photo(kind: str = "jpeg", width: int = 96, height: int = 80, left: int = 0) -> bytes:
    """Return the content of a file with a part of a blurry photograph."""
    with Image.open(ROOT / "examples" / "reds_blurry.png") as blurry:
        data = io.BytesIO()
        blurry.crop((left, 0, left + width, height)).save(data, kind)
    return data.getvalue()


def read_pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)
