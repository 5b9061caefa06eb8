"""The ablation of GLOWDeblur's parts: comparisons and reported means."""

import csv
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_networks import GLOW, NAFNET, PRIOR

from experiments.glow_ablation import VARIANTS, GlowStudy, glow_ablation, make_ablation_recipe
from experiments.harness import run
from unblur.blur.presets import find_preset
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.config import from_json, to_json
from unblur.datasets import DataSource, PhotoFolder, SimulatedBlur
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.models import (
    AutoencoderConfig,
    GlowConfig,
    LatentDecoderConfig,
    LatentEncoderConfig,
    MotionEstimatorConfig,
    PreReconstructionConfig,
)
from unblur.models import build as built
from unblur.models.motion_guidance import MOTION_CHANNELS
from unblur.models.samplers import Sampling
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.recipes.glow import glow, glow_joint
from unblur.training.objective_settings import GlowTraining
from unblur.training.recipe import Recipe, Schedule

SOURCES: tuple[DataSource, ...] = tuple(
    SimulatedBlur(camera=find_preset(name), share=1.0) for name in ("gopro", "realblur")
)

# The autoencoder of this study has as many latents as SANA's.
WIDE = replace(
    GLOW,
    denoiser=replace(GLOW.denoiser, latent_channels=32, condition_channels=32 + MOTION_CHANNELS),
    pre_reconstruction=PreReconstructionConfig(nafnet=NAFNET, align_channels=4),
    motion=MotionEstimatorConfig(),
)


def test_stages_differ_from_their_recipes_by_the_studied_setting_only() -> None:
    first = make_ablation_recipe(joint=False, aligned=True, sources=(), steps=50, cache_size=7, seed=3)
    alike = partial(replace, name="", schedule=Schedule(steps=1), seed=1, objective=GlowTraining())
    assert alike(first) == alike(glow())
    assert first.objective == replace(glow().objective, cache_size=7)
    tuned = make_ablation_recipe(joint=True, aligned=True, sources=SOURCES, steps=50, cache_size=7, seed=3)
    assert tuned.schedule.peak_learning_rate == glow_joint().schedule.peak_learning_rate
    assert tuned.schedule.peak_learning_rate < first.schedule.peak_learning_rate
    assert [source.share for source in tuned.data.extra_sources] == [0.5, 0.5]
    assert tuned.data.camera_share == 0
    plain = make_ablation_recipe(joint=True, aligned=False, sources=SOURCES, steps=50, cache_size=7, seed=3)
    assert isinstance(plain.model, GlowConfig)
    assert plain.model.pre_reconstruction is None
    assert replace(plain, model=tuned.model) == tuned


def test_motion_and_semantics_are_withheld_from_one_network() -> None:
    runs = {variant.title: variant.run for variant in VARIANTS}
    assert runs["everything"] == runs["no motion"] == runs["no semantics"]
    assert len(set(runs.values())) == 3


def test_a_study_is_json() -> None:
    names = dict.fromkeys(("encoder", "decoder", "prior", "photos", "held_out"), "abc")
    study = GlowStudy(
        steps=2,
        joint_steps=1,
        cache_size=5,
        seed=1,
        sources=SOURCES,
        sampling=Sampling(),
        validation=ValidationSet(),
        **names,
    )
    assert from_json(to_json(study), GlowStudy) == study


