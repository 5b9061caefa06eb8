"""The ASGI application around that of the service: it reads refused bodies, counts the answers and writes the log."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

DISCARD_S = 10.0
"""Time in seconds for the rest of a body that nobody reads."""

CLIENT_GONE = 499
"""Status in the log and the metrics of requests whose client went away, as in other servers."""

_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Exchanges:
    """Application around `app` that lets every client read its answer, counts the answers and writes the log.

    A client that is refused while it still sends its photograph would see a broken connection instead of the reason.
    So the rest of such a body is received and discarded first, up to `most_bytes`.
    """

    def __init__(
        self, app: Application, *, most_bytes: int, path: str, on_status: Callable[[int], None], quiet: bool
    ) -> None:
        """Wrap `app`; requests for `path` are counted by `on_status`, and logged unless `quiet`."""
        self._app = app
        self._most_bytes = most_bytes
        self._path = path
        self._on_status = on_status
        self._quiet = quiet
        self.open = 0
        """Number of requests whose answers have not been sent yet."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request of the ASGI server."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.open += 1
        began = time.monotonic()
        exchange = _Exchange(receive, send, self._most_bytes, _waits_for_permission(scope))
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # The answer has been sent. A message could quote the request, and a server would log it.
            sys.stderr.write(f"unblur: a request failed ({type(error).__name__}).\n")
        finally:
            self.open -= 1
            if scope["path"] == self._path and exchange.status is not None:
                self._on_status(exchange.status)
                if not self._quiet:
                    seconds = time.monotonic() - began
                    sys.stderr.write(f"unblur: {scope['method']} {self._path} {exchange.status} {seconds:.2f} s\n")


class _Exchange:
    """The messages of one request."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int, waits_for_permission: bool) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._has_rest = True
        # Such a client sends nothing before it is asked to, which reading the body does.
        self._may_discard = not waits_for_permission
        self.status: int | None = None

    async def receive(self) -> Message:
        """Return the next message from the client."""
        self._may_discard = True
        message = await self._receive()
        self._has_rest = self._has_rest and message["type"] == "http.request" and bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        """Send a message to the client."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), *_HEADERS]
            if self._has_rest and self._may_discard:
                await self._discard_rest()
            if self._has_rest:
                # The rest of the body would be parsed as the next request.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def _discard_rest(self) -> None:
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                while self._has_rest and size <= self._most_bytes:
                    size += len((await self.receive()).get("body", b""))


def _waits_for_permission(scope: MutableMapping[str, Any]) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])
