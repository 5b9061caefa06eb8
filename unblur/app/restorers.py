"""The networks of the page and of the service, shared by all requests, and the reasons why a mode is not available."""

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from unblur.app.web.estimates import Speeds
from unblur.names import Mode, Runtime, ShakeChoice
from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer


class Restorers:
    """The networks, each loaded when it is first used and shared by all requests."""

    def __init__(
        self,
        checkpoint: str | None,
        device: str,
        generative: GenerativeSettings | None = None,
        runtime: Runtime = "auto",
    ) -> None:
        """Take other weights for the modes that invent nothing in `checkpoint`, or None for the bundled ones.

        `generative` holds the settings of the mode generative, and `runtime` runs the network of the others.
        """
        self.speeds = Speeds()
        self._checkpoint, self._device = checkpoint, device
        self._generative, self._runtime = generative, runtime
        self._loaded: dict[tuple[Mode, ShakeChoice], Restorer | GenerativeRestorer] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """True while photographs of some visitor are being restored."""
        return self._turn.locked()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[None]:
        """Exclude other restorations in this context; `check`, which may raise, is called while waiting for them."""
        while not self._turn.acquire(timeout=0.1):
            check()
        try:
            yield
        finally:
            self._turn.release()

    def get(self, mode: Mode, shake: ShakeChoice = "auto") -> Restorer | GenerativeRestorer:
        """Return the restorer of a mode; `shake` selects whether camera shake is solved.

        Raises UnblurError when weights or a package are missing.
        """
        with self._lock:
            if (mode, shake) not in self._loaded:
                self._loaded[mode, shake] = (
                    load(device=self._device, mode="generative", shake=shake, generative=self._generative)
                    if mode == "generative"
                    else load(self._checkpoint, self._device, mode=mode, shake=shake, runtime=self._runtime)
                )
            return self._loaded[mode, shake]


def find_obstacle(mode: Mode) -> str | None:
    """Return why a mode is not available in this installation, in a few words; None where it is."""
    # Without importing the library, which takes seconds.
    if mode == "generative" and importlib.util.find_spec("diffusers") is None:
        return "Not available: run pip install 'unblur[generative]' and start the page again."
    return None
