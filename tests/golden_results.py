"""Results that a change of the code must leave as they are: tiny trainings, and a crop through each bundled checkpoint.

`python tests/golden_results.py --write before.json` records them to the last bit, and, after a change on the same
machine, `python tests/golden_results.py --compare before.json` names those that differ. Processors round differently,
so `tests/test_golden_results.py` compares with `tests/golden/results.json` within a tolerance;
`python tests/golden_results.py --write tests/golden/results.json` renews that file when results change on purpose.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tiny_networks import GLOW, LATENTS, NAFNET, PRIOR
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.blur import Camera
from unblur.checkpoints.folder import (
    BUNDLED_BLUR_CLASSIFIER,
    BUNDLED_FAITHFUL,
    BUNDLED_KERNEL_ESTIMATOR,
    BUNDLED_MOTION_ESTIMATOR,
    BUNDLED_PRIOR,
    BUNDLED_RESTORER,
    load_checkpoint,
    save_checkpoint,
)
from unblur.datasets import SyntheticText
from unblur.datasets.simulated import PatchSampling
from unblur.models import (
    AutoencoderConfig,
    KernelEstimatorConfig,
    LatentDecoderConfig,
    LatentEncoderConfig,
    MIMOUNetConfig,
    ModelConfig,
    MotionEstimatorConfig,
    MultiScaleConfig,
    SemanticPriorConfig,
    build,
)
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.restoration.loading import load
from unblur.training.initialization import InitFrom
from unblur.training.learning_rate import Halving
from unblur.training.loop import train
from unblur.training.objective_settings import (
    AutoencoderTraining,
    GlowTraining,
    MotionTraining,
    PriorTraining,
    RestorationTraining,
)
from unblur.training.recipe import PatchStage, Recipe, Schedule, TrainingData
from unblur.training.restoration_loss import FrequencyLoss, L1Loss

GOLDEN = Path(__file__).parent / "golden" / "results.json"
EXAMPLES = Path(__file__).parents[1] / "examples"
CROP = slice(160, 224), slice(288, 352)
"""Rows and columns of a crop of 64 x 64 pixels with edges and texture."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One result: its digest, which differs with the last bit, and some of its numbers."""

    sha256: str
    values: list[float]


TINY = Recipe(
    name="tiny-restorer",
    model=MIMOUNetConfig(width=4, blocks=1, dropout=0.5),
    seed=7,
    data=TrainingData(
        camera=Camera(extent_px=(2, 6)),
        sampling=PatchSampling(patch_px=32),
        extra_sources=(SyntheticText(camera=Camera(extent_px=(2, 6)), count=2, share=0.25),),
        repeats=2,
        repeat_gap=2,
        workers=0,
    ),
    objective=RestorationTraining(losses=(L1Loss(), FrequencyLoss(weight=0.1))),
    schedule=Schedule(
        steps=4,
        batch=2,
        progressive=(PatchStage(start=0.5, patch_px=48, batch=4),),
        warmup_steps=2,
        decay=Halving(times=2),
    ),
    accumulate=2,
    precision="float32",
    log_every=1,
    checkpoint_every=2,
)
"""Restoration with most of what a recipe can ask for: dropout, two losses, growing patches, accumulation, two kinds of
examples and repeated pairs."""

ON_64_PX = replace(
    TINY,
    data=replace(TINY.data, extra_sources=(), repeats=1, sampling=PatchSampling(patch_px=64)),
    objective=RestorationTraining(),
    schedule=replace(TINY.schedule, progressive=()),
    accumulate=1,
)
STUDENT = SemanticPriorConfig(fusion_channels=8)
AUTOENCODER = AutoencoderConfig(
    encoder=LatentEncoderConfig(latent_channels=LATENTS, channels=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1)),
    decoder=LatentDecoderConfig(latent_channels=LATENTS, channels=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1)),
)
GENERATOR = replace(GLOW, motion=MotionEstimatorConfig())

RECIPES = (
    TINY,
    replace(
        ON_64_PX, name="tiny-multiscale", model=MultiScaleConfig(nafnet=NAFNET, scales=2, condition_on_coarser=True)
    ),
    replace(
        ON_64_PX,
        name="tiny-motion",
        model=MotionEstimatorConfig(channels=(4, 6, 8, 8), blocks=(1, 1, 1, 1)),
        objective=MotionTraining(),
        schedule=replace(ON_64_PX.schedule, batch=1),
    ),
    replace(
        ON_64_PX,
        name="tiny-prior",
        model=STUDENT,
        objective=PriorTraining(),
        optimization=replace(ON_64_PX.optimization, backbone_lr_scale=0.1),
    ),
    replace(
        ON_64_PX,
        name="tiny-autoencoder",
        model=AUTOENCODER,
        objective=AutoencoderTraining(perceptual=0, adversarial_start=0.5),
    ),
    replace(ON_64_PX, name="tiny-pre-reconstruction", model=GENERATOR.pre_reconstruction, objective=GlowTraining()),
    replace(ON_64_PX, name="tiny-glow", model=GENERATOR, objective=GlowTraining()),
    replace(ON_64_PX, name="tiny-glow-cached", model=GENERATOR, objective=GlowTraining(cache_size=3)),
)
"""One run for each kind of training."""


