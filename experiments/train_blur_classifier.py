"""Train the blur classifier on examples of `experiments.blur_examples`.

`python -m experiments.train_blur_classifier FOLDER... --output CHECKPOINT`. The loss is the sum of cross-entropies of
the kind of the photograph, of the kinds of its places and of the directions of motion, and of errors of the logarithms
of lengths and radii. Examples are cropped at random to one of two sizes, transposed where they are taller than wide,
and flipped at random, with their directions. All examples are in memory, 0.5 MB each.

Whole photographs have other statistics than crops, and training makes the classifier too certain. `--calibration
FOLDER` names examples that are not trained on, on which a scale and an offset of each kind are fitted to whole
photographs at the end (Guo et al. 2017, "On Calibration of Modern Neural Networks").
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from experiments.blur_examples import BlurExample, load_motion_estimator, open_examples
from experiments.harness import run
from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, SharedPart, load_checkpoint, save_checkpoint
from unblur.errors import UnblurError
from unblur.models import BlurClassifier, BlurClassifierConfig
from unblur.models.blur_classifier import CELL_PX, DIRECTIONS, FEATURES, BlurPrediction
from unblur.restoration.blur_report import KINDS
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.inspect import MOTION, SHARP
from unblur.seeds import make_generator, seed_for

PEAK_RATE, WARMUP_SHARE, WEIGHT_DECAY = 3e-3, 0.15, 0.02
LABEL_SMOOTHING = 0.03
SIZES, DIRECTION = 0.3, 0.3
"""Weights of the loss's terms of lengths and radii, and of directions."""

SMALLEST_LENGTH_PX, SMALLEST_RADIUS_PX = 1.0, 0.5
"""Sizes below which logarithms are not learned."""

EVERY_NTH = 37
"""One of so many places is used for the normalisation."""

CROPS = (8, 12), (6, 8)
"""Rows and columns of the places of examples: batches of few sizes are fast. Smaller examples are left out."""

LARGE_SHARE = 0.75
"""Share of the examples that are large enough for the first size and get it."""

LEAST_MOVED, LEAST_STILL = 0.06, 0.15
"""Shares of a crop that a moved subject and the scene around it cover at least, or else another crop is drawn."""

MOST_DRAWS = 10
"""Crops that are drawn of an example with a moved subject, at most; the last one counts."""

CARD = """---
license: apache-2.0
tags: [blur-detection]
---
# unblur blur classifier

Classifies the blur of a photograph and of its places: sharp, motion, out of focus.
Trained on {examples} simulated examples of `experiments.blur_examples` for {epochs} epochs, batches of {batch}, seed
{seed}, from {start}. Use it through `unblur.inspect`, whose errors docs/guide/inspect.md states.
"""


