"""`unblur serve` as a process: it starts, answers as the command line does, and ends gracefully."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unblur.app.cli import main

ROOT = Path(__file__).parents[2]

KEY = "a key of more than 16 letters"

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM")


@dataclass(frozen=True)
class Running:
    """A service as a process."""

    process: "subprocess.Popen[str]"
    address: str
    errors: Path
    """File of all that it writes to stderr."""

    def request(self, path: str, content: bytes | None = None, **headers: str) -> "tuple[int, dict[str, str], bytes]":
        request = urllib.request.Request(f"{self.address}{path}", content, {"Content-Type": "image/png"} | headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def measure(self, name: str) -> float:
        """Return a number of the service, 0 if it has not counted that yet."""
        lines = self.request("/metrics")[2].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def wait_for(self, name: str, value: float) -> None:
        until = time.monotonic() + 120
        while self.measure(name) != pytest.approx(value):
            assert time.monotonic() < until, self.request("/metrics")[2].decode()
            time.sleep(0.02)

    def end(self) -> tuple[int, str, str]:
        """Return the exit code and everything that was written."""
        out, _ = self.process.communicate(timeout=120)
        return self.process.returncode, out, self.errors.read_text()


Start = Callable[..., Running]


@contextmanager
def starting(checkpoint: Path, folder: Path) -> Iterator[Start]:
    """Yield a function that starts a service with options and variables; all end with the context."""
    processes: list[subprocess.Popen[str]] = []

    def start(*options: str, **environment: str) -> Running:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "unblur", "serve", "--port", str(port), "--device", "cpu"]
        # There is nowhere to write to.
        own = {"TMPDIR": str(folder / "nowhere"), "PATH": "", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
        errors = folder / f"errors-{len(processes)}.txt"
        with errors.open("w") as file:
            process = subprocess.Popen(
                [*command, "--checkpoint", str(checkpoint), *options],
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=own | environment,
            )
        processes.append(process)
        assert process.stdout
        said = process.stdout.readline()
        assert said.startswith("unblur serves at http://"), said + errors.read_text()
        return Running(process, f"http://127.0.0.1:{port}", errors)

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.fixture
def start(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Start]:
    with starting(tiny_checkpoint, tmp_path) as start:
        yield start


def find_commands(beginning: str) -> list[str]:
    """Return the lines of the guide with this beginning."""
    guide = (ROOT / "docs" / "guide" / "serve.md").read_text(encoding="utf-8")
    return re.findall(rf"^{beginning}.*$", guide, re.MULTILINE)


@pytest.fixture(scope="module")
def keyed(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that needs KEY and has the limits of the guide, for all tests that do not end it."""
    (limited,) = find_commands("unblur serve --max")
    with starting(tiny_checkpoint, tmp_path_factory.mktemp("keyed")) as start:
        service = start("--host", "0.0.0.0", *limited.split()[2:], UNBLUR_API_KEY=KEY)
        yield service
        service.process.terminate()
        code, out, err = service.end()
    assert code == 0 or os.name != "posix"
    assert KEY[1:] not in out + err


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph that takes the tiny network a second or more."""
    coarse = np.random.default_rng(0).integers(0, 255, (90, 135, 3), dtype=np.uint8)
    Image.fromarray(coarse.repeat(12, 0).repeat(12, 1)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@posix
@pytest.mark.slow
def test_sigterm_during_a_request_ends_the_service_after_its_answer(
    start: Start, photo: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    service = start()
    with ThreadPoolExecutor(2) as clients:
        sent = [clients.submit(service.request, "/restore", photo.read_bytes()) for _ in range(2)]
        service.wait_for("unblur_requests_in_flight", 2)
        service.process.send_signal(signal.SIGTERM)
        answers = [one.result() for one in sent]
    code, out, err = service.end()
    assert (code, out) == (0, "")
    assert re.fullmatch(r"(unblur: POST /restore 200 [0-9.]+ s\n){2}", err)
    options = ["--device", "cpu", "--checkpoint", str(tiny_checkpoint), "-o", str(tmp_path / "restored.png")]
    assert main([str(photo), *options]) == 0
    for status, _, content in answers:
        assert status == 200
        assert content == (tmp_path / "restored.png").read_bytes()


@posix
@pytest.mark.slow
def test_a_drain_has_a_limit(start: Start, photo: Path) -> None:
    service = start("--drain-limit", "0.1", "--quiet")
    with ThreadPoolExecutor(3) as clients:
        sent = [clients.submit(service.request, "/restore", photo.read_bytes()) for _ in range(3)]
        service.wait_for("unblur_requests_in_flight", 3)
        service.process.send_signal(signal.SIGTERM)
        answers = [one.result() for one in sent]
    assert service.end() == (0, "", "")
    # The first may be ready in this time.
    assert [status for status, _, _ in answers].count(503) >= 2
    for status, headers, content in answers:
        if status == 503:
            assert int(headers["retry-after"]) >= 1
            assert "ended before" in json.loads(content)["detail"]


@pytest.mark.slow
def test_keys_are_needed_and_never_written(keyed: Running, photo: Path) -> None:
    small = Image.open(photo).crop((0, 0, 40, 40))
    small.save(photo)
    assert keyed.request("/restore", photo.read_bytes())[0] == 401
    assert keyed.request("/restore", photo.read_bytes(), Authorization="Bearer " + KEY[1:])[0] == 401
    status, headers, _ = keyed.request("/restore", photo.read_bytes(), Authorization=f"Bearer {KEY}")
    assert (status, headers["content-type"]) == (200, "image/png")
    assert "server" not in headers
    written = keyed.errors.read_text()
    assert written.count("POST /restore 401") == 2
    assert KEY[1:] not in written


@pytest.mark.slow
def test_a_client_that_goes_away_stops_the_work_on_its_photograph(keyed: Running, photo: Path) -> None:
    left = keyed.measure('unblur_requests_total{status="499"}')
    megapixels = keyed.measure("unblur_megapixels_total")
    connection = http.client.HTTPConnection(keyed.address.removeprefix("http://"))
    connection.request("POST", "/restore", photo.read_bytes(), {"Content-Type": "image/png", "X-API-Key": KEY})
    keyed.wait_for("unblur_requests_in_flight", 1)
    connection.close()
    keyed.wait_for('unblur_requests_total{status="499"}', left + 1)
    assert keyed.request("/restore", photo.read_bytes(), **{"X-API-Key": KEY})[0] == 200
    # Those of the second photograph alone.
    keyed.wait_for("unblur_megapixels_total", megapixels + 1.7496)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands_of_the_guide_restore_photographs(keyed: Running, tmp_path: Path) -> None:
    """The guide starts the service with other options; the one here is on another port."""
    commands = find_commands("curl ")
    (make_key,) = find_commands("export UNBLUR_API_KEY")
    (serve_with_key,) = find_commands("unblur serve --host")
    assert "--host 0.0.0.0" in serve_with_key
    with Image.open(ROOT / "examples" / "reds_blurry.png") as blurry:
        blurry.crop((0, 0, 64, 48)).save(tmp_path / "photo.jpg")
    with_key = [command for command in commands if "$UNBLUR_API_KEY" in command]
    assert len(with_key) == 2
    for command in commands:
        # Those without a key are typed as they are, and the key is added behind them.
        script = command.replace("localhost:8000", keyed.address)
        if command not in with_key:
            script += ' -H "X-API-Key: $UNBLUR_API_KEY"'
        output = tmp_path / command.rpartition("-o ")[2]
        output.unlink(missing_ok=True)
        environment = os.environ | {make_key.split("=")[0].removeprefix("export "): KEY}
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True)
        if output.suffix == ".json":
            assert {"report", "openapi"} & set(json.loads(output.read_text()))
        else:
            with Image.open(output) as restored:
                assert restored.size == (64, 48)
                assert restored.format == {".jpg": "JPEG", ".png": "PNG"}[output.suffix]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "Everybody who can reach 0.0.0.0 could use the service; set UNBLUR_API_KEY"),
        (["--port", "0"], "There is no port 0"),
        (["--jobs", "0"], "--jobs 0 restores nothing"),
        (["--queue", "0"], "There is no limit of 0 for queue"),
        (["--time-limit", "nan"], "There is no limit of nan for time_s"),
        (["--key-file", "nowhere.txt"], "The keys in nowhere.txt cannot be read: No such file"),
        (["--key-file", "empty.txt"], "empty.txt holds no key"),
        (["--key-file", "short.txt"], "fewer than 16 letters"),
        (["--key-file", "noise.txt"], "it is not text"),
        (["--checkpoint", "nowhere"], "No checkpoint at nowhere"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n \n")
    Path("short.txt").write_text("secret\n")
    Path("noise.txt").write_bytes(b"\xff\xfe\xff")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["serve", "--port", str(port), *options]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("options", "value", "sentence"),
    [
        ([], "", "is empty"),
        ([], "short", "fewer than 16 letters"),
        (["--key-file", "keys.txt"], KEY, "contradict each other"),
    ],
)
def test_a_wrong_variable_is_one_sentence(
    options: list[str], value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNBLUR_API_KEY", value)
    assert main(["serve", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("unblur.service.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert main(["serve"]) == 2
    assert "needs prometheus_client, which is missing; run: pip install 'unblur[serve]'" in capsys.readouterr().err
