"""The load test counts lost and wrong answers, and batches that change results are reported."""

import csv
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor

from experiments.batched_requests import batched_requests, compare
from experiments.harness import run
from experiments.service_load import Client, service_load
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "reds_blurry.png"


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Path:
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
    save_checkpoint(tmp_path / "tiny", build(config), config, train_patch_px=64, card="tiny")
    return tmp_path / "tiny"


@pytest.mark.slow
def test_a_small_load_loses_nothing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    options = ["--requests", "6", "--clients", "2", "--size", "48", "40", "--loads", "1", "8", "--queue", "2"]
    arguments = [str(PHOTO), "-o", str(tmp_path / "load"), "--checkpoint", str(tiny_checkpoint), *options]
    assert run(service_load, arguments) == 0
    lines = list(csv.DictReader((tmp_path / "load" / "service_load.csv").read_text().splitlines()))
    assert [line["load"] for line in lines] == ["capacity", "1 x", "8 x"]
    for line in lines:
        assert sum(int(line[name]) for name in ("restored", "429", "503")) == int(line["requests"]) == 6
        assert (line["wrong"], line["lost"]) == ("0", "0")
    assert lines[0]["restored"] == "6"


class Answering(BaseHTTPRequestHandler):
    """A service that answers each photograph with a fault of the name that the photograph has."""

    def do_POST(self) -> None:
        fault = self.rfile.read(int(self.headers["content-length"])).decode()
        if fault == "lost":
            return
        self.send_response({"refused": 503, "refused without a time": 503, "failed": 500}.get(fault, 200))
        if fault == "refused":
            self.send_header("Retry-After", "3")
        self.end_headers()
        self.wfile.write(b"restored" if fault == "right" else b"another")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("fault", "status", "is_right"),
    [
        ("right", 200, True),
        ("wrong", 200, False),
        ("refused", 503, True),
        ("refused without a time", 503, False),
        ("failed", 500, False),
        ("lost", None, False),
    ],
)
def test_faults_of_a_service_are_found(fault: str, status: int | None, is_right: bool) -> None:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        sent = Client(port=server.server_port, key="a key", query="").send(fault.encode(), b"restored")
        thread.join()
    assert (sent.status, sent.is_right) == (status, is_right)


def test_batches_that_change_results_are_found() -> None:
    def depends_on_others(batch: Tensor) -> Tensor:
        return batch + batch.mean() / 255

    pictures = [torch.full((1, 3, 8, 8), value) for value in (0.0, 1.0)]
    found = compare(depends_on_others, pictures, 2)
    assert found.different == 2
    assert found.largest_levels == pytest.approx(0.5, abs=1e-3)
    assert compare(lambda batch: batch / 2, pictures, 2).different == 0


@pytest.mark.slow
def test_the_table_has_a_line_for_each_size_and_precision(tiny_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["--sides", "32", "40", "--batch", "2", "--batches", "1", "--checkpoint", str(tiny_checkpoint)]
    assert run(batched_requests, [str(PHOTO), "-o", str(tmp_path / "out"), *arguments]) == 0
    lines = list(csv.DictReader((tmp_path / "out" / "batches.csv").read_text().splitlines()))
    assert [(line["precision"], line["side, px"]) for line in lines] == [
        ("bfloat16", "32"),
        ("bfloat16", "40"),
        ("float32", "32"),
        ("float32", "40"),
    ]
    assert run(batched_requests, [str(PHOTO), "-o", str(tmp_path / "out"), "--sides", "5000"]) == 2
