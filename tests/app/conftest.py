"""A tiny checkpoint on disk, photographs to try it on, and the web page, served by its command."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: with pictures this small more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder with a network that changes a photograph visibly."""
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(config)
        # A fresh network is the identity.
        network.get_submodule("ending").reset_parameters()
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder, network, config, train_patch_px=64, card="A tiny network for tests.\n")
    return folder


@pytest.fixture
def make_photo() -> Callable[..., Path]:
    """Write a photograph and return its path; folders are made as needed."""

    def make(path: Path, height: int = 40, width: int = 60) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the visitors' files."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def address(served_folder: Path) -> Iterator[str]:
    """Serve the page, and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unblur", "web", "--no-browser", "--device", "cpu", "--port", str(port)]
    environment = {"TMPDIR": str(served_folder), "PATH": "", "OMP_NUM_THREADS": "1", "HOME": str(served_folder)}
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
    assert list(served_folder.glob("unblur-*")) == []
