"""The page as a program sees it: served by the command, asked over HTTP."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from unblur.app.cli import main
from unblur.photos.files import read_photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the visitors' files."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unblur", "web", "--no-browser", "--device", "cpu", "--port", str(port)]
    environment = {"TMPDIR": str(folder), "PATH": "", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as page:
        assert page.stdout
        said = page.stdout.readline()
        assert said == f"unblur is at http://127.0.0.1:{port} - Ctrl-C ends it.\n", said + page.stdout.read()
        yield f"http://127.0.0.1:{port}"
        # Not as Ctrl-C does: whoever starts tests in the background has that ignored.
        page.terminate()
        try:
            assert page.wait(timeout=60) == 0
        finally:
            page.kill()
        assert page.stdout.read() == ""
    # Neither uploads nor results.
    assert list(folder.glob("unblur-*")) == []


def restore(client: Client, *files: Path, mode: str = "fast", fidelity: float = 0.5) -> tuple[Any, ...]:
    uploads = [handle_file(file) for file in files]
    result: tuple[Any, ...] = client.predict(uploads, mode, fidelity, api_name="/restore")
    return result


def test_photographs_come_back_restored_and_their_strength_can_be_changed(address: str, photos: Path) -> None:
    client = Client(address, verbose=False)
    _, comparison, _, downloads, report = restore(client, photos / "0.png", photos / "1.png")
    assert [Path(file).name for file in downloads["value"]] == ["0_unblurred_fast.png", "1_unblurred_fast.png"]
    assert report.count("300 x 300") == 2
    before, after = (read_photo(Path(file)).pixels for file in comparison)
    assert not np.array_equal(before, after)
    comparison, downloads = client.predict(0.0, 1, api_name="/strength")
    np.testing.assert_array_equal(read_photo(Path(downloads[1])).pixels, read_photo(photos / "1.png").pixels)
    assert not np.array_equal(read_photo(Path(downloads[0])).pixels, read_photo(photos / "0.png").pixels)
    _, strength = client.predict(1, api_name="/choose")
    assert strength["value"] == 0


def test_visitors_do_not_see_each_other(address: str, photos: Path) -> None:
    one, other = Client(address, verbose=False), Client(address, verbose=False)
    restore(one, photos / "0.png")
    restore(other, photos / "1.png")
    for client, name in ((one, "0_unblurred_fast.png"), (other, "1_unblurred_fast.png")):
        _, downloads = client.predict(0.5, 0, api_name="/strength")
        assert [Path(file).name for file in downloads] == [name]


def test_errors_are_shown(address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    *_, report = restore(Client(address, verbose=False), tmp_path / "notes.jpg")
    assert report.startswith("notes.jpg")
    assert "Traceback" not in report
    with pytest.raises(AppError, match="no photograph yet"):
        restore(Client(address, verbose=False))


def test_the_page_loads_nothing_from_other_servers(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        page = answer.read().decode()
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](https?://[^"']+)""", page)
    assert [url for url in loaded if not url.startswith(address)] == []


def status(address: str, path: str, body: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(address + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_server_uses_the_access_control(address: str) -> None:
    """Access control is tested without a server elsewhere; here, that the server uses it."""
    json_type = {"Content-Type": "application/json"}
    stop = json.dumps({"fn_index": 99, "data": [], "session_hash": "invented"}).encode()
    assert status(address, "/config") == 200
    assert status(address, "/config", Host="evil.example") == 421
    assert status(address, "/config", Origin="https://evil.example") == 403
    assert status(address, "/gradio_api/upload", b"x", Origin="null") == 403
    assert status(address, "/monitoring") == 404
    assert status(address, "/gradio_api/openapi.json") == 404
    assert status(address, "/gradio_api/queue/join", stop, **json_type) == 404
    assert status(address, "/gradio_api/upload", b"no form") // 100 == 4


def test_unknown_sessions_leave_no_files(address: str, folder: Path) -> None:
    def folders() -> int:
        return len([path for path in folder.glob("unblur-*/*") if path.is_dir()])

    before = folders()
    for _ in range(3):
        client = Client(address, verbose=False)
        client.predict(api_name="/stop")
    # Those of earlier visitors may be removed in the meantime.
    assert folders() <= before


def test_all_files_of_a_visitor_who_leaves_are_removed(address: str, folder: Path, photos: Path) -> None:
    """Uploads, and Gradio's copies of all results that were shown."""
    own = photos / "own_name.png"
    own.write_bytes((photos / "1.png").read_bytes())
    client = Client(address, verbose=False)
    heartbeat = urllib.request.urlopen(f"{address}/gradio_api/heartbeat/{client.session_hash}")
    restore(client, own)
    client.predict(0.5, 0, api_name="/strength")
    held = set(folder.glob("unblur-*/*"))
    assert list(folder.rglob("own_name*"))
    heartbeat.close()
    deadline = time.monotonic() + 60
    while list(folder.rglob("own_name*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not list(folder.rglob("own_name*"))
    gone = [path for path in held if not path.exists()]
    # The upload, the visit's own folder, and before, after and the result, each at two strengths.
    assert len(gone) >= 6


@pytest.mark.parametrize("port", ["-1", "0", "65536", "99999"])
def test_invalid_ports_are_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--no-browser", "--port", port]) == 2
    assert f"no port {port}" in capsys.readouterr().err


def test_a_port_in_use_is_reported_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", "--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"Port {port} of 127.0.0.1" in said


def test_wrong_weights_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--no-browser", "--checkpoint", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(tmp_path) in said


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["web", "--no-browser"]) == 2
    assert "pip install 'unblur[web]'" in capsys.readouterr().err
