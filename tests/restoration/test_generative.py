"""Restoration with generated detail: tiles equal the whole, seeds are reproducible, broken detail is discarded."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_networks import save_dc_autoencoder
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED_RESTORER, save_checkpoint
from unblur.errors import UnblurError
from unblur.metrics import psnr
from unblur.models import AutoencoderConfig, GlowDeblur, GlowRestorer, LatentDecoder, LatentEncoderConfig, build
from unblur.models.glow import Conditions
from unblur.models.samplers import Sampling
from unblur.models.tokens import Tokens
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings
from unblur.restoration.loading import load
from unblur.restoration.low_frequencies import extract_low_frequencies
from unblur.restoration.restorer import RestorationSettings, Restorer
from unblur.restoration.tiles import compute_spans

pytest.importorskip("diffusers", reason="needs the extra `generative`")
pytestmark = pytest.mark.slow  # Loading diffusers alone takes seconds.

QUICK = GenerativeSettings(steps=2, fidelity=0.2, precision="float32", pooling_window_px=96)
WHITE = 65535


def make_photo(height: int, width: int, channels: int = 3, seed: int = 0) -> Photo:
    """Return grey tones with texture, in 16 bits, so that rounding hides little."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, channels), 0.4, np.float32)
    for scale in (1, 8, 32):
        coarse = rng.random((height // scale + 1, width // scale + 1, channels), np.float32)
        picture += 0.06 * coarse.repeat(scale, 0).repeat(scale, 1)[:height, :width]
    return Photo(pixels=(picture * WHITE).astype(np.uint16))


def as_tensor(photo: Photo) -> Tensor:
    return torch.from_numpy(photo.pixels.astype(np.float32) / WHITE).permute(2, 0, 1)[None]


def pixels(restored: Tensor) -> np.ndarray:
    return (restored[0].permute(1, 2, 0).clamp(0, 1).numpy() * WHITE).round().astype(int)


class Local(GlowDeblur):
    """A network whose outputs depend only on the pixels of their own latent, so that tiles cannot matter."""

    def forward(self, blurry: Tensor, *_: object) -> Conditions:
        cells = F.avg_pool2d(blurry, 32)
        token = Tokens(blurry.new_zeros(len(blurry), 1, 16), torch.ones(len(blurry), 1, dtype=torch.bool))
        return Conditions(
            restored=0.5 + 0.9 * (blurry - 0.5),
            aligned=torch.cat((cells, cells[:, :1]), dim=1),
            motion=torch.zeros(len(blurry), 6, *cells.shape[2:]),
            tokens=token,
        )

    def predict_velocity(self, noisy: Tensor, _: Tensor, conditions: Conditions) -> Tensor:
        return 0.5 * noisy - conditions.aligned


class Painter(nn.Module):
    """A decoder that renders a grey square for each latent, with some of it in every pixel."""

    def __init__(self, amount: float = 0.03) -> None:
        super().__init__()
        self.pattern = nn.Parameter(torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
        self.amount = amount

    def forward(self, latents: Tensor) -> Tensor:
        wide = F.interpolate(latents.clamp(-2, 2)[:, :3], scale_factor=32.0)
        return 0.5 + self.amount * wide * self.pattern.repeat(1, 1, *latents.shape[2:])


class Broken(nn.Module):
    """A decoder whose output is `value` in a part of the image."""

    def __init__(self, painter: nn.Module, value: float) -> None:
        super().__init__()
        self.painter, self.value = painter, value

    def forward(self, latents: Tensor) -> Tensor:
        painted = self.painter(latents).clone()
        painted[..., :16, :] = self.value
        return painted


@pytest.fixture
def tiny(tiny_glow: GlowDeblur, tiny_decoder: LatentDecoder) -> GenerativeRestorer:
    return GenerativeRestorer(tiny_glow, tiny_decoder, QUICK, device="cpu")


def with_settings(restorer: GenerativeRestorer, **changed: object) -> GenerativeRestorer:
    glow = restorer._glow
    settings = replace(restorer.settings, **changed)  # type: ignore[arg-type]
    return GenerativeRestorer(glow.network, glow.decoder, settings, device="cpu")


@pytest.fixture
def local(tiny_glow: GlowDeblur) -> GenerativeRestorer:
    return GenerativeRestorer(Local(tiny_glow.config), Painter(0.06), QUICK, device="cpu")


# --- tiles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(300, 500), (129, 700), (448, 64)])
def test_tiles_of_a_local_network_equal_the_whole(local: GenerativeRestorer, shape: tuple[int, int]) -> None:
    photo = make_photo(*shape)
    whole, tiled = (local.restore_photo(photo, tile=tile) for tile in (0, 256))
    assert (whole.tile_px, tiled.tile_px) == (0, 256)
    assert whole.generated_share == tiled.generated_share == 1
    assert whole.change > 0.01
    assert np.abs(whole.photo.pixels.astype(int) - tiled.photo.pixels).max() <= 1


def measure_seams(restorer: GenerativeRestorer, photo: Photo) -> list[float]:
    """Return the ratio of steps at ends of tiles to steps at other squares of 32 px, down and across."""
    whole, tiled = (restorer.restore_photo(photo, tile=tile).photo.pixels.astype(float) for tile in (0, 256))
    found = []
    for axis, length in enumerate(photo.pixels.shape[:2]):
        steps = np.abs(np.diff(tiled - whole, axis=axis)).mean(axis=(1 - axis, 2))
        overlap_px, feather_px = restorer.settings.overlap_px, restorer.settings.feather_px
        windows = compute_spans(length, tile_px=256, overlap_px=overlap_px, feather_px=feather_px)
        ends = {end for span in windows for end in (span.start_px, span.stop_px)} - {0, length}
        others = set(range(32, length, 32)) - ends
        found.append(float(np.mean([steps[end - 1] for end in ends]) / np.mean([steps[end - 1] for end in others])))
    return found


def test_no_seams_with_a_large_receptive_field(tiny: GenerativeRestorer) -> None:
    photo = make_photo(320, 576)
    assert max(measure_seams(tiny, photo)) < 1.2
    # Tiles without overlap would be visible.
    assert max(measure_seams(with_settings(tiny, overlap_px=0, feather_px=1), photo)) > 1.5


def test_the_change_by_generation_is_added_to_the_restoration(tiny: GenerativeRestorer) -> None:
    photo = make_photo(96, 160)
    glow = GlowRestorer(tiny._glow.network, tiny._glow.decoder, Sampling(steps=2), seed=5)
    blurry = as_tensor(photo)
    with torch.no_grad():
        conditions = glow.compute_conditions(blurry)
        change = glow(blurry) - glow.decoder(conditions.aligned)
        expected = conditions.restored + change - extract_low_frequencies(change)
    result = with_settings(tiny, seed=5, fidelity=0.0).restore_photo(photo)
    assert result.generated_share == 1
    assert change.abs().mean() > 0.001
    assert np.abs(result.photo.pixels - pixels(expected)).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (33, 31), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size(tiny: GenerativeRestorer, shape: tuple[int, int], channels: int) -> None:
    photo = make_photo(*shape, channels)
    restoration = with_settings(tiny, samples=2).restore_photo(photo, tile=64)
    assert restoration.photo.pixels.shape == photo.pixels.shape
    assert restoration.uncertainty is not None
    assert restoration.uncertainty.shape == shape


# --- seeds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["dpm", "euler"])
def test_the_seed_determines_the_photograph(tiny: GenerativeRestorer, solver: str) -> None:
    photo, other = make_photo(128, 200), make_photo(50, 100, seed=1)
    restorer = with_settings(tiny, solver=solver)
    first = restorer.restore_photo(photo, tile=128).photo.pixels
    restorer.restore_photo(other)
    torch.manual_seed(99)
    assert np.array_equal(with_settings(restorer).restore_photo(photo, tile=128).photo.pixels, first)
    assert not np.array_equal(with_settings(restorer, seed=1).restore_photo(photo, tile=128).photo.pixels, first)


# --- fidelity --------------------------------------------------------------------------------------------


class PreReconstructionAlone(nn.Module):
    def __init__(self, network: GlowDeblur) -> None:
        super().__init__()
        self.network = network

    def forward(self, blurry: Tensor) -> Tensor:
        restored: Tensor = self.network.pre_reconstruction(blurry)[0]
        return restored


def test_fidelity_1_is_the_pre_reconstruction_without_the_decoder(tiny_glow: GlowDeblur) -> None:
    photo = make_photo(96, 160)
    settings = replace(QUICK, fidelity=1.0)
    generative = GenerativeRestorer(tiny_glow, Broken(Painter(), float("nan")), settings, device="cpu")
    restoration = generative.restore_photo(photo)
    faithful = Restorer(
        PreReconstructionAlone(tiny_glow),
        RestorationSettings(precision="float32", pooling_window_px=96),
        device="cpu",
    ).restore_photo(photo)
    assert np.array_equal(restoration.photo.pixels, faithful.photo.pixels)
    assert faithful.change > 0.001
    assert (restoration.generated_share, restoration.fallback_share) == (0, 0)


def test_another_first_restoration_replaces_the_pre_reconstruction(tiny_glow: GlowDeblur) -> None:
    class Brighter(nn.Module):
        def forward(self, blurry: Tensor) -> Tensor:
            return blurry + 0.1

    photo = make_photo(96, 160)
    none, some = (
        GenerativeRestorer(
            tiny_glow, Painter(), replace(QUICK, fidelity=fidelity), first=Brighter(), device="cpu"
        ).restore_photo(photo)
        for fidelity in (1.0, 0.5)
    )
    assert np.abs(none.photo.pixels - photo.pixels.astype(int) - 0.1 * WHITE).max() <= 1
    assert some.generated_share == 1
    # The change is added to it, and its mean is about zero.
    change = some.photo.pixels.astype(int) - none.photo.pixels
    assert np.abs(change).mean() > 100
    assert np.abs(change.mean(axis=(0, 1))).max() < 0.1 * np.abs(change).mean()


@pytest.mark.usefixtures("remembered_shakes")
def test_bundled_weights_at_fidelity_1_equal_the_faithful_mode() -> None:
    blurry = read_photo(Path(__file__).parents[2] / "examples" / "reds_blurry.png").pixels[:250, :331]
    restored = load(mode="generative", generative=GenerativeSettings(fidelity=1.0), device="cpu").restore_photo(
        Photo(pixels=blurry)
    )
    assert restored.generated_share == 0
    assert np.array_equal(restored.photo.pixels, load(device="cpu", runtime="torch").restore(blurry))


@pytest.mark.parametrize("fidelity", [0.0, 0.3, 0.7, 0.99])
def test_fidelity_is_continuous(tiny: GenerativeRestorer, fidelity: float) -> None:
    photo = make_photo(64, 96)
    euler = with_settings(tiny, solver="euler", steps=4)

    def restored(at: float) -> np.ndarray:
        return with_settings(euler, fidelity=at).restore_photo(photo).photo.pixels.astype(float)

    here = restored(fidelity)
    far, near = (np.abs(restored(min(1.0, fidelity + step)) - here).mean() for step in (1e-3, 1e-4))
    assert near < 0.25 * far
    assert far < 0.01 * WHITE


def test_fidelity_leads_to_the_pre_reconstruction(tiny: GenerativeRestorer) -> None:
    photo = make_photo(64, 96)
    end = with_settings(tiny, fidelity=1.0).restore_photo(photo).photo.pixels.astype(float)
    distances = [
        np.abs(with_settings(tiny, fidelity=at).restore_photo(photo).photo.pixels - end).mean()
        for at in (0.0, 0.9, 0.99, 0.999)
    ]
    assert all(near < far for far, near in pairwise(distances))
    assert distances[-1] < 0.02 * distances[0]


# --- uncertainty -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_uncertainty_is_the_deviation_over_seeds_and_changes_no_pixel(tiny: GenerativeRestorer, channels: int) -> None:
    photo = make_photo(80, 100, channels)
    alone = [with_settings(tiny, seed=7 + index).restore_photo(photo).photo.pixels for index in range(3)]
    compared = with_settings(tiny, seed=7, samples=3).restore_photo(photo)
    assert np.array_equal(compared.photo.pixels, alone[0])
    expected = np.sqrt((np.std(np.stack(alone) / WHITE, axis=0, ddof=1) ** 2).mean(axis=2))
    assert compared.uncertainty is not None
    np.testing.assert_allclose(compared.uncertainty, expected, atol=3e-5)
    assert expected.mean() > 1e-3
    assert tiny.restore_photo(photo).uncertainty is None


def test_uncertainty_follows_strength_and_fidelity(tiny: GenerativeRestorer) -> None:
    photo = make_photo(64, 96)
    compared = with_settings(tiny, samples=2)
    whole, half, none = (compared.restore_photo(photo, strength).uncertainty for strength in (1.0, 0.5, 0.0))
    certain = with_settings(compared, fidelity=1.0).restore_photo(photo).uncertainty
    assert whole is not None
    assert half is not None
    np.testing.assert_allclose(half, whole / 2, atol=1e-7)
    assert none is not None
    assert certain is not None
    assert none.max() == certain.max() == 0


def test_uncertainty_has_no_seams_where_tiles_cannot_matter(local: GenerativeRestorer) -> None:
    photo = make_photo(200, 500)
    whole, tiled = (with_settings(local, samples=2).restore_photo(photo, tile=tile).uncertainty for tile in (0, 256))
    assert whole is not None
    assert tiled is not None
    np.testing.assert_allclose(tiled, whole, atol=2e-6)


# --- garbage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 40.0])
def test_the_pre_reconstruction_replaces_failed_generation(tiny_glow: GlowDeblur, value: float) -> None:
    photo = make_photo(64, 96)
    settings = replace(QUICK, samples=2)
    broken = GenerativeRestorer(tiny_glow, Broken(Painter(), value), settings, device="cpu").restore_photo(photo)
    certain = GenerativeRestorer(tiny_glow, Painter(), replace(settings, fidelity=1.0), device="cpu")
    assert np.array_equal(broken.photo.pixels, certain.restore_photo(photo).photo.pixels)
    assert (broken.generated_share, broken.fallback_share) == (0, 0)
    assert broken.uncertainty is not None
    assert broken.uncertainty.max() == 0


def test_a_broken_tile_does_not_affect_the_others(local: GenerativeRestorer) -> None:
    class BrokenInTheDark(Painter):
        def forward(self, latents: Tensor) -> Tensor:
            painted = super().forward(latents)
            return painted if float(latents[:, 3].mean()) > 0 else painted / 0

    photo = make_photo(64, 500)
    # The fourth latent is the aligned feature of the first colour: dark on the left.
    photo.pixels[:, :250] //= 20

    class BrightnessAligned(Local):
        def forward(self, blurry: Tensor, *_: object) -> Conditions:
            conditions = super().forward(blurry)
            return replace(conditions, aligned=10 * (conditions.aligned - 0.25))

    network = BrightnessAligned(local._glow.network.config)
    restorer = GenerativeRestorer(network, BrokenInTheDark(), replace(QUICK, fidelity=0.9), device="cpu")
    restoration = restorer.restore_photo(photo, tile=256)
    assert 0 < restoration.generated_share < 1
    assert restoration.fallback_share == 0
    assert not np.array_equal(restoration.photo.pixels, photo.pixels)


def test_the_photograph_is_unchanged_where_the_pre_reconstruction_fails(local: GenerativeRestorer) -> None:
    class Nothing(Local):
        def forward(self, blurry: Tensor, *_: object) -> Conditions:
            conditions = super().forward(blurry)
            return replace(conditions, restored=conditions.restored * float("nan"))

    photo = make_photo(64, 96)
    network = Nothing(local._glow.network.config)
    restoration = GenerativeRestorer(network, Painter(), replace(QUICK, samples=2), device="cpu").restore_photo(photo)
    assert np.array_equal(restoration.photo.pixels, photo.pixels)
    assert (restoration.fallback_share, restoration.generated_share) == (1, 0)


# --- the rest --------------------------------------------------------------------------------------------


def test_hidden_pixels_are_unchanged(tiny: GenerativeRestorer) -> None:
    photo = make_photo(64, 96)
    alpha = np.full((64, 96), WHITE, np.uint16)
    alpha[:20] = 0
    restoration = with_settings(tiny, samples=2).restore_photo(replace(photo, alpha=alpha))
    assert np.array_equal(restoration.photo.pixels[:20], photo.pixels[:20])
    assert not np.array_equal(restoration.photo.pixels[20:], photo.pixels[20:])
    assert restoration.uncertainty is not None
    assert restoration.uncertainty[:20].max() == 0 < restoration.uncertainty[20:].max()


def test_bfloat16_is_close_to_float32_and_preserves_colours(tiny: GenerativeRestorer) -> None:
    photo = make_photo(96, 160)
    generated = {}
    for precision in ("float32", "bfloat16"):
        restorer = with_settings(tiny, precision=precision)
        one, certain = (
            with_settings(restorer, fidelity=fidelity).restore_photo(photo)
            for fidelity in (tiny.settings.fidelity, 1.0)
        )
        assert one.generated_share == 1
        generated[precision] = (one.photo.pixels.astype(float) - certain.photo.pixels) / WHITE
    exact, rounded = generated["float32"], generated["bfloat16"]
    assert np.abs(rounded - exact).mean() < 0.2 * np.abs(exact).mean()
    np.testing.assert_allclose(rounded.mean(axis=(0, 1)), exact.mean(axis=(0, 1)), atol=2e-4)


def test_strength_0_returns_the_input(tiny: GenerativeRestorer) -> None:
    photo = make_photo(64, 96)
    restoration = tiny.restore_photo(photo, 0)
    assert np.array_equal(restoration.photo.pixels, photo.pixels)
    assert restoration.generated_share == 0


def test_progress_rises_with_every_step(tiny: GenerativeRestorer) -> None:
    shares: list[float] = []
    with_settings(tiny, samples=2, steps=3).restore_photo(make_photo(64, 150), tile=128, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(set(shares)) == 2 * 2 * 3


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"steps": 0}, "steps"),
        ({"fidelity": -0.1}, "fidelity"),
        ({"fidelity": 1.1}, "fidelity"),
        ({"fidelity": float("nan")}, "fidelity"),
        ({"samples": 0}, "samples"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], reason: str) -> None:
    with pytest.raises(UnblurError, match=reason):
        GenerativeSettings(**wrong)  # type: ignore[arg-type]


# --- checkpoints -----------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path, tiny_glow: GlowDeblur, tiny_decoder: LatentDecoder) -> Path:
    for name, network in (("glow", tiny_glow), ("decoder", tiny_decoder)):
        save_checkpoint(
            tmp_path / name,
            network,
            network.config,
            train_patch_px=64,
            card="",
            dtype=torch.float32,  # type: ignore[arg-type]
        )
    return tmp_path


def test_load_a_checkpoint_and_its_decoder(saved: Path, tiny: GenerativeRestorer) -> None:
    photo = make_photo(64, 96)
    loaded = load(saved / "glow", "cpu", mode="generative", decoder=saved / "decoder", generative=QUICK)
    assert np.array_equal(loaded.restore_photo(photo).photo.pixels, tiny.restore_photo(photo).photo.pixels)
    assert loaded.checkpoint_sha256 != loaded.decoder_sha256
    # 1.5 training patches.
    usual = load(saved / "glow", "cpu", mode="generative", decoder=saved / "decoder")
    assert usual.settings.pooling_window_px == 96


def test_load_the_decoder_of_an_autoencoder(saved: Path, tiny_decoder: LatentDecoder) -> None:
    encoder = LatentEncoderConfig(latent_channels=4, channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1, 1))
    config = AutoencoderConfig(encoder=encoder, decoder=tiny_decoder.config)
    autoencoder = build(config)
    autoencoder.get_submodule("decoder").load_state_dict(tiny_decoder.state_dict())
    save_checkpoint(saved / "both", autoencoder, config, train_patch_px=64, card="", dtype=torch.float32)
    photo = make_photo(64, 64)
    one, other = (
        load(saved / "glow", "cpu", mode="generative", decoder=saved / name, generative=QUICK)
        for name in ("both", "decoder")
    )
    assert np.array_equal(one.restore_photo(photo).photo.pixels, other.restore_photo(photo).photo.pixels)


