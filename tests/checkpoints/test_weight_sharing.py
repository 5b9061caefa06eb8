"""A network that shares parts with the package's own is stored without them, and is the same when it is read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unblur.app.cli import main
from unblur.checkpoints.folder import (
    BUNDLED,
    BUNDLED_FAITHFUL,
    BUNDLED_GENERATOR,
    BUNDLED_RESTORER,
    load_checkpoint,
    save_checkpoint,
)
from unblur.checkpoints.weight_sharing import find_shared_parts
from unblur.errors import UnblurError
from unblur.models import GlowDeblur, MultiScale
from unblur.models.glow_sizes import glow
from unblur.training.initialization import InitFrom


@pytest.fixture(scope="module")
def small() -> GlowDeblur:
    torch.manual_seed(0)
    network = GlowDeblur(glow("small"))
    InitFrom().apply(network, network.config)
    # Half precision keeps them as they are.
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    return network


@pytest.fixture
def checkpoint(small: GlowDeblur, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run", small, small.config, train_patch_px=64, card="# Whole\n")
    return tmp_path / "run"


@pytest.mark.slow
def test_a_bundled_copy_is_small_and_the_same_network(
    small: GlowDeblur, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", str(checkpoint), "-o", str(tmp_path / "copy")]) == 0
    copy = load_checkpoint(tmp_path / "copy")
    weights = small.state_dict()
    assert copy.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in copy.model.state_dict().items())
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (checkpoint, tmp_path / "copy")]
    lent = sum((folder / "model.safetensors").stat().st_size for folder in BUNDLED.values())
    assert sizes[0] - sizes[1] == pytest.approx(lent, rel=0.02)
    assert "pre_reconstruction.nafnet (faithful)" in capsys.readouterr().out
    assert (tmp_path / "copy" / "README.md").read_text() == "# Whole\n"
    # A copy of the copy leaves out as much.
    assert main(["bundle", str(tmp_path / "copy"), "-o", str(tmp_path / "again")]) == 0
    assert load_checkpoint(tmp_path / "again").sha256 == copy.sha256
    assert main(["bundle", str(checkpoint), "-o", str(tmp_path / "copy")]) == 2


def test_a_part_that_differs_in_one_weight_is_stored(small: GlowDeblur) -> None:
    assert {one.part for one in find_shared_parts(small)} == {
        "pre_reconstruction.nafnet",
        "motion_guidance.estimator",
        "semantic_guidance.prior",
    }
    estimator = small.motion_guidance.estimator
    bias = next(value for name, value in estimator.named_parameters() if name.endswith("bias"))
    with torch.no_grad():
        original = bias[0].clone()
        bias[0] += 1
        assert "motion_guidance.estimator" not in {one.part for one in find_shared_parts(small)}
        bias[0] = original


def test_a_network_without_common_parts_shares_none() -> None:
    assert find_shared_parts(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3))) == ()


def test_changed_bundled_weights_are_refused_in_one_sentence(small: GlowDeblur, tmp_path: Path) -> None:
    borrowed = tuple(replace(one, sha256="0" * 64) for one in find_shared_parts(small))
    save_checkpoint(tmp_path, small, small.config, train_patch_px=64, card="", shared_parts=borrowed)
    with pytest.raises(UnblurError, match="does not have; use the version that it came with"):
        load_checkpoint(tmp_path)


def test_the_bundled_weights_are_small() -> None:
    weights = BUNDLED_FAITHFUL.parent.rglob("*.safetensors")
    assert sum(file.stat().st_size for file in weights) < 40 * 2**20


def test_the_bundled_restorer_shares_its_nafnet() -> None:
    alone = load_file(BUNDLED_RESTORER / "model.safetensors")
    assert {name.split(".")[0] for name in alone} == {"fusion", "coarse_proj"}
    whole = load_checkpoint(BUNDLED_RESTORER).model
    assert isinstance(whole, MultiScale)
    nafnet = load_checkpoint(BUNDLED_FAITHFUL).model.state_dict()
    assert all(torch.equal(value, nafnet[name]) for name, value in whole.nafnet.state_dict().items())


def test_the_bundled_generator_shares_bundled_parts() -> None:
    alone = load_file(BUNDLED_GENERATOR / "model.safetensors")
    assert not any(name.startswith("pre_reconstruction.nafnet.") for name in alone)
    whole = load_checkpoint(BUNDLED_GENERATOR).model
    assert isinstance(whole, GlowDeblur)
    assert whole.pre_reconstruction is not None
    nafnet = whole.pre_reconstruction.nafnet.state_dict()
    restorer = load_checkpoint(BUNDLED_FAITHFUL).model.state_dict()
    assert all(torch.equal(value, restorer[name]) for name, value in nafnet.items())


@pytest.mark.slow
def test_a_part_becomes_a_checkpoint_of_its_own(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = "pre_reconstruction.nafnet"
    assert main(["bundle", str(checkpoint), "--part", part, "-o", str(tmp_path / "part")]) == 0
    found, bundled = load_checkpoint(tmp_path / "part"), load_checkpoint(BUNDLED_FAITHFUL)
    assert found.config == bundled.config
    assert found.train_patch_px == 64
    weights = bundled.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in found.model.state_dict().items())
    assert "its `pre_reconstruction.nafnet` alone" in (tmp_path / "part" / "README.md").read_text()
    capsys.readouterr()
    assert main(["bundle", str(checkpoint), "--part", "denoiser", "-o", str(tmp_path / "none")]) == 2
    assert "has no part denoiser that is a network by itself; it has" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_weights_that_are_equal_in_half_precision_are_shared() -> None:
    """A bundled NAFNet was rounded; the run that it is from was not."""
    whole = load_checkpoint(BUNDLED_RESTORER).model
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.mul_(1 + 2**-14)
    assert {one.source for one in find_shared_parts(whole)} == {"faithful"}
