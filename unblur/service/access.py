"""Access to the service: API keys, and protection from web sites where there are none."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.requests import Request

from unblur.errors import UnblurError
from unblur.service.addresses import OwnNames, comes_from_elsewhere, is_local
from unblur.service.refusals import Refusal

SHORTEST_KEY = 16
"""Letters of the shortest API key."""


class Access:
    """Access control for a service that listens at `host`, with API keys or, on this computer alone, without."""

    def __init__(self, host: str, keys: Sequence[str]) -> None:
        """Take over the keys. Raises UnblurError for short ones, and for none where others can reach the service."""
        if not keys and not is_local(host):
            raise UnblurError(
                f"Everybody who can reach {host} could use the service; set UNBLUR_API_KEY or --key-file FILE, "
                "or leave out --host."
            )
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise UnblurError(
                f"An API key has fewer than {SHORTEST_KEY} letters and could be guessed; use a longer one, for example "
                "of `openssl rand -hex 32`."
            )
        # Only digests, of equal length, are compared, and no key lies in memory that an error could show.
        self._digests = [_digest(key.encode()) for key in keys]
        self._names = OwnNames(host)

    def identify_client(self, request: Request) -> str:
        """Return a name for the client of a request, the same for all its requests. Raises Refusal if it may not enter.

        Without keys, requests have to name this computer and not come from a web site, which a browser on this computer
        may have open.
        """
        address = request.client.host if request.client else "unknown"
        if self._digests:
            return f"{self._check_key(request)} {address}"
        host = request.headers.get("host", "")
        if not self._names.include(host):
            raise Refusal(421, "The service has no such name; use the address that unblur printed.")
        if comes_from_elsewhere(request.headers.get("origin"), host):
            raise Refusal(403, "This request comes from a web site, which may not use the service.")
        return address

    def _check_key(self, request: Request) -> int:
        """Return the number of the request's key. Raises Refusal without one, or for an unknown one."""
        given = request.headers.get("x-api-key")
        if given is None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise Refusal(401, "An API key is missing; send it as Authorization: Bearer KEY, or as X-API-Key: KEY.")
        digest = _digest(given.strip().encode("latin-1", "replace"))
        # Every key is compared, so that the time does not depend on which one fits.
        fits = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(fits):
            raise Refusal(401, "The API key is not known; check it, or ask who runs the service for one.")
        return fits.index(True)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
