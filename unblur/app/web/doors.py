"""Access control of the web page: every request to the server passes here first.

A page on this computer can be reached by every web site that its user visits. Therefore requests have to name this
computer (DNS rebinding names another), come from the page itself (not from another site), carry the password if there
is one, be of a limited size, and request an address that the page needs; others are refused in a sentence.
"""

import asyncio
import base64
import binascii
import hmac
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unblur.service.addresses import OwnNames, comes_from_elsewhere

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LARGEST_UPLOAD_BYTES = 500_000_000
"""The largest request in bytes, which may bring several photographs."""
LARGEST_CALL_BYTES = 1_000_000
"""The largest request without photographs in bytes."""
LEAST_FREE_BYTES = 1_000_000_000
"""Room on the disk that uploads have to leave."""

_NEEDED = re.compile(
    r"/(?:|config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|(?:assets|static|svelte)/.+"
    r"|gradio_api/(?:info/?|upload|upload_progress|queue/join|queue/data|(?:run|api)/predict/?|cancel|reset/?|app_id/?|login_check/?"
    r"|heartbeat/[\w-]{1,64}|file=.+))"
)
"""Addresses that the page and its clients request; monitoring, schemas and everything else in Gradio are closed."""
_UPLOAD = "/gradio_api/upload"
_CALL = re.compile(r"/gradio_api/(?:queue/join|(?:run|api)/predict/?)")
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([\w-]{1,64})")
_SESSION = re.compile(r"[\w-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST"})
_FAILURE_DELAY_S = 1.0
"""Delay after a wrong password, which slows down guessing."""

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; "
        b"connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The reason why a request is refused: an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True)
class Presence:
    """The visitors who have the page open, by the heartbeat of their browsers."""

    connections: Counter[str] = field(default_factory=Counter)

    def __contains__(self, session: object) -> bool:
        return isinstance(session, str) and self.connections[session] > 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.connections)

    def __len__(self) -> int:
        return len(self.connections)


class Doors:
    """Access control in front of `app`, an ASGI application; adds headers by which browsers protect a page."""

    def __init__(
        self,
        app: Application,
        *,
        host: str,
        password: str | None,
        calls: Iterable[int],
        folder: Path,
        presence: Presence,
    ) -> None:
        """Wrap `app`, served at the address `host`; `calls` are the page's functions, `folder` receives uploads."""
        self._app = app
        self._names = OwnNames(host)
        self._password = password
        self._calls = frozenset(calls)
        self._folder = folder
        self._presence = presence

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request of the ASGI server, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # The page needs no other kind of connection.
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send, scope["path"])
        try:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            await self._check(scope, headers)
            receive = _record_disconnect(await self._check_body(scope, headers, receive), answer)
            with _Heartbeat(self._presence, scope["path"]):
                await self._app(scope, receive, answer)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except Exception as error:
            if answer.nobody_waits:
                return  # Visitors may leave in the middle of an upload.
            # The server's log would hold pages of traceback for a request that anybody can make.
            sys.stderr.write(f"unblur: a request failed ({type(error).__name__}).\n")
            await answer.refuse(Refusal(500, "The page could not answer this request."))

    async def _check(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> None:
        """Raise Refusal for a request that is not allowed, whatever its body."""
        host = headers.get("host", "")
        if not self._names.include(host):
            raise Refusal(421, "This page has no such name; open it under the address that unblur printed.")
        if comes_from_elsewhere(headers.get("origin"), host):
            raise Refusal(403, "This request comes from another web site, which may not use this page.")
        if scope["method"] not in _METHODS:
            raise Refusal(405, "This page answers GET, HEAD and POST alone.")
        if self._password is not None and not _has_password(headers.get("authorization", ""), self._password):
            await asyncio.sleep(_FAILURE_DELAY_S if "authorization" in headers else 0)
            raise Refusal(401, "This page needs the password that unblur was started with.")
        if not _NEEDED.fullmatch(scope["path"]):
            raise Refusal(404, "There is nothing at this address.")

    async def _check_body(self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive) -> Receive:
        """Return a checked `receive`. Raises Refusal for bodies that are too large, and for unknown calls."""
        if scope["method"] != "POST":
            return receive
        most = LARGEST_UPLOAD_BYTES if scope["path"] == _UPLOAD else LARGEST_CALL_BYTES
        announced = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,15}", announced) or int(announced) > most:
            raise _make_size_refusal(most)
        if scope["path"] == _UPLOAD:
            if shutil.disk_usage(self._folder).free < LEAST_FREE_BYTES + int(announced):
                raise Refusal(507, "The disk of the computer that serves this page is full; try again later.")
            return _limit(receive, most)
        body = await _read(_limit(receive, most))
        if _CALL.fullmatch(scope["path"]):
            self._check_call(body)
        return _replay(body, receive)

    def _check_call(self, body: bytes) -> None:
        try:
            call = json.loads(body)
        except (ValueError, RecursionError):
            call = None
        if not isinstance(call, dict) or not isinstance(call.get("data"), list):
            raise Refusal(422, "This is not a call of one of the page's functions.")
        if type(call.get("fn_index")) is not int or call["fn_index"] not in self._calls:
            raise Refusal(404, "The page has no function of this number.")
        session = call.get("session_hash")
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            raise Refusal(422, "This call names no session.")


