import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from unblur.models import BlurClassifier, BlurClassifierConfig, MotionEstimatorConfig
from unblur.models.blur_classifier import DIRECTIONS, FEATURES

SMALL = BlurClassifierConfig(
    motion=MotionEstimatorConfig(channels=(4, 4, 8, 8), blocks=(1, 1, 1, 1)),
    pixel_channels=(4, 4, 4, 4, 6),
    direction_channels=4,
    channels=8,
    photo_channels=8,
)

ENERGIES = FEATURES - 2


def wave(degrees: float, wavelength_px: float) -> Tensor:
    """A photograph (1, 3, 96, 96) of a wave along a direction, clockwise, rows growing downwards."""
    y, x = torch.arange(96.0)[:, None], torch.arange(96.0)
    along = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees))
    return (0.5 + 0.3 * torch.cos(2 * math.pi / wavelength_px * along)).expand(1, 3, 96, 96)


@pytest.mark.parametrize(("height", "width", "places"), [(96, 128, (3, 4)), (101, 70, (3, 2)), (20, 33, (1, 1))])
def test_there_is_a_place_for_each_square_of_32_pixels(height: int, width: int, places: tuple[int, int]) -> None:
    found = BlurClassifier(SMALL).eval()(torch.rand(2, 3, height, width))
    assert found.photo.shape == (2, 4)
    assert found.places.shape == (2, 3, *places)
    assert found.directions.shape == (2, DIRECTIONS, *places)
    assert found.log_length.shape == found.log_radius.shape == (2, *places)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_a_wave_has_most_energy_in_its_own_direction_and_wavelength(direction: int) -> None:
    network = BlurClassifier(SMALL)
    shortest = []
    for wavelength in (2.6, 4.2, 8.4, 16.8):
        energies = network.measure(wave(180 * direction / DIRECTIONS, wavelength))[0, : ENERGIES // 2, :, 1, 1]
        strongest = int(energies.amax(dim=1).argmax())
        assert int(energies[strongest].argmax()) == direction
        shortest.append(strongest)
    assert shortest == sorted(shortest)
    assert len(set(shortest)) == 4


def test_turning_the_features_turns_the_directions_and_nothing_else() -> None:
    network, photo = BlurClassifier(SMALL).eval(), torch.rand(1, 3, 128, 160)
    features = torch.randn(1, FEATURES, DIRECTIONS, 4, 5)
    found, turned = network.classify(photo, features), network.classify(photo, features.roll(3, dims=2))
    assert torch.allclose(turned.photo, found.photo, atol=1e-5)
    assert torch.allclose(turned.places, found.places, atol=1e-5)
    assert torch.allclose(turned.directions, found.directions.roll(3, dims=1), atol=1e-5)


def test_pixels_count_beside_the_features() -> None:
    network, features = BlurClassifier(SMALL).eval(), torch.randn(1, FEATURES, DIRECTIONS, 4, 5)
    photo = torch.rand(1, 3, 128, 160)
    changed = photo.clone()
    changed[..., 40:60, 70:90] = 0.5
    places = network.classify(photo, features).places, network.classify(changed, features).places
    assert not torch.equal(places[0][:, :, 1, 2], places[1][:, :, 1, 2])


def test_every_trained_parameter_has_a_gradient_and_the_motion_estimator_has_none() -> None:
    network = BlurClassifier(SMALL)
    network.train()
    found = network.classify(torch.rand(2, 3, 160, 192), torch.randn(2, FEATURES, DIRECTIONS, 5, 6))
    torch.autograd.backward(torch.stack([(part * torch.randn(part.shape)).sum() for part in found]).sum())
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith("motion."), name


def test_bfloat16_is_near_float32() -> None:
    network, features = BlurClassifier(SMALL).eval(), torch.randn(1, FEATURES, DIRECTIONS, 4, 4)
    photo = torch.rand(1, 3, 128, 128)
    with torch.autocast("cpu", torch.bfloat16):
        half = network.classify(photo, features)
    assert torch.allclose(half.photo.float(), network.classify(photo, features).photo, atol=0.1)


def test_normalisation_is_by_mean_and_deviation() -> None:
    network = BlurClassifier(replace(SMALL))
    features = 3 + 2 * torch.randn(1000, FEATURES)
    network.normalise_like(features)
    assert torch.allclose(network.mean, features.mean(dim=0))
    assert torch.allclose(network.deviation, features.std(dim=0))
