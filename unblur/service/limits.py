"""The limits of the service."""

import math
from dataclasses import dataclass, fields

from unblur.errors import UnblurError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a request and of all requests together. Raises UnblurError for limits that admit nothing."""

    megabytes: float = 50.0
    """Size of an upload, in 1,000,000 bytes."""
    megapixels: float = 50.0
    """Size of a photograph, in 1,000,000 pixels."""
    queue: int = 16
    """Number of requests that may wait while one photograph is being restored."""
    per_client: int = 8
    """Number of requests of one client that may wait or be in work."""
    time_s: float = 300.0
    """Time of a request from its first byte to its answer, with the upload and the wait in the queue."""
    drain_s: float = 60.0
    """Time for the requests that are in work or waiting when the service is to end."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise UnblurError(f"There is no limit of {value:g} for {field.name}; use a number above 0.")

    @property
    def upload_bytes(self) -> int:
        """The largest upload in bytes."""
        return int(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """The largest photograph in pixels."""
        return int(self.megapixels * 1e6)

    @property
    def places(self) -> int:
        """Number of requests that may wait or be in work."""
        return self.queue + 1
