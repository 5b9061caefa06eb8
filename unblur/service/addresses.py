"""Addresses that servers listen at: which are of this computer alone, and the socket."""

import ipaddress
import socket
from urllib.parse import urlsplit

from unblur.errors import UnblurError

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address. Raises UnblurError where that is not possible."""
    # The system would take a larger number modulo 65,536, and serve at another port.
    if not 1 <= port <= 65_535:
        raise UnblurError(f"There is no port {port}; give a --port from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UnblurError(
            f"Port {port} of {host} cannot be used: {reason}; give another --port, or another --host."
        ) from error
    return listening


def format_host(host: str) -> str:
    """Return the host in the form that addresses in a browser have."""
    if host in _EVERYWHERE:
        return "localhost"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def is_local(host: str) -> bool:
    """Return whether only this computer itself can reach a server that listens at `host`."""
    name = host.strip("[]").lower()
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


class OwnNames:
    """The names under which a server that listens at `host` may be requested.

    A web site can let a name of its own lead to this computer (DNS rebinding), but not change the Host header that
    browsers send with it.
    """

    def __init__(self, host: str) -> None:
        names = {"localhost", "127.0.0.1", "::1", host.strip("[]").lower()}
        self._takes_any_address = host in _EVERYWHERE
        if self._takes_any_address:
            own = socket.gethostname().lower()
            names |= {own, f"{own.partition('.')[0]}.local"}
        self._names = frozenset(names - _EVERYWHERE)

    def include(self, host_header: str) -> bool:
        """Return whether a request with this Host header names this server."""
        try:
            name = (urlsplit(f"//{host_header}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or (self._takes_any_address and _is_address(name))


def comes_from_elsewhere(origin: str | None, host_header: str) -> bool:
    """Return whether a browser sent the request for a page of another site; other programs send no Origin header."""
    return origin is not None and urlsplit(origin).netloc.lower() != host_header.lower()


def _is_address(name: str) -> bool:
    """Return whether `name` is a numeric address, which no web site can redirect."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
