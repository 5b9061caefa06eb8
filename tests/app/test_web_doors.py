"""The page refuses requests of foreign sites and for files of others; requests are those that the server passes on."""

import asyncio
import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from unblur.app.cli import main
from unblur.app.web import doors
from unblur.app.web.doors import LARGEST_CALL_BYTES, LARGEST_UPLOAD_BYTES, Doors, Presence
from unblur.service.addresses import is_local

CALL = {"fn_index": 1, "data": [], "session_hash": "abc"}


async def answering(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that reads what it gets and tells how much that was, for any site to read."""
    size, more = 0, True
    while more and scope["method"] == "POST":
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(b"access-control-allow-origin", b"*"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def failing(scope: dict[str, Any], _: Any, __: Any) -> None:
    raise KeyError(scope["path"])


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.text = b"".join(message.get("body", b"") for message in messages[1:]).decode()


def ask(
    folder: Path,
    path: str = "/",
    method: str = "GET",
    *,
    name: str = "127.0.0.1:7860",
    listening: str = "127.0.0.1",
    password: str | None = None,
    app: Any = answering,
    parts: tuple[bytes, ...] = (b"",),
    length: str | None = None,
    headers: dict[str, str] | None = None,
    presence: Presence | None = None,
) -> Answer:
    """Return the response to one request to `name` of the page that listens at `listening`."""
    given = {"host": name} | (headers or {})
    if method == "POST":
        given["content-length"] = str(sum(map(len, parts))) if length is None else length
    raw = [(key.encode(), value.encode("latin-1")) for key, value in given.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    waiting = list(parts)
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        messages.append(message)

    visitors = Presence() if presence is None else presence
    doors = Doors(app, host=listening, password=password, calls=[1, 2], folder=folder, presence=visitors)
    asyncio.run(doors(scope, receive, send))
    return Answer(messages)


def call(folder: Path, body: object, path: str = "/gradio_api/queue/join", **more: Any) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(folder, path, "POST", parts=(data,), **more)


# --- where a request comes from ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "LOCALHOST:1"])
def test_names_of_this_computer_are_answered(tmp_path: Path, name: str) -> None:
    assert ask(tmp_path, name=name).status == 200


NAMES_OF_OTHERS = ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "192.168.0.9", "", "[", "x@evil"]


@pytest.mark.parametrize("name", NAMES_OF_OTHERS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/config"), ("POST", "/gradio_api/upload"), ("OPTIONS", "/")])
def test_other_names_are_refused(tmp_path: Path, name: str, method: str, path: str) -> None:
    answer = ask(tmp_path, path, method, name=name)
    assert answer.status == 421
    assert "access-control-allow-origin" not in answer.headers


def test_the_given_host_is_a_name_too(tmp_path: Path) -> None:
    assert ask(tmp_path, name="photos.lan:7860", listening="photos.lan").status == 200
    assert ask(tmp_path, name="other.lan:7860", listening="photos.lan").status == 421


@pytest.mark.parametrize(("name", "status"), [("192.168.0.9:7860", 200), ("[fe80::1]", 200), ("evil.example", 421)])
def test_an_open_page_is_served_under_numeric_addresses(tmp_path: Path, name: str, status: int) -> None:
    assert ask(tmp_path, name=name, listening="0.0.0.0").status == status


ORIGINS_OF_OTHERS = ["https://evil.example", "null", "http://127.0.0.1:8000", "http://localhost:7860", "garbage", ""]


@pytest.mark.parametrize("origin", ORIGINS_OF_OTHERS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/config"), ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("OPTIONS", "/config")],
)
def test_other_sites_are_refused(tmp_path: Path, origin: str, method: str, path: str) -> None:
    answer = ask(tmp_path, path, method, headers={"origin": origin})
    assert answer.status == 403
    assert not [header for header in answer.headers if header.startswith("access-control")]


def test_the_page_itself_may_upload_and_call(tmp_path: Path) -> None:
    own = {"origin": "http://127.0.0.1:7860"}
    assert ask(tmp_path, "/gradio_api/upload", "POST", parts=(b"ab", b"c"), headers=own).text == "3"
    assert call(tmp_path, CALL, headers=own).text == str(len(json.dumps(CALL)))
    # Behind a server that adds encryption.
    assert call(tmp_path, CALL, headers={"origin": "https://127.0.0.1:7860"}).status == 200


# --- what is asked for ---------------------------------------------------------------------------------------

CLOSED = [
    "/monitoring",
    "/gradio_api/monitoring",
    "/monitoring/summary",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/gradio_api/openapi.json",
    "/gradio_api/proxy=https://example.org",
    "/gradio_api/vibe-code/",
    "/gradio_api/process_recording",
    "/gradio_api/component_server",
    "/gradio_api/profiling/traces",
    "/gradio_api/mcp/",
    "/gradio_api/runs",
    "/gradio_api/deep_link",
    "/../../etc/passwd",
    "/config/x",
    "//",
]


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_addresses_that_the_page_does_not_need_are_closed(tmp_path: Path, path: str, method: str) -> None:
    assert ask(tmp_path, path, method).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
def test_other_methods_are_refused(tmp_path: Path, method: str) -> None:
    assert ask(tmp_path, "/", method).status == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (CALL | {"fn_index": 99}, 404),
        (CALL | {"fn_index": -1}, 404),
        (CALL | {"fn_index": "1"}, 404),
        (CALL | {"fn_index": True}, 404),
        (CALL | {"fn_index": None}, 404),
        (CALL | {"session_hash": None}, 422),
        (CALL | {"session_hash": "../../x"}, 422),
        (CALL | {"session_hash": "x" * 65}, 422),
        (CALL | {"data": None}, 422),
        ([], 422),
        (b"", 422),
        (b"\xff", 422),
        (b"[" * 100_000, 422),
    ],
)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/api/predict/"])
def test_unknown_calls_are_client_errors(tmp_path: Path, body: object, status: int, path: str) -> None:
    assert call(tmp_path, body, path).status == status


def test_errors_of_the_server_return_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(tmp_path, app=failing)
    assert answer.status == 500
    assert "KeyError" not in answer.text
    assert "Traceback" not in capsys.readouterr().err
    # Contradictory or meaningless arguments.
    assert call(tmp_path, CALL, app=failing).status == 400


def test_a_disconnected_visitor_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def reading(_: dict[str, Any], receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ConnectionError

    ask(tmp_path, "/gradio_api/upload", "POST", app=reading, parts=(b"a", b"b"))
    assert capsys.readouterr().err == ""


# --- how much ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [str(LARGEST_UPLOAD_BYTES + 1), "1" * 5000, "-1", "x", "\u00b2"])
def test_uploads_have_a_limit_that_is_checked_first(tmp_path: Path, length: str) -> None:
    answer = ask(tmp_path, "/gradio_api/upload", "POST", length=length)
    assert answer.status == 413
    assert "at most 500 MB" in json.loads(answer.text)["detail"]


def test_uploads_longer_than_announced_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "LARGEST_UPLOAD_BYTES", 1000)
    parts = (bytes(600), bytes(600))
    assert ask(tmp_path, "/gradio_api/upload", "POST", parts=parts, length="10").status == 413


def test_calls_have_a_smaller_limit(tmp_path: Path) -> None:
    assert call(tmp_path, b" " * (LARGEST_CALL_BYTES + 1)).status == 413


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doors.shutil, "disk_usage", lambda _: usage._replace(free=10**9 - 1))
    answer = ask(tmp_path, "/gradio_api/upload", "POST")
    assert answer.status == 507
    assert "disk" in answer.text


# --- passwords -----------------------------------------------------------------------------------------------


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/file=/tmp/x", "/monitoring", "/assets/x.js"])
def test_no_address_works_without_the_password(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_FAILURE_DELAY_S", 0)
    wrong = ({}, basic(""), basic("passwor"), basic("password "), {"authorization": "Basic ?"}, {"authorization": "x"})
    for headers in wrong:
        answer = ask(tmp_path, path, password="password", headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert ask(tmp_path, "/config", password="pässword: x", headers=basic("pässword: x")).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.9", "photos.lan", ""])
def test_beyond_this_computer_a_password_is_required(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--no-browser", "--host", host]) == 2
    said = capsys.readouterr().err
    assert "--password" in said
    assert "--open" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("options", [["--password", "x", "--open"], ["--password", " "]])
def test_useless_passwords_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--no-browser", *options]) == 2
    assert "--password" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("[::1]", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "", "localhost.evil", "10.0.0.1", "1")],
)
def test_is_local(host: str, local: bool) -> None:
    assert is_local(host) == local


# --- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/monitoring", "/gradio_api/file=x"])
def test_every_response_has_the_protecting_headers(tmp_path: Path, path: str) -> None:
    headers = ask(tmp_path, path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert (headers.get("cache-control") == "no-store") == path.startswith("/gradio_api")


def test_visitors_are_present_while_their_heartbeat_lasts(tmp_path: Path) -> None:
    presence = Presence()
    felt = []

    async def beating(scope: dict[str, Any], receive: Any, send: Any) -> None:
        felt.append("abc" in presence)
        await answering(scope, receive, send)

    ask(tmp_path, "/gradio_api/heartbeat/abc", app=beating, presence=presence)
    assert felt == [True]
    assert "abc" not in presence
    assert not presence.connections
