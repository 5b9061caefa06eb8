"""The restorer that the options of `unblur restore` choose, as another process can load it, too."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unblur.app.generative_options import GenerativeOptions
from unblur.names import Mode, Runtime, ShakeChoice

if TYPE_CHECKING:
    from unblur.restoration.generative import GenerativeRestorer
    from unblur.restoration.restorer import Restorer


@dataclass(frozen=True, kw_only=True)
class RestorerChoice:
    """The options that decide which networks restore, and where they run."""

    mode: Mode
    checkpoint: str | None
    device: str
    shake: ShakeChoice
    runtime: Runtime
    generative: GenerativeOptions

    def load(self) -> "Restorer | GenerativeRestorer":
        """Load the networks. Raises UnblurError if something is missing or does not fit."""
        if self.mode == "generative":
            return self.generative.load(self.checkpoint, self.device, self.shake)
        from unblur.restoration.loading import load

        return load(self.checkpoint, self.device, mode=self.mode, shake=self.shake, runtime=self.runtime)
