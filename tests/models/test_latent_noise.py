"""One field of noise for a whole photograph, whatever window is cut from it."""

import torch

from unblur.models.latent_noise import sample_latent_noise


def test_windows_are_cut_from_one_field() -> None:
    whole = sample_latent_noise(3, 5, range(9), range(7))
    assert whole.shape == (1, 5, 9, 7)
    for rows, columns in ((range(2, 6), range(3, 7)), (range(8, 9), range(0, 1)), (range(9), range(1, 3))):
        window = sample_latent_noise(3, 5, rows, columns)
        assert torch.equal(window, whole[:, :, rows.start : rows.stop, columns.start : columns.stop])


def test_another_seed_is_another_field() -> None:
    one, other = (sample_latent_noise(seed, 32, range(20), range(20)).flatten() for seed in (0, 1))
    # Of 12,800 independent pairs; four deviations.
    assert abs(float((one * other).mean())) < 4 / 12_800**0.5


def test_noise_is_normal_and_every_place_has_its_own() -> None:
    noise = sample_latent_noise(0, 32, range(20), range(20))
    assert abs(float(noise.mean())) < 4 / 12_800**0.5
    assert abs(float(noise.std()) - 1) < 4 / 25_600**0.5
    for shifted in (noise[:, :, 1:] * noise[:, :, :-1], noise[..., 1:] * noise[..., :-1]):
        assert abs(float(shifted.mean())) < 4 / shifted.numel() ** 0.5
