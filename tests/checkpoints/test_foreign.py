"""Weights under the names that the authors gave them: each is used once, and does what it did in the original."""

import pytest
import torch
import torch.nn.functional as F
from original_names import MIMO, MPR, NAF, NAF_GOPRO, RESTORMER, original_shapes, wave_picture, waves
from torch import Tensor

from unblur.checkpoints.import_weights import ForeignConfig, choose_key_map, from_foreign
from unblur.models import MIMOUNetConfig, MPRNetConfig, MultiOutput, NAFNetConfig, RestormerConfig, build

EVERY = [NAF, MIMO, MPR, RESTORMER, NAF_GOPRO, MIMOUNetConfig(blocks=20), MPRNetConfig(), RestormerConfig()]


@pytest.mark.parametrize("config", EVERY, ids=lambda config: type(config).__name__)
def test_every_weight_of_the_original_is_one_of_ours(config: ForeignConfig) -> None:
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in build(config).state_dict().items()}
    renamed = [(choose_key_map(config).rename(name), shape) for name, shape in original_shapes(config).items()]
    assert sorted(renamed) == sorted(ours.items())


def nafnet_by_formula(w: dict[str, Tensor], config: NAFNetConfig, blurry: Tensor) -> Tensor:
    """The network of arXiv 2204.04676, with weights under the authors' names."""

    def conv(name: str, x: Tensor, **settings: int) -> Tensor:
        return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **settings)

    def norm(name: str, x: Tensor) -> Tensor:
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return x * w[f"{name}.weight"].view(-1, 1, 1) + w[f"{name}.bias"].view(-1, 1, 1)

    def gate(x: Tensor) -> Tensor:
        return x[:, : x.shape[1] // 2] * x[:, x.shape[1] // 2 :]

    def blocks(name: str, x: Tensor, count: int) -> Tensor:
        for b in (f"{name}.{i}" for i in range(count)):
            y = conv(f"{b}.conv1", norm(f"{b}.norm1", x))
            y = gate(conv(f"{b}.conv2", y, padding=1, groups=y.shape[1]))
            y = y * conv(f"{b}.sca.1", y.mean((2, 3), keepdim=True))
            x = x + conv(f"{b}.conv3", y) * w[f"{b}.beta"]
            y = gate(conv(f"{b}.conv4", norm(f"{b}.norm2", x)))
            x = x + conv(f"{b}.conv5", y) * w[f"{b}.gamma"]
        return x

    x = conv("intro", blurry, padding=1)
    skips = []
    for level, count in enumerate(config.encoder_blocks):
        skips.append(blocks(f"encoders.{level}", x, count))
        x = conv(f"downs.{level}", skips[-1], stride=2)
    x = blocks("middle_blks", x, config.middle_blocks)
    for level, count in enumerate(config.decoder_blocks):
        x = F.pixel_shuffle(conv(f"ups.{level}.0", x), 2) + skips.pop()
        x = blocks(f"decoders.{level}", x, count)
    return blurry + conv("ending", x, padding=1)


def mimo_by_formula(w: dict[str, Tensor], config: MIMOUNetConfig, blurry: Tensor) -> list[Tensor]:
    """The network of arXiv 2108.05054, with weights under the authors' names."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = w[f"{name}.main.0.weight"]
        return F.conv2d(x, weight, w[f"{name}.main.0.bias"], stride=stride, padding=weight.shape[2] // 2)

    def up(name: str, x: Tensor) -> Tensor:
        weights = w[f"{name}.main.0.weight"], w[f"{name}.main.0.bias"]
        return F.relu(F.conv_transpose2d(x, *weights, stride=2, padding=1))

    def blocks(name: str, x: Tensor) -> Tensor:
        for b in (f"{name}.layers.{i}" for i in range(config.blocks)):
            x = x + conv(f"{b}.main.1", F.relu(conv(f"{b}.main.0", x)))
        return x

    def shallow(name: str, x: Tensor) -> Tensor:
        y = x
        for index in range(4):
            y = F.relu(conv(f"{name}.main.{index}", y))
        return conv(f"{name}.conv", torch.cat((x, y), 1))

    def attention(name: str, x: Tensor, y: Tensor) -> Tensor:
        return x + conv(f"{name}.merge", x * y)

    def fusion(name: str, *features: Tensor) -> Tensor:
        size = features[int(name[-1])].shape[2:]
        same = torch.cat([F.interpolate(feature, size) for feature in features], 1)
        return conv(f"{name}.conv.1", F.relu(conv(f"{name}.conv.0", same)))

    half = F.interpolate(blurry, scale_factor=0.5)
    quarter = F.interpolate(half, scale_factor=0.5)
    e1 = blocks("Encoder.0", F.relu(conv("feat_extract.0", blurry)))
    e2 = F.relu(conv("feat_extract.1", e1, stride=2))
    e2 = blocks("Encoder.1", attention("FAM2", e2, shallow("SCM2", half)))
    e3 = F.relu(conv("feat_extract.2", e2, stride=2))
    e3 = blocks("Encoder.2", attention("FAM1", e3, shallow("SCM1", quarter)))
    d3 = blocks("Decoder.0", e3)
    d2 = torch.cat((up("feat_extract.3", d3), fusion("AFFs.1", e1, e2, e3)), 1)
    d2 = blocks("Decoder.1", F.relu(conv("Convs.0", d2)))
    d1 = torch.cat((up("feat_extract.4", d2), fusion("AFFs.0", e1, e2, e3)), 1)
    d1 = blocks("Decoder.2", F.relu(conv("Convs.1", d1)))
    return [quarter + conv("ConvsOut.0", d3), half + conv("ConvsOut.1", d2), blurry + conv("feat_extract.5", d1)]


def test_nafnet_with_the_original_weights_equals_the_original() -> None:
    weights = waves(NAF)
    with torch.no_grad():
        restored = from_foreign(weights, NAF).double()(wave_picture())
        expected = nafnet_by_formula({name: value.double() for name, value in weights.items()}, NAF, wave_picture())
    assert (expected - wave_picture()).abs().mean() > 0.01
    torch.testing.assert_close(restored, expected, rtol=1e-9, atol=1e-9)


def test_mimo_unet_with_the_original_weights_equals_the_original() -> None:
    weights = waves(MIMO)
    model = from_foreign(weights, MIMO).double()
    assert isinstance(model, MultiOutput)
    with torch.no_grad():
        outputs = model.restore_all(wave_picture())
        expected = mimo_by_formula({name: value.double() for name, value in weights.items()}, MIMO, wave_picture())
    for ours, original in zip(outputs, expected, strict=True):
        assert (original - F.interpolate(wave_picture(), original.shape[2:])).abs().mean() > 0.01
        torch.testing.assert_close(ours, original, rtol=1e-9, atol=1e-9)


PLACES = ((0, 0, 0), (1, 5, 17), (2, 15, 23), (0, 9, 4))
"""Channel, row and column at which the authors' programs were asked."""

# What the authors' own networks answer in float64: network.load_state_dict(waves(config)); network.double().eval();
# network(wave_picture())[0, channel, row, column] at PLACES. MPRNet's stages are listed from the first to the last.
MPRNET_ANSWERS = (
    (0.5180656911018889, 0.04546451085173168, 0.01657182839224837, 0.3604608981581874),
    (0.5938569980239804, 0.03822980841469335, 0.01273121740330729, 0.27026598025547366),
    (0.7226529673852891, 0.01824232512753898, 0.013730916576130497, 0.11402767227030661),
)
RESTORMER_ANSWERS = (0.471901098319017, 0.10941669196306872, 0.09601490811721389, 0.36690313678306913)


def at_places(restored: Tensor) -> list[float]:
    return [restored[0, channel, row, column].item() for channel, row, column in PLACES]


def test_mprnet_with_the_original_weights_equals_the_original() -> None:
    model = from_foreign(waves(MPR), MPR).double()
    assert isinstance(model, MultiOutput)
    with torch.no_grad():
        outputs = model.restore_all(wave_picture())
    for restored, answers in zip(outputs, MPRNET_ANSWERS, strict=True):
        assert at_places(restored) == pytest.approx(answers, abs=1e-9)


def test_restormer_with_the_original_weights_equals_the_original() -> None:
    model = from_foreign(waves(RESTORMER), RESTORMER).double()
    with torch.no_grad():
        assert at_places(model(wave_picture())) == pytest.approx(RESTORMER_ANSWERS, abs=1e-9)