def test_load_the_decoder_of_a_deep_compression_autoencoder(saved: Path) -> None:
    save_dc_autoencoder(saved / "sana" / "vae")
    restorer = load(saved / "glow", "cpu", mode="generative", decoder=saved / "sana", generative=QUICK)
    assert restorer.decoder_sha256 is None
    assert restorer.restore_photo(make_photo(64, 64)).photo.pixels.shape == (64, 64, 3)


@pytest.mark.usefixtures("remembered_shakes")
def test_bundled_weights_change_detail_and_stay_near_the_restoration() -> None:
    examples = Path(__file__).parents[2] / "examples"
    pictures = {name: read_photo(examples / f"reds_{name}.png").pixels[:250, :331] for name in ("blurry", "sharp")}
    result = load(device="cpu", mode="generative").restore_photo(Photo(pixels=pictures["blurry"]))
    assert result.generated_share == 1
    faithful = load(device="cpu").restore(pictures["blurry"])
    assert np.abs(result.photo.pixels.astype(float) - faithful).mean() > 1
    psnrs = [
        float(psnr(*(torch.from_numpy(each).permute(2, 0, 1)[None] / 255 for each in (restored, pictures["sharp"]))))
        for restored in (result.photo.pixels, faithful)
    ]
    assert psnrs[0] > psnrs[1] - 1.5


def test_missing_or_unsuitable_checkpoints_raise_one_sentence(saved: Path) -> None:
    wide = AutoencoderConfig()
    save_checkpoint(saved / "wide", build(wide), wide, train_patch_px=64, card="")
    for (checkpoint, decoder), reason in (
        ((saved / "glow", None), "decode 4 latents"),
        ((BUNDLED_RESTORER, saved / "decoder"), "no generative network"),
        ((saved / "glow", BUNDLED_RESTORER), "no decoder"),
        ((saved / "glow", saved / "wide"), "decode 4 latents"),
        ((saved / "glow", saved / "nowhere"), "No checkpoint at"),
    ):
        with pytest.raises(UnblurError, match=reason) as caught:
            load(checkpoint, "cpu", mode="generative", decoder=decoder)
        assert "\n" not in str(caught.value)
