"""Train the blur classifier on examples of `experiments.blur_examples`.

`python -m experiments.train_blur_classifier FOLDER --output CHECKPOINT`. The loss is the sum of cross-entropies of the
kind of the photograph, of the kinds of its places and of the directions of motion, and of errors of the logarithms of
lengths and radii. Photographs are flipped and transposed at random, with their directions.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from experiments.blur_examples import MOTION, BlurExample, load_motion_estimator, open_examples
from experiments.harness import run
from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, SharedPart, load_checkpoint, save_checkpoint
from unblur.models import BlurClassifier, BlurClassifierConfig
from unblur.models.blur_classifier import DIRECTIONS, FEATURES, BlurPrediction
from unblur.restoration.blur_report import KINDS
from unblur.seeds import make_generator, seed_for

PEAK_RATE, WARMUP_SHARE, WEIGHT_DECAY = 3e-3, 0.15, 0.02
LABEL_SMOOTHING = 0.03
SIZES, DIRECTION = 0.3, 0.3
"""Weights of the loss's terms of lengths and radii, and of directions."""

SMALLEST_LENGTH_PX, SMALLEST_RADIUS_PX = 1.0, 0.5
"""Sizes below which logarithms are not learned."""

EVERY_NTH = 37
"""One of so many places is used for the normalisation."""

CARD = """---
license: apache-2.0
tags: [blur-detection]
---
# unblur blur classifier

Classifies the blur of a photograph and of its places: sharp, motion, out of focus.
Trained on {examples} simulated examples of `experiments.blur_examples` for {epochs} epochs, batches of {batch}, seed
{seed}. Use it through `unblur.inspect`, whose errors docs/guide/inspect.md states.
"""


def train(
    examples: tyro.conf.Positional[Path],
    *,
    output: Path,
    epochs: int = 14,
    batch: int = 12,
    seed: int = 1,
    threads: int = 2,
) -> int:
    """Train the blur classifier.

    Args:
        examples: Folder of examples.
        output: Folder of the checkpoint.
        epochs: Passes over the examples.
        batch: Examples of each update.
        seed: Random seed.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    found = open_examples(examples)
    torch.manual_seed(seed_for(seed, "weights"))
    config = BlurClassifierConfig()
    network = BlurClassifier(config)
    network.motion.load_state_dict(load_motion_estimator().state_dict())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.normalise_like(torch.cat([_get_features(example) for example in found]))
    optimizer = torch.optim.AdamW(trained, lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    updates = len(_choose_batches(found, batch, seed, 0))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=epochs * updates + 1, pct_start=WARMUP_SHARE
    )
    for epoch in range(epochs):
        total = 0.0
        for number, chosen in enumerate(_choose_batches(found, batch, seed, epoch)):
            flips = (torch.rand(3, generator=make_generator(seed, "flips", epoch, number)) < 0.5).tolist()
            loss = compute_loss(network, [_turn(found[index], *flips) for index in chosen]) * (len(chosen) / batch)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            total += float(loss.detach())
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        sys.stderr.write(f"epoch {epoch + 1}: loss {total * batch / len(found):.3f}\n")
    card = CARD.format(examples=len(found), epochs=epochs, batch=batch, seed=seed)
    motion = SharedPart(part="motion", source="motion", sha256=load_checkpoint(BUNDLED_MOTION_ESTIMATOR).sha256)
    save_checkpoint(output, network.eval(), config, train_patch_px=512, card=card, shared_parts=(motion,))
    return 0


def compute_loss(network: BlurClassifier, examples: Sequence[BlurExample]) -> Tensor:
    """Return the mean loss of examples of equal size."""
    found: BlurPrediction = network.classify(torch.stack([example.features for example in examples]).float())
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


def _choose_batches(examples: Sequence[BlurExample], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the numbers of all examples in a random order, in batches of examples of equal size."""
    generator = make_generator(seed, "epoch", epoch)
    of_shape: dict[torch.Size, list[int]] = {}
    for index in torch.randperm(len(examples), generator=generator).tolist():
        of_shape.setdefault(examples[index].places.shape, []).append(index)
    batches = [rest[first : first + size] for rest in of_shape.values() for first in range(0, len(rest), size)]
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


def _get_features(example: BlurExample) -> Tensor:
    return example.features.float().permute(2, 3, 1, 0).reshape(-1, FEATURES)[::EVERY_NTH]


def _turn(example: BlurExample, mirrored: bool, upside_down: bool, transposed: bool) -> BlurExample:
    """Return the example flipped to the side, flipped upside down and transposed, each where its argument is True."""
    features, direction = example.features, example.direction
    others = [example.places, example.length_px]
    for flipped, axis in ((mirrored, -1), (upside_down, -2)):
        if flipped:
            features, others = features.flip(axis), [one.flip(axis) for one in others]
            features, direction = _renumber(features, direction.flip(axis), 0)
    if transposed:
        features, others = features.transpose(-1, -2), [one.T for one in others]
        features, direction = _renumber(features, direction.T, DIRECTIONS // 2)
    places, length_px = others
    return BlurExample(
        kind=example.kind,
        features=features,
        places=places,
        length_px=length_px,
        direction=direction,
        radius_px=example.radius_px,
    )


def _renumber(features: Tensor, direction: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Exchange each direction d for `total` - d."""
    order = (total - torch.arange(DIRECTIONS)) % DIRECTIONS
    return features[:, order], torch.where(direction >= 0, (total - direction) % DIRECTIONS, direction)


if __name__ == "__main__":
    sys.exit(run(train))
