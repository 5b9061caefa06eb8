"""The page as a program sees it: served by the command, asked over HTTP."""

import io
import json
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from unblur.app.cli import main
from unblur.photos.reading import read_photo


def restore(client: Client, *files: Path, mode: str = "fast") -> tuple[str, str]:
    """Restore photographs; returns the HTML of the view and of the report."""
    view, _, _, report, *_ = client.predict(
        [handle_file(file) for file in files], mode, True, 1.0, 0.5, 0, api_name="/restore"
    )
    return view, report


def show(client: Client, index: int) -> str:
    """Return the HTML of the view of a photograph."""
    view: str = client.predict(index, "fast", True, api_name="/show")[0]
    return view


def blend(client: Client, strength: float, index: int) -> str:
    """Change the strength of a result; returns the HTML of its view."""
    view: str = client.predict(strength, 0.5, index, api_name="/blend")[0]
    return view


def download(address: str, view: str) -> tuple[str, np.ndarray]:
    """Return the name and the pixels of the file that a view offers."""
    links = re.findall(r'href="(gradio_api/[^"]+)" download="([^"]+)"', view)
    assert len(links) == 1, view
    return links[0][1], fetch(address, links[0][0])


def fetch(address: str, path: str) -> np.ndarray:
    with urllib.request.urlopen(f"{address}/{path}") as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())))


def test_photographs_come_back_restored_and_their_strength_can_be_changed(address: str, photos: Path) -> None:
    client = Client(address, verbose=False)
    view, report = restore(client, photos / "0.png", photos / "1.png")
    assert report.count("300 x 300") == 2
    name, _ = download(address, view)
    assert name == "0_unblurred_fast.png"
    before, after = (fetch(address, path) for path in re.findall(r'<img src="([^"]+)"', view))
    assert not np.array_equal(before, after)
    name, pixels = download(address, blend(client, 0.0, 1))
    assert name == "1_unblurred_fast.png"
    np.testing.assert_array_equal(pixels, read_photo(photos / "1.png").pixels)
    _, pixels = download(address, show(client, 0))
    assert not np.array_equal(pixels, read_photo(photos / "0.png").pixels)
    _, strength, *_ = client.predict(1, "fast", True, api_name="/show")
    assert strength["value"] == 0


def test_visitors_do_not_see_each_other(address: str, photos: Path) -> None:
    one, other = Client(address, verbose=False), Client(address, verbose=False)
    restore(one, photos / "0.png")
    restore(other, photos / "1.png")
    for client, name in ((one, "0_unblurred_fast.png"), (other, "1_unblurred_fast.png")):
        assert download(address, blend(client, 0.5, 0))[0] == name
        assert show(client, 1) == ""


def test_errors_are_shown_with_the_name_of_the_file_once(address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    view, report = restore(Client(address, verbose=False), tmp_path / "notes.jpg")
    assert view == ""
    assert '<li class="problem">notes.jpg' in report
    assert report.count("notes.jpg") == 1
    _, report = restore(Client(address, verbose=False))
    assert '<li class="problem">There is no photograph yet' in report


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", 5, None])
def test_files_that_were_not_uploaded_are_refused(address: str, path: object) -> None:
    client = Client(address, verbose=False)
    report = client.predict([{"path": path}], "fast", True, 1.0, 0.5, 0, api_name="/restore")[3]
    assert "not a photograph that was uploaded to this page" in report


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


def test_unknown_sessions_leave_no_files(address: str, served_folder: Path) -> None:
    def folders() -> int:
        return len([path for path in served_folder.glob("unblur-*/*") if path.is_dir()])

    before = folders()
    for _ in range(3):
        client = Client(address, verbose=False)
        client.predict(api_name="/stop")
    # Those of earlier visitors may be removed in the meantime.
    assert folders() <= before


def test_all_files_of_a_visitor_who_leaves_are_removed(address: str, served_folder: Path, photos: Path) -> None:
    """Uploads, previews and results."""
    own = photos / "own_name.png"
    own.write_bytes((photos / "1.png").read_bytes())
    client = Client(address, verbose=False)
    heartbeat = urllib.request.urlopen(f"{address}/gradio_api/heartbeat/{client.session_hash}")
    restore(client, own)
    blend(client, 0.5, 0)
    held = set(served_folder.glob("unblur-*/*"))
    assert list(served_folder.rglob("own_name*"))
    heartbeat.close()
    deadline = time.monotonic() + 60
    while list(served_folder.rglob("own_name*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not list(served_folder.rglob("own_name*"))
    gone = [path for path in held if not path.exists()]
    # The upload and the visit's own folder.
    assert len(gone) >= 2


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
