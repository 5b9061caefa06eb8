"""Methods of other people: Python functions, and networks that spandrel knows."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.evaluation.method import MethodSpec, open_method

PICTURE = np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)

PROGRAM = """
import numpy as np

NOT_CALLABLE = 3

def mirror(blurry):
    return blurry[:, ::-1].copy()

def fail(blurry):
    return blurry / "nothing"

def load(checkpoint, device):
    level = int(open(checkpoint).read())
    return lambda blurry: np.full_like(blurry, level)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module in it that only it has."""
    (tmp_path / "a_mirror.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "a_mirror", raising=False)
    return tmp_path


def test_a_function_of_the_current_folder_is_a_method(here: Path) -> None:
    path = list(sys.path)
    method = open_method(MethodSpec(method="a_mirror:mirror"))
    assert sys.path == path
    assert np.array_equal(method.apply(PICTURE, "a.png").pixels, PICTURE[:, ::-1])
    assert method.name == "a_mirror.mirror"
    (here / "a_mirror.py").write_text(PROGRAM + "# another program\n")
    del sys.modules["a_mirror"]
    assert open_method(MethodSpec(method="a_mirror:mirror")).checkpoint != method.checkpoint


def test_a_function_may_load_a_checkpoint(here: Path) -> None:
    weights = here / "weights.txt"
    digests = set()
    for level in (3, 200):
        weights.write_text(str(level))
        method = open_method(MethodSpec(method="a_mirror:load", checkpoint=str(weights), device="cpu"))
        assert np.array_equal(method.apply(PICTURE, "a.png").pixels, np.full_like(PICTURE, level))
        digests.add(method.checkpoint)
    assert len(digests) == 2
    with pytest.raises(UnblurError, match=r"a_mirror\.load failed: FileNotFoundError"):
        open_method(MethodSpec(method="a_mirror:load", checkpoint=str(here / "nowhere"), device="cpu"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("no_such_module:restore", "no_such_module cannot be imported here: ModuleNotFoundError"),
        ("a_mirror:none", "has no function none"),
        ("a_mirror:NOT_CALLABLE", "has no function NOT_CALLABLE"),
        ("a_mirror:", "There is no method a_mirror:"),
        ("a mirror:mirror", "There is no method a mirror:mirror"),
    ],
)
def test_missing_functions_are_reported(method: str, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        open_method(MethodSpec(method=method))


@pytest.mark.usefixtures("here")
def test_a_failing_function_is_reported() -> None:
    with pytest.raises(UnblurError, match=r"a_mirror\.fail failed: .*Error: "):
        open_method(MethodSpec(method="a_mirror:fail")).apply(PICTURE, "a.png")


def test_without_spandrel_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UnblurError, match=r"pip install 'unblur\[spandrel\]'"):
        open_method(MethodSpec(method=str(tmp_path / "theirs.pth")))


def test_spandrel_restores_with_a_supported_network(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="spandrel needs torchvision, which is not everywhere")
    from spandrel.architectures.NAFNet import NAFNet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]).eval()
        for parameter in network.parameters():
            if not parameter.any():  # As they begin, which makes the network the identity.
                torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "theirs.pth"
    torch.save({"params": network.state_dict()}, path)
    method = open_method(MethodSpec(method=str(path), device="cpu"))
    assert method.runtime.startswith("spandrel ")
    with torch.no_grad():
        expected = network(torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 255)
    restored = method.apply(PICTURE, "a.png").pixels
    assert np.abs(restored - (expected[0].permute(1, 2, 0).clamp(0, 1) * 255).numpy()).max() < 0.51
    assert not np.array_equal(restored, PICTURE)


def test_files_that_spandrel_cannot_load_are_reported(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="spandrel needs torchvision, which is not everywhere")
    from spandrel.architectures.Compact import Compact

    enlarging = Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=1, upscale=2)
    torch.save({"params": enlarging.state_dict()}, tmp_path / "larger.pth")
    (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
    for name, said in (
        ("larger.pth", "takes 3 channels and gives 3, 2 times as large"),
        ("rubbish.pth", "cannot load"),
        ("none.pth", "cannot be read"),
    ):
        with pytest.raises(UnblurError, match=said):
            open_method(MethodSpec(method=str(tmp_path / name), device="cpu"))