def train(
    examples: tyro.conf.Positional[tuple[Path, ...]],
    *,
    output: Path,
    calibration: Path | None = None,
    start: Path | None = None,
    peak_rate: float = PEAK_RATE,
    epochs: int = 18,
    batch: int = 16,
    seed: int = 1,
    threads: int = 2,
) -> int:
    """Train the blur classifier. The checkpoint is written after each epoch.

    Args:
        examples: Folders of examples.
        output: Folder of the checkpoint.
        calibration: Folder of the examples that the kinds of photographs are calibrated on.
        start: Checkpoint of a blur classifier whose weights the training starts from; random weights without it.
        peak_rate: Largest learning rate.
        epochs: Passes over the examples.
        batch: Examples of each update.
        seed: Random seed.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    found = [one for folder in examples for one in open_examples(folder)]
    found = [lay_flat(one) for one in found if fits(one, CROPS[-1])]
    if len(found) < batch:
        raise UnblurError(f"{len(found)} large examples are too few for batches of {batch}; make more of them.")
    torch.manual_seed(seed_for(seed, "weights"))
    config = BlurClassifierConfig()
    network = BlurClassifier(config)
    if start is None:
        started_from = "random weights"
        network.motion.load_state_dict(load_motion_estimator().state_dict())
        network.normalise_like(torch.cat([_get_features(example) for example in found]))
    else:
        loaded, sha256 = load_classifier(start)
        started_from = f"the weights {sha256[:12]}"
        network.load_state_dict(loaded.state_dict())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=peak_rate, weight_decay=WEIGHT_DECAY)
    # The number of batches varies with the sizes that are drawn, by less than one for each size.
    updates = epochs * (len(found) // batch) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=updates, pct_start=WARMUP_SHARE)
    card = CARD.format(examples=len(found), epochs=epochs, batch=batch, seed=seed, start=started_from)
    motion = SharedPart(part="motion", source="motion", sha256=load_checkpoint(BUNDLED_MOTION_ESTIMATOR).sha256)

    def save() -> None:
        save_checkpoint(output, network.eval(), config, train_patch_px=512, card=card, shared_parts=(motion,))

    for epoch in range(epochs):
        network.train()
        losses = []
        for chosen in _choose_batches(found, batch, seed, epoch):
            loss = compute_loss(network, chosen)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            losses.append(float(loss.detach()))
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
        sys.stderr.write(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f}\n")
        save()
    if calibration is not None:
        calibrate(network.eval(), open_examples(calibration))
        save()
    return 0


def load_classifier(folder: Path) -> tuple[BlurClassifier, str]:
    """Load a blur classifier and the SHA-256 of its file. Raises UnblurError for another network."""
    checkpoint = load_checkpoint(folder)
    if not isinstance(checkpoint.model, BlurClassifier):
        raise UnblurError(f"{folder} holds no blur classifier; give a checkpoint of this command.")
    return checkpoint.model, checkpoint.sha256


def compute_loss(network: BlurClassifier, examples: Sequence[BlurExample]) -> Tensor:
    """Return the mean loss of examples of equal size."""
    images = torch.stack([example.image for example in examples]) / 255
    features = torch.stack([example.features for example in examples]).float()
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16(torch.device("cpu"))):
        found = BlurPrediction(*(part.float() for part in network.classify(images, features)))
    kinds = torch.tensor([KINDS.index(example.kind) for example in examples])
    radii = torch.tensor([example.radius_px for example in examples]).clamp(min=SMALLEST_RADIUS_PX).log()
    places, length_px, direction = (
        torch.stack([getattr(example, name) for example in examples]) for name in ("places", "length_px", "direction")
    )
    moved, defocused, directed = places == MOTION, places > MOTION, direction >= 0
    loss = F.cross_entropy(found.photo, kinds, label_smoothing=LABEL_SMOOTHING)
    if bool((places >= 0).any()):
        loss = loss + F.cross_entropy(found.places, places, ignore_index=-1)
    if bool(moved.any()):
        truth = length_px[moved].clamp(min=SMALLEST_LENGTH_PX).log()
        loss = loss + SIZES * F.smooth_l1_loss(found.log_length[moved], truth)
    if bool(defocused.any()):
        truth = radii[:, None, None].expand_as(found.log_radius)[defocused]
        loss = loss + SIZES * F.l1_loss(found.log_radius[defocused], truth)
    if bool(directed.any()):
        # Between two directions, the truth is both in proportion to their nearness.
        logs = found.directions.movedim(1, 0)[:, directed].log_softmax(dim=0)
        below = direction[directed].floor()
        share, first = direction[directed] - below, below.long() % DIRECTIONS
        at_first, at_second = (logs.gather(0, which[None])[0] for which in (first, (first + 1) % DIRECTIONS))
        loss = loss - DIRECTION * ((1 - share) * at_first + share * at_second).mean()
    return loss


def calibrate(network: BlurClassifier, examples: Sequence[BlurExample]) -> None:
    """Fit a scale of all logits and an offset for each kind to whole photographs, and put them into the last layer."""
    with torch.no_grad():
        photos = [
            network.classify(example.image[None] / 255, example.features[None].float()).photo for example in examples
        ]
    logits, kinds = torch.cat(photos), torch.tensor([KINDS.index(example.kind) for example in examples])
    log_scale, offsets = torch.zeros((), requires_grad=True), torch.zeros(len(KINDS), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_scale, offsets], max_iter=200, line_search_fn="strong_wolfe")

    def compute_cross_entropy() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(log_scale.exp() * logits + offsets, kinds)
        torch.autograd.backward(loss)
        return loss

    optimizer.step(compute_cross_entropy)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.photo2.weight *= log_scale.exp()
        network.photo2.bias.copy_(log_scale.exp() * network.photo2.bias + offsets - offsets.mean())


def _choose_batches(examples: Sequence[BlurExample], size: int, seed: int, epoch: int) -> Iterator[list[BlurExample]]:
    """Yield crops of the examples in a random order, in batches of one size; incomplete batches are left out."""
    generator = make_generator(seed, "epoch", epoch)
    waiting: dict[tuple[int, int], list[BlurExample]] = {crop: [] for crop in CROPS}
    for index in torch.randperm(len(examples), generator=generator).tolist():
        example = examples[index]
        wants_large = float(torch.rand((), generator=generator)) < LARGE_SHARE
        crop = CROPS[0] if wants_large and fits(example, CROPS[0]) else CROPS[-1]
        mirrored, upside_down = (torch.rand(2, generator=generator) < 0.5).tolist()
        waiting[crop].append(_flip(_draw_crop(example, crop, generator), mirrored=mirrored, upside_down=upside_down))
        if len(waiting[crop]) == size:
            yield waiting[crop]
            waiting[crop] = []


def fits(example: BlurExample, crop: tuple[int, int]) -> bool:
    """Return whether the example, which may lie on its side, has as many rows and columns of places as `crop`."""
    return min(example.places.shape) >= crop[0] and max(example.places.shape) >= crop[1]


def _draw_crop(example: BlurExample, crop: tuple[int, int], generator: torch.Generator) -> BlurExample:
    """Return a part of the example with as many rows and columns of places as `crop`."""
    (rows, columns), (height, width) = crop, example.places.shape
    for _ in range(MOST_DRAWS):
        top, left = (int(torch.randint(free + 1, (), generator=generator)) for free in (height - rows, width - columns))
        part = slice(top, top + rows), slice(left, left + columns)
        shares = [float((example.places[part] == kind).float().mean()) for kind in (MOTION, SHARP)]
        if example.kind != "moved subject" or (shares[0] >= LEAST_MOVED and shares[1] >= LEAST_STILL):
            break
    pixels = slice(top * CELL_PX, (top + rows) * CELL_PX), slice(left * CELL_PX, (left + columns) * CELL_PX)
    return replace(
        example,
        image=example.image[:, *pixels],
        features=example.features[:, :, *part],
        places=example.places[part],
        length_px=example.length_px[part],
        direction=example.direction[part],
    )


def _get_features(example: BlurExample) -> Tensor:
    return example.features.float().permute(2, 3, 1, 0).reshape(-1, FEATURES)[::EVERY_NTH]


def _flip(example: BlurExample, *, mirrored: bool, upside_down: bool) -> BlurExample:
    """Return the example flipped to the side and flipped upside down, each where its argument is True."""
    for flipped, axis in ((mirrored, -1), (upside_down, -2)):
        if flipped:
            features, direction = _renumber(example.features.flip(axis), example.direction.flip(axis), 0)
            example = replace(
                example,
                image=example.image.flip(axis),
                features=features,
                places=example.places.flip(axis),
                length_px=example.length_px.flip(axis),
                direction=direction,
            )
    return example


def lay_flat(example: BlurExample) -> BlurExample:
    """Return the example, transposed if it is taller than wide."""
    if example.places.shape[0] <= example.places.shape[1]:
        return example
    features, direction = _renumber(example.features.transpose(-1, -2), example.direction.T, DIRECTIONS // 2)
    return replace(
        example,
        image=example.image.transpose(-1, -2),
        features=features,
        places=example.places.T,
        length_px=example.length_px.T,
        direction=direction,
    )


def _renumber(features: Tensor, direction: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Exchange each direction d for `total` - d."""
    order = (total - torch.arange(DIRECTIONS)) % DIRECTIONS
    return features[:, order], torch.where(direction >= 0, (total - direction) % DIRECTIONS, direction)


if __name__ == "__main__":
    sys.exit(run(train))
