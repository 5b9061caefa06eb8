"""The large sizes of GLOWDeblur from a folder in the format of diffusers, in two processes, tiny but complete."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_networks import GLOW, LATENTS, PRIOR, save_captioner, save_pipeline

from unblur.app.cli import main
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.checkpoints.latent_spaces import load_encoder
from unblur.checkpoints.sana import load_sana
from unblur.checkpoints.text_encoder import LONGEST_TOKENS
from unblur.models import GlowConfig, build
from unblur.models.glow_sizes import glow
from unblur.recipes import find_recipe
from unblur.training.objective_settings import GlowTraining

pytest.importorskip("diffusers", reason="needs the extra `generative`")
pytest.importorskip("transformers", reason="needs the extra `generative`")

# The command with a tiny network, patches of 64 px and four steps; the second process is killed in its third step once.
SCRIPT = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from tiny_networks import GLOW
import unblur.recipes as recipes
import unblur.training.loop as loop
from unblur.app.cli import main
from unblur.datasets.simulated import PatchSampling
from unblur.models import MotionEstimatorConfig
mark, find, take_step, taken = Path(sys.argv[2]), recipes.find_recipe, loop.take_step, []
def find_tiny(name):
    recipe = find(name)
    captions = replace(recipe.objective.captions, longest_tokens=6)
    return replace(
        recipe,
        model=replace(GLOW, motion=MotionEstimatorConfig(), tokens="captions"),
        data=replace(recipe.data, sampling=PatchSampling(patch_px=64), workers=1),
        objective=replace(recipe.objective, cache_size=4, captions=captions),
        schedule=replace(recipe.schedule, batch=4, warmup_steps=0, peak_learning_rate=1e-3),
        precision="float32", log_every=1, checkpoint_every=1,
    )
def step_and_die(*arguments, **options):
    taken.append(None)
    if os.environ["RANK"] == "1" and len(taken) == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(*arguments, **options)
recipes.find_recipe, loop.take_step = find_tiny, step_and_die
sys.exit(main(sys.argv[3:]))
"""


def train_in_two_processes(folder: Path, photos: Path) -> Path:
    """Train four steps; the second process is killed in the third, and both start again."""
    (folder / "script.py").write_text(SCRIPT)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
    ]
    arguments = [Path(__file__).parents[1], folder / "killed", "train", "glow-0.6b", "--photos", photos]
    arguments += ["-o", folder / "run", "--steps", 4, "--device", "cpu", "--init-prior", folder / "prior"]
    arguments += ["--init-denoiser", folder / "sana", "--latent-encoder", folder / "sana"]
    arguments += ["--text-encoder", folder / "sana", "--captioner", folder / "captioner"]
    done = subprocess.run(
        [*launch, *map(str, (folder / "script.py", *arguments))],
        env=os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
def test_a_large_size_is_trained_on_two_processes_resumed_and_restores_with_a_caption(
    photos: Path, tmp_path: Path
) -> None:
    save_pipeline(tmp_path / "sana")
    save_captioner(tmp_path / "captioner")
    save_checkpoint(tmp_path / "prior", build(PRIOR), PRIOR, train_patch_px=64, card="tiny")
    resumed = train_in_two_processes(tmp_path, photos)
    assert (tmp_path / "killed").exists()
    assert [json.loads(line)["step"] for line in (resumed / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    found = load_checkpoint(resumed)
    assert isinstance(found.config, GlowConfig)
    assert found.config.tokens == "captions"
    assert found.config.denoiser == GLOW.denoiser
    assert "--caption" in (resumed / "README.md").read_text()
    # The denoiser began as SANA's, from which four steps lead nowhere else.
    began = load_sana(tmp_path / "sana", GLOW.denoiser.condition_channels).state_dict()
    trained = found.model.get_submodule("denoiser").state_dict()
    distances = [float((trained[name] - value).norm() / value.norm().clamp(min=1)) for name, value in began.items()]
    assert 0 < max(distances) < 0.2

    out = tmp_path / "restored.png"
    options = ["--checkpoint", resumed, "--decoder", tmp_path / "sana", "--text-encoder", tmp_path / "sana"]
    command = ["restore", min(photos.iterdir()), "--mode", "generative", "--caption", "a red bus", "-o", out]
    assert main(list(map(str, [*command, *options, "--device", "cpu", "--steps", "1"]))) == 0
    assert out.stat().st_size > 0


def test_the_encoder_of_a_pipeline_encodes_as_its_library(tmp_path: Path) -> None:
    import diffusers

    save_pipeline(tmp_path / "sana")
    found = load_encoder(tmp_path / "sana")
    assert (found.latent_channels, found.stride_px) == (LATENTS, 32)
    photo = torch.rand(1, 3, 64, 96)
    theirs = diffusers.AutoencoderDC.from_pretrained(tmp_path / "sana" / "vae").eval()
    with torch.no_grad():
        expected = theirs.encode(photo * 2 - 1).latent * 0.41407
        torch.testing.assert_close(found.network(photo), expected, atol=1e-5, rtol=1e-5)
    # Runs that began with other latents are refused by this hash.
    weights = tmp_path / "sana" / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert load_encoder(tmp_path / "sana").sha256 != found.sha256


@pytest.mark.parametrize("size", ["0.6b", "1.6b"])
def test_recipes_of_large_sizes_caption_every_patch_with_the_text_encoder_of_sana(size: str) -> None:
    recipe = find_recipe(f"glow-{size}")  # type: ignore[arg-type]
    assert recipe.model.denoiser == glow(size).denoiser  # type: ignore[union-attr, arg-type]
    assert isinstance(recipe.objective, GlowTraining)
    captions = recipe.objective.captions
    assert captions is not None
    assert (captions.share, captions.longest_tokens) == (1.0, LONGEST_TOKENS)
    assert recipe.gradient_checkpointing


def test_captioners_are_refused_by_recipes_without_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "glow", "--run", str(tmp_path / "run"), "--captioner", "folder"]) == 2
    assert "trains without captions" in capsys.readouterr().err
