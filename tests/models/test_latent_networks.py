"""Networks of latent spaces: shapes, shortcuts, gradients, and the files that others trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.datasets.pair_files import read_rgb
from unblur.models import Autoencoder, AutoencoderConfig, LatentDecoder, LatentDecoderConfig, LatentSpace, build
from unblur.models.latent_decoder import Upsampling
from unblur.models.latent_encoder import Downsampling, LatentEncoder, LatentEncoderConfig, Standardisation
from unblur.models.tiny_autoencoder import build_taef2_decoder, build_taef2_encoder, build_taesana_encoder

ENCODER = LatentEncoderConfig(latent_channels=4, channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1, 1))
DECODER = LatentDecoderConfig(latent_channels=4, channels=(16, 16, 16, 8, 8), blocks=(1, 1, 1, 1, 1))
TINY = AutoencoderConfig(encoder=ENCODER, decoder=DECODER)


def without_corrections(network: nn.Module) -> nn.Module:
    """Only the shortcuts are left."""
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    return network


def test_the_bundled_sizes_stay_small() -> None:
    decoder, autoencoder = (
        sum(p.numel() for p in build(config).parameters()) for config in (LatentDecoderConfig(), AutoencoderConfig())
    )
    assert 3e6 < decoder < 4e6
    assert autoencoder < 14e6


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 1)])
def test_latents_are_a_32nd_of_the_picture_both_ways(rows: int, columns: int) -> None:
    autoencoder = Autoencoder(TINY)
    image = torch.rand(2, 3, 32 * rows, 32 * columns)
    latents = autoencoder.encoder(image)
    assert latents.shape == (2, 4, rows, columns)
    assert autoencoder.decoder(latents).shape == image.shape
    assert autoencoder(image).shape == image.shape


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (50, 33), (97, 31)])
def test_a_latent_space_takes_any_size(size: tuple[int, int]) -> None:
    autoencoder = Autoencoder(TINY).eval()
    space = LatentSpace(encoder=autoencoder.encoder, decoder=autoencoder.decoder, stride_px=32)
    image = torch.rand(1, 3, *size)
    latents = space.encode(image)
    assert latents.shape[2:] == tuple(-(-side // 32) for side in size)
    assert space.decode(latents).shape[2:] == tuple(32 * side for side in latents.shape[2:])


@torch.inference_mode()
def test_decoded_latents_are_pictures() -> None:
    autoencoder = Autoencoder(TINY)
    nn.init.normal_(autoencoder.decoder.ending.weight, std=3)
    space = LatentSpace(encoder=autoencoder.encoder, decoder=autoencoder.decoder, stride_px=32)
    image = space.decode(10 * torch.randn(1, 4, 2, 2))
    assert 0 == float(image.min()) < float(image.max()) == 1


@torch.inference_mode()
def test_latents_are_centred_and_have_unit_deviation_by_construction() -> None:
    torch.manual_seed(0)
    encoder = LatentEncoder(ENCODER)
    images = torch.rand(16, 3, 64, 64) * torch.rand(16, 3, 1, 1)
    latents = encoder(images)
    assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=0.02)
    # Running statistics of one batch, rounded to 16 bits as in checkpoints, normalize as well afterwards.
    later = encoder.half().float().eval()(images)
    assert torch.allclose(later, latents, atol=0.05)
    # One picture alone is not centred: its brightness is information.
    assert float(encoder(images[:1]).mean(dim=(2, 3)).abs().max()) > 0.1


def test_training_begins_at_grey() -> None:
    assert torch.equal(LatentDecoder(DECODER)(torch.randn(1, 4, 1, 1)), torch.full((1, 3, 32, 32), 0.5))


def test_shortcuts_undo_each_other_where_no_channel_is_lost() -> None:
    x = torch.randn(2, 8, 6, 4)
    down, up = without_corrections(Downsampling(8, 32)), without_corrections(Upsampling(32, 8))
    assert torch.equal(up(down(x)), x)


@torch.inference_mode()
def test_shortcuts_keep_means() -> None:
    """Fewer channels are means of groups, more are repetitions, and neither makes a picture brighter."""
    x = torch.randn(1, 8, 4, 4)
    fewer, more = without_corrections(Downsampling(8, 4))(x), without_corrections(Upsampling(8, 16))(x)
    assert fewer.shape == (1, 4, 2, 2)
    assert more.shape == (1, 16, 8, 8)
    assert float(fewer.mean()) == pytest.approx(float(x.mean()), abs=1e-6)
    assert float(more.mean()) == pytest.approx(float(x.mean()), abs=1e-6)


def test_every_parameter_gets_a_gradient() -> None:
    autoencoder = Autoencoder(TINY)
    nn.init.normal_(autoencoder.decoder.ending.weight)
    autoencoder(torch.rand(1, 3, 64, 64)).square().mean().backward()
    for name, parameter in autoencoder.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_tiles_of_latents_decode_as_the_whole_does() -> None:
    """Beyond the reach of the convolutions, which here is less than 5 latents."""
    torch.manual_seed(0)
    decoder = LatentDecoder(DECODER)
    nn.init.normal_(decoder.ending.weight, std=0.05)
    latents = torch.randn(1, 4, 1, 12)
    whole, tile = decoder(latents), decoder(latents[..., :8])
    assert torch.allclose(whole[..., : 3 * 32], tile[..., : 3 * 32], atol=1e-5)
    assert not torch.allclose(whole[..., : 8 * 32], tile, atol=1e-3)


@torch.inference_mode()
def test_bfloat16_is_near_float32() -> None:
    torch.manual_seed(0)
    decoder = LatentDecoder(DECODER)
    nn.init.normal_(decoder.ending.weight, std=0.05)
    latents = torch.randn(1, 4, 2, 2)
    exact = decoder(latents)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = decoder(latents)
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs().max()) < 0.02 * float((exact - 0.5).abs().max())


@pytest.mark.parametrize("config", [TINY, DECODER], ids=["autoencoder", "decoder"])
def test_saved_and_loaded_is_the_same_network(config: AutoencoderConfig | LatentDecoderConfig, tmp_path: Path) -> None:
    network = build(config).half().float()
    save_checkpoint(tmp_path, network, config, train_patch_px=64, card="")
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == config
    assert all(torch.equal(loaded.model.state_dict()[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: replace(DECODER, blocks=(1, 1)),
        lambda: replace(DECODER, channels=(16, 16, 16, 12, 7)),
        lambda: replace(DECODER, latent_channels=5),
        lambda: replace(ENCODER, blocks=(1,)),
        lambda: replace(ENCODER, channels=(8, 9, 16, 16, 16)),
        lambda: replace(TINY, encoder=replace(ENCODER, latent_channels=8)),
        lambda: replace(TINY, encoder=replace(ENCODER, channels=(8, 16), blocks=(1, 1))),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"these|every scale|must agree"):
        wrong()


@pytest.fixture
def read(published: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    return lambda name: torch.load(published(name), map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    """(1, 3, 448, 640) in [0, 1]."""
    return read_rgb(Path(__file__).parents[2] / "examples" / "reds_sharp.png")[None].float() / 255


@torch.inference_mode()
def test_taesana_loads_exactly_and_takes_pictures_from_0_to_1(
    read: Callable[[str], dict[str, Tensor]], photograph: Tensor
) -> None:
    encoder = build_taesana_encoder()
    encoder.load_state_dict(read("taesana_encoder.pth"))
    latents = encoder(photograph)
    assert latents.shape == (1, 32, 14, 20)
    # DC-AE's own latents have a deviation of 1 / 0.41407 = 2.4: these are multiplied by the factor already.
    assert 0.6 < float(latents.std()) < 1.3
    assert float(encoder(2 * photograph - 1).std()) > 1.5


@torch.inference_mode()
def test_taef2_loads_exactly_and_gives_the_photograph_back(
    read: Callable[[str], dict[str, Tensor]], photograph: Tensor
) -> None:
    encoder, decoder = build_taef2_encoder(), build_taef2_decoder()
    encoder.load_state_dict(read("taef2_encoder.pth"))
    decoder.load_state_dict(read("taef2_decoder.pth"))
    space = LatentSpace(encoder=encoder, decoder=decoder, stride_px=8)
    part = photograph[..., :192, :192]
    error = (space.decode(space.encode(part)) - part).square().mean()
    assert float(-10 * error.log10()) > 27


@pytest.mark.slow
@torch.inference_mode()
def test_the_tiny_blocks_are_those_of_an_independent_implementation(photograph: Tensor) -> None:
    """diffusers' AutoencoderTiny has TAEF2's rows but for the mixing, which is set to nothing here."""
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers to compare with")
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderTiny(latent_channels=32)
    encoder, decoder = build_taef2_encoder(), build_taef2_decoder()
    for ours, others in ((encoder, theirs.encoder), (decoder, theirs.decoder)):
        mixing = {name for name in ours.state_dict() if ".pool." in name}
        weights = [value for name, value in others.state_dict().items() if name.startswith("layers.")]
        names = [name for name in ours.state_dict() if name not in mixing]
        state = dict(zip(names, weights, strict=True))
        state |= {name: torch.zeros_like(ours.state_dict()[name]) for name in mixing}
        ours.load_state_dict(state)
    part = photograph[..., :64, :64]
    assert torch.allclose(encoder(part), theirs.encoder(2 * part - 1), atol=1e-4)
    latents = 2 * torch.randn(1, 32, 8, 8)
    assert torch.allclose(2 * decoder(latents) - 1, theirs.decoder(latents), atol=1e-4)


@torch.inference_mode()
def test_standardisation_averages_statistics_over_steps_for_faint_channels_too() -> None:
    """Moving averages of weights, as training keeps them, must not bring back what the statistics began with."""
    torch.manual_seed(0)
    layer = Standardisation(3)
    average = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(4, 3, 8, 8) * torch.tensor([1e-3, 1.0, 50.0]).view(-1, 1, 1) + 0.01
    for step in range(50):
        in_training = layer(x)
        for name, value in layer.state_dict().items():
            average[name].lerp_(value, 9 / (10 + step))
    layer.load_state_dict(average)
    assert torch.allclose(layer.eval()(x), in_training, atol=0.01)
    assert torch.allclose(in_training.std(dim=(0, 2, 3)), torch.ones(3), atol=0.01)
    assert torch.equal(Standardisation(3).eval()(x), x)
