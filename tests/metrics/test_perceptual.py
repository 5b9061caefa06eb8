"""LPIPS and ST-LPIPS against the numbers of the packages lpips 0.1.4 and stlpips-pytorch 0.0.2."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.lpips import CHANNELS, Network, load_lpips
from unblur.metrics.perceptual import PerceptualDistance
from unblur.metrics.st_lpips import load_st_lpips

BOTH = pytest.mark.parametrize("network", ["alex", "vgg"])
packaged = pytest.mark.skipif(find_spec("stlpips_pytorch") is None, reason="needs stlpips-pytorch (extra perceptual)")

CONVOLUTIONS: dict[Network, list[tuple[int, tuple[int, int, int, int]]]] = {
    "alex": [
        (0, (64, 3, 11, 11)),
        (3, (192, 64, 5, 5)),
        (6, (384, 192, 3, 3)),
        (8, (256, 384, 3, 3)),
        (10, (256, 256, 3, 3)),
    ],
    "vgg": [
        (place, (wide, narrow, 3, 3))
        for place, narrow, wide in zip(
            (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
            (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512),
            (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
            strict=True,
        )
    ],
}
"""Places and shapes in torchvision's alexnet and vgg16."""


def backbone_state(network: Network) -> dict[str, Tensor]:
    """Random weights in torchvision's layout, of a size that keeps activations alive."""
    numbers = np.random.RandomState(1)
    state = {}
    for place, shape in CONVOLUTIONS[network]:
        weights = numbers.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        state[f"features.{place}.weight"] = torch.from_numpy(weights.astype("float32"))
        state[f"features.{place}.bias"] = torch.from_numpy((numbers.standard_normal(shape[0]) * 0.1).astype("float32"))
    state["classifier.1.weight"] = torch.zeros(2, 2)
    return state


def heads_state(network: Network) -> dict[str, Tensor]:
    numbers = np.random.RandomState(2)
    return {
        f"lin{place}.model.1.weight": torch.from_numpy(numbers.random_sample((1, count, 1, 1)).astype("float32"))
        for place, count in enumerate(CHANNELS[network])
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lpips")
    for network in CHANNELS:
        torch.save(backbone_state(network), folder / f"{network}_backbone.pth")
        torch.save(heads_state(network), folder / f"{network}_heads.pth")
    save_file(backbone_state("alex"), folder / "alex_backbone.safetensors")
    return folder


def random_lpips(network: Network, folder: Path) -> PerceptualDistance:
    return load_lpips(network, backbone=folder / f"{network}_backbone.pth", heads=folder / f"{network}_heads.pth")


@pytest.fixture(scope="module")
def crops(blurry: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    return blurry[..., 100:164, 200:272].float(), sharp[..., 100:164, 200:272].float()


@pytest.mark.parametrize(("network", "expected"), [("alex", 0.2234252393245697), ("vgg", 0.24416249990463257)])
def test_lpips_agrees_with_the_package(
    network: Network, expected: float, weights: Path, crops: tuple[Tensor, Tensor]
) -> None:
    # lpips.LPIPS(net=network)(restored, sharp, normalize=True) with these very weights.
    assert random_lpips(network, weights)(*crops).item() == pytest.approx(expected, abs=1e-6)


@packaged
@pytest.mark.parametrize(("network", "expected"), [("alex", 0.3778800964355469), ("vgg", 0.24305374920368195)])
def test_st_lpips_agrees_with_the_package(network: Network, expected: float, crops: tuple[Tensor, Tensor]) -> None:
    # stlpips.LPIPS(net=network, variant="shift_tolerant")(restored, sharp, normalize=True).
    assert load_st_lpips(network)(*crops).item() == pytest.approx(expected, abs=1e-6)


@packaged
def test_a_shift_of_a_pixel_is_less_than_blur(sharp: Tensor, blurry: Tensor) -> None:
    st_lpips = load_st_lpips("alex")
    shifted, truth = sharp[..., 101:229, 200:328].float(), sharp[..., 100:228, 200:328].float()
    assert st_lpips(shifted, truth).item() < 0.5 * st_lpips(blurry[..., 100:228, 200:328].float(), truth).item()


def test_safetensors_hold_the_same(weights: Path, crops: tuple[Tensor, Tensor]) -> None:
    read = load_lpips("alex", backbone=weights / "alex_backbone.safetensors", heads=weights / "alex_heads.pth")
    assert torch.equal(read(*crops), random_lpips("alex", weights)(*crops))


def test_zero_for_equal_symmetric_and_rising_with_noise(weights: Path, crops: tuple[Tensor, Tensor]) -> None:
    distance, (_, truth) = random_lpips("alex", weights), crops
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    values = distance(torch.cat([truth + sigma * noise for sigma in (0, 0.01, 0.1)]), truth.expand(3, -1, -1, -1))
    assert values[0] < 1e-9
    assert values.tolist() == sorted(values.tolist())
    assert distance(truth, truth + 0.1 * noise).item() == pytest.approx(values[2].item(), rel=1e-5)


def test_gradients_reach_the_image_and_not_the_weights(weights: Path, crops: tuple[Tensor, Tensor]) -> None:
    distance, restored = random_lpips("alex", weights), crops[0].clone().requires_grad_()
    distance(restored, crops[1]).sum().backward()
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())


@BOTH
def test_the_smallest_images_have_a_distance_and_smaller_ones_none(network: Network, weights: Path) -> None:
    distance = random_lpips(network, weights)
    assert distance(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)).item() > 0
    with pytest.raises(UnblurError, match="32 x 32 pixels, not 40 x 31"):
        distance(torch.zeros(1, 3, 31, 40), torch.zeros(1, 3, 31, 40))


def test_missing_files_are_named_with_where_to_get_them(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = weights / "alex_heads.pth"
    with pytest.raises(UnblurError, match=r"no\.pth.*torchvision's alexnet-owt-7be5be79\.pth"):
        load_lpips("alex", backbone=weights / "no.pth", heads=heads)
    with pytest.raises(UnblurError, match=r"no\.pth.*vgg\.pth out of .* package lpips"):
        load_lpips("vgg", backbone=weights / "vgg_backbone.pth", heads=weights / "no.pth")
    with pytest.raises(UnblurError, match=r"no\.pth.*vgg_shift_tolerant\.pth"):
        load_st_lpips("vgg", weights / "no.pth")
    monkeypatch.setattr("unblur.metrics.st_lpips.PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(UnblurError, match=r"unblur\[perceptual\]"):
        load_st_lpips("alex")


def test_wrong_and_damaged_files_are_refused(weights: Path, tmp_path: Path) -> None:
    heads = weights / "alex_heads.pth"
    with pytest.raises(UnblurError, match="another network"):
        load_lpips("alex", backbone=weights / "vgg_backbone.pth", heads=heads)
    with pytest.raises(UnblurError, match=r"64, 192, 384, 256, 256"):
        load_lpips("alex", backbone=weights / "alex_backbone.pth", heads=weights / "vgg_heads.pth")
    for name in ("damaged.pth", "damaged.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(UnblurError, match="no weights that can be read"):
            load_lpips("alex", backbone=tmp_path / name, heads=heads)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UnblurError, match="holds a list"):
        load_lpips("alex", backbone=tmp_path / "list.pth", heads=heads)