class _Answer:
    """The response to one request, with protecting headers, and without permission for other sites to read it."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self._has_begun = False
        self.nobody_waits = False
        """True if the visitor has disconnected."""
        # Photographs must not enter the caches of browsers.
        self._is_private = path.startswith("/gradio_api/")
        self._is_call = _CALL.fullmatch(path) is not None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_begun = True
            added = _HEADERS + (((b"cache-control", b"no-store"),) if self._is_private else ())
            own = {name for name, _ in added}
            retained = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() not in own and not name.lower().startswith(b"access-control-")
            ]
            # The page's own functions answer mistakes of their own with a sentence: what is left is a call with
            # contradictory arguments.
            status = 400 if self._is_call and message["status"] == 500 else message["status"]
            message = {**message, "status": status, "headers": [*retained, *added]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Respond with the refusal, unless a response has begun."""
        if self._has_begun:
            return
        body = json.dumps({"detail": refusal.sentence}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refusal.status == 401:
            headers.append((b"www-authenticate", b'Basic realm="unblur", charset="UTF-8"'))
        # The unread rest of the body would be parsed as the next request.
        headers.append((b"connection", b"close"))
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


class _Heartbeat:
    """Context in which a visitor counts as present, if `path` is the address of a heartbeat."""

    def __init__(self, presence: Presence, path: str) -> None:
        match = _HEARTBEAT.fullmatch(path)
        self._session = match[1] if match else None
        self._connections = presence.connections

    def __enter__(self) -> None:
        if self._session is not None:
            self._connections[self._session] += 1

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._connections[self._session] -= 1
            if self._connections[self._session] <= 0:
                del self._connections[self._session]


def _has_password(authorization: str, password: str) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, password.encode())


def _make_size_refusal(most: int) -> Refusal:
    return Refusal(413, f"This is too much at once; the page takes at most {most / 1e6:.0f} MB.")


def _limit(receive: Receive, most: int) -> Receive:
    """Wrap `receive` so that it raises Refusal after more than `most` bytes."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise _make_size_refusal(most)
        return message

    return receive_limited


def _record_disconnect(receive: Receive, answer: _Answer) -> Receive:
    """Wrap `receive` so that it records in `answer` when the visitor disconnects."""

    async def receive_and_record() -> Message:
        message = await receive()
        answer.nobody_waits = answer.nobody_waits or message["type"] == "http.disconnect"
        return message

    return receive_and_record


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "The request ended too early.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields `body` once, and then everything from the original `receive`."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again