def training_results(folder: Path) -> Iterable[tuple[str, Result]]:
    """Train each recipe in `folder`: the metrics of every step, and the weights."""
    photos = folder / "photos"
    photos.mkdir()
    sharp = read_photo(EXAMPLES / "reds_sharp.png").pixels
    for number in range(3):
        rows, columns = slice(96 * number, 96 * number + 144), slice(160 * number, 160 * number + 160)
        write_photo(Photo(pixels=sharp[rows, columns].copy()), photos / f"{number}.png")
    untrained_prior = _save_untrained(folder / "prior", PRIOR)
    untrained_autoencoder = _save_untrained(folder / "autoencoder", AUTOENCODER)
    untrained_backbone = _save_untrained(folder / "backbone", NAFNET)
    for recipe in RECIPES:
        generates = "glow" in recipe.name
        train(
            recipe,
            photos,
            folder / recipe.name,
            init=InitFrom(
                checkpoint=untrained_backbone if recipe.name == "tiny-multiscale" else None,
                prior=untrained_prior if generates else None,
            ),
            latent_encoder=untrained_autoencoder if generates or recipe.name == "tiny-pre-reconstruction" else None,
        )
        yield f"training {recipe.name}", _of_run(folder / recipe.name)


def restoration_results() -> Iterable[tuple[str, Result]]:
    """Yield the result of each bundled checkpoint on one crop, in float32."""
    pixels = read_photo(EXAMPLES / "reds_blurry.png").pixels[CROP].copy()
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    methods: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("multiscale", load(BUNDLED_RESTORER, "cpu", "float32", shake="off", runtime="torch").restore),
        ("multiscale, fast", load(BUNDLED_RESTORER, "cpu", "float32", mode="fast", runtime="torch").restore),
        ("faithful", load(BUNDLED_FAITHFUL, "cpu", "float32", shake="off", runtime="torch").restore),
        ("generative", _restore_generatively),
    )
    for name, restore in methods:
        restored = restore(pixels)
        yield f"weights {name}", _result(torch.from_numpy(restored).permute(2, 0, 1))
    with torch.inference_mode():
        for name, folder, shown in (
            ("motion", BUNDLED_MOTION_ESTIMATOR, planes),
            ("prior", BUNDLED_PRIOR, planes),
            ("kernel", BUNDLED_KERNEL_ESTIMATOR, _kernel_features()),
            ("blur", BUNDLED_BLUR_CLASSIFIER, planes),
        ):
            answers = load_checkpoint(folder).model.eval()(shown)
            yield f"weights {name}", _result(*([answers] if isinstance(answers, Tensor) else answers))


def _restore_generatively(pixels: Any) -> Any:
    restorer = load(device="cpu", precision="float32", mode="generative", shake="off")
    return restorer.restore_photo(Photo(pixels=pixels)).photo.pixels


def all_results() -> dict[str, Result]:
    """All results by name. The bundled generator restores with the bundled decoder."""
    with tempfile.TemporaryDirectory() as folder:
        return {**dict(restoration_results()), **dict(training_results(Path(folder)))}


def _save_untrained(folder: Path, config: ModelConfig) -> Path:
    """Write a checkpoint with random weights, none of them zero."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = build(config)
        for parameter in model.parameters():
            if parameter.abs().max() == 0:
                nn.init.normal_(parameter, std=0.05)
    save_checkpoint(folder, model, config, train_patch_px=64, card="untrained")
    return folder


def _kernel_features() -> Tensor:
    config = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).config
    assert isinstance(config, KernelEstimatorConfig)
    return torch.rand(1, config.inputs, 32, 32, generator=torch.Generator().manual_seed(3))


def _of_run(run: Path) -> Result:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    untimed = [{name: one for name, one in line.items() if name not in {"seconds", "waited_share"}} for line in lines]
    state = torch.load(run / "training_state.pt", weights_only=True)
    digest = hashlib.sha256(json.dumps(untimed).encode())
    # The averaged weights too, in the order of the network: names may change, numbers may not.
    for tensor in (*state["model"].values(), *state["ema"].values()):
        digest.update(tensor.contiguous().numpy().tobytes())
    values = [float(one) for line in untimed for one in line.values()]
    return Result(sha256=digest.hexdigest(), values=values)


def _result(*tensors: Tensor) -> Result:
    digest = hashlib.sha256()
    values: list[float] = []
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().tobytes())
        planes = tensor.float().reshape(-1, *tensor.shape[-2:]) if tensor.dim() > 1 else tensor.reshape(1, 1, -1)
        # Of many channels the means are enough.
        side = 4 if len(planes) <= 4 else 1
        values += F.adaptive_avg_pool2d(planes, (min(side, planes.shape[1]), side)).flatten()[:64].tolist()
    return Result(sha256=digest.hexdigest(), values=values)


def _as_json(results: dict[str, Result], *, golden: bool) -> str:
    """One line a result. The golden file has no digests, which differ between processors."""
    entries = {
        name: [float(f"{value:.5g}") for value in result.values]
        if golden
        else {"sha256": result.sha256, "values": result.values}
        for name, result in results.items()
    }
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """Write the results, or compare them with those in a file. Returns 1 when any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE")
    action.add_argument("--compare", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = all_results()
    if options.write is not None:
        golden = options.write.resolve() == GOLDEN.resolve()
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(_as_json(results, golden=golden), encoding="utf-8")
        return 0
    before = json.loads(options.compare.read_text(encoding="utf-8"))
    if not all(isinstance(one, dict) for one in before.values()):
        parser.error(f"{options.compare} holds rounded values, which a test compares; give a file written by --write.")
    different = sorted(
        name
        for name in before.keys() | results.keys()
        if name not in before or name not in results or before[name]["sha256"] != results[name].sha256
    )
    with suppress(BrokenPipeError):
        sys.stdout.write("".join(f"differs: {name}\n" for name in different) or f"All {len(results)} are equal.\n")
    return 1 if different else 0


if __name__ == "__main__":
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    sys.exit(main())