def test_what_cannot_be_studied_is_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--photos", str(photos), "--held-out", str(photos), "--checkpoint", str(tmp_path), "-o", str(tmp_path)]
    command = ["gopro", *given, "--init-prior", str(tmp_path)]
    assert run(glow_ablation, [*command, "--size", "64"]) == 2
    assert "at least 192" in capsys.readouterr().err
    assert run(glow_ablation, [*command, "--steps", "0"]) == 2
    assert run(glow_ablation, ["nowhere", *given, "--init-prior", str(tmp_path)]) == 2
    assert "neither a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_study_at_toy_scale_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")

    def small(**settings: object) -> Recipe:
        recipe = make_ablation_recipe(**settings)  # type: ignore[arg-type]
        assert isinstance(recipe.model, GlowConfig)
        aligned = recipe.model.pre_reconstruction is not None
        return replace(
            recipe,
            model=WIDE if aligned else replace(WIDE, pre_reconstruction=None),
            data=replace(recipe.data, sampling=replace(recipe.data.sampling, patch_px=64), repeat_gap=2),
            schedule=replace(recipe.schedule, batch=1),
        )

    monkeypatch.setattr("experiments.glow_ablation.make_ablation_recipe", small)
    severities = (("light", 2.0), ("severe", 16.0))
    monkeypatch.setattr("experiments.glow_ablation.ValidationSet", partial(ValidationSet, severities=severities))
    (tmp_path / "photos").mkdir()
    coarse = np.random.default_rng(0).integers(0, 255, (30, 32, 3), dtype=np.uint8)
    write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), tmp_path / "photos" / "1.png")
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "prior", built(PRIOR), PRIOR, train_patch_px=64, card="tiny")
    space = AutoencoderConfig(
        encoder=LatentEncoderConfig(channels=(16, 16, 16, 32, 32), blocks=(1, 1, 1, 1, 1)),
        decoder=LatentDecoderConfig(channels=(32, 32, 16, 16, 16), blocks=(1, 1, 1, 1, 1)),
    )
    save_checkpoint(tmp_path / "space", built(space), space, train_patch_px=64, card="tiny")
    out, photos = tmp_path / "out", str(tmp_path / "photos")
    command = ["gopro", "rsblur", "--photos", photos, "--held-out", photos, "-o", str(out)]
    command += ["--checkpoint", str(tmp_path / "space"), "--init-prior", str(tmp_path / "prior"), "--steps", "1"]
    command += ["--sampling-steps", "1", "--size", "192", "--device", "cpu"]
    assert run(glow_ablation, [*command, "--bpp-steps", "1", "--show", "severe_*", "light_*"]) == 0
    printed = capsys.readouterr().out
    lines = list(csv.DictReader((out / "glow.csv").read_text().splitlines()))
    assert [line["restoration"] for line in lines] == ["blurry", *(variant.title for variant in VARIANTS)]
    weights = [line["weights"] for line in lines[1:]]
    assert weights[0] == weights[1] == weights[2]
    assert len(set(weights)) == 3
    assert all(math.isfinite(float(line["psnr_db"])) for line in lines)
    assert from_json((out / "no-bpp" / "recipe.json").read_text(), Recipe).schedule.steps == 2
    without = load_checkpoint(out / "no-alignment").config
    assert isinstance(without, GlowConfig)
    assert without.pre_reconstruction is None
    sheet = read_photo(out / "glow.png").pixels
    assert sheet.shape == (2 * 192, (2 + len(VARIANTS)) * 192, 3)
    light = next(
        pair for pair in simulate_validation_pairs(PhotoFolder(tmp_path / "photos"), ValidationSet(size_px=192))
    )
    np.testing.assert_allclose(sheet[:192, :192], light.blurry.permute(1, 2, 0).numpy() * 255, atol=0.51)
    np.testing.assert_allclose(sheet[:192, -192:], light.sharp.permute(1, 2, 0).numpy() * 255, atol=0.51)

    # Again: what is done is not done again, and what is another study is refused.
    states = list(out.rglob("training_state.pt"))
    for state in states:
        state.unlink()
    (out / "glow.csv").unlink()
    assert run(glow_ablation, [*command, "--bpp-steps", "1"]) == 0
    assert capsys.readouterr().out == printed
    assert not any(state.exists() for state in states)
    assert run(glow_ablation, [*command, "--bpp-steps", "2"]) == 2
    assert "another folder" in capsys.readouterr().err
