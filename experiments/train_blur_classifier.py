"""Train the blur classifier on examples of `experiments.blur_examples`.

`python -m experiments.train_blur_classifier FOLDER --output CHECKPOINT`. The loss is the sum of cross-entropies of the
kind of the photograph, of the kinds of its places and of the directions of motion, and of errors of the logarithms of
lengths and radii. Photographs are flipped and transposed at random, with their directions.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from experiments.blur_examples import MOTION, BlurExample, open_examples
from experiments.harness import run
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import BlurClassifier, BlurClassifierConfig
from unblur.models.blur_classifier import DIRECTIONS, FEATURES, BlurPrediction
from unblur.restoration.blur_report import KINDS
from unblur.seeds import generator_for, seed_for

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
    epochs: int = 24,
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
    network.normalise_like(torch.cat([_get_features(example) for example in found]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    updates = max(1, len(found) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=epochs * updates + 1, pct_start=WARMUP_SHARE
    )
    for epoch in range(epochs):
        generator = generator_for(seed, "epoch", epoch)
        order = torch.randperm(len(found), generator=generator)
        total = 0.0
        for chosen in order[: updates * batch].split(batch):
            optimizer.zero_grad()
            # One at a time: photographs have several sizes.
            for index in chosen.tolist():
                flips = (torch.rand(3, generator=generator) < 0.5).tolist()
                loss = compute_loss(network, _turn(found[index], *flips)) / len(chosen)
                torch.autograd.backward(loss)
                total += float(loss.detach())
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        sys.stderr.write(f"epoch {epoch + 1}: loss {total / updates:.3f}\n")
    card = CARD.format(examples=len(found), epochs=epochs, batch=batch, seed=seed)
    save_checkpoint(output, network.eval(), config, train_patch_px=512, card=card)
    return 0


def compute_loss(network: BlurClassifier, example: BlurExample) -> Tensor:
    """Return the loss of one example."""
    found: BlurPrediction = network.classify(example.energies.float()[None])
    kind = torch.tensor([KINDS.index(example.kind)])
    loss = F.cross_entropy(found.photo, kind, label_smoothing=LABEL_SMOOTHING)
    known, moved, defocused = example.places >= 0, example.places == MOTION, example.places > MOTION
    if bool(known.any()):
        loss = loss + F.cross_entropy(found.places[0][:, known].T, example.places[known])
    if bool(moved.any()):
        truth = example.length_px[moved].clamp(min=SMALLEST_LENGTH_PX).log()
        loss = loss + SIZES * F.smooth_l1_loss(found.log_length[0][moved], truth)
    if bool(defocused.any()):
        radius = math.log(max(example.radius_px, SMALLEST_RADIUS_PX))
        loss = loss + SIZES * (found.log_radius[0][defocused] - radius).abs().mean()
    directed = example.direction >= 0
    if bool(directed.any()):
        # Between two directions, the truth is both in proportion to their nearness.
        logs = found.directions[0][:, directed].log_softmax(dim=0)
        below = example.direction[directed].floor()
        share, first = example.direction[directed] - below, below.long() % DIRECTIONS
        second = (first + 1) % DIRECTIONS
        at_first, at_second = (logs.gather(0, which[None])[0] for which in (first, second))
        loss = loss - DIRECTION * ((1 - share) * at_first + share * at_second).mean()
    return loss


def _get_features(example: BlurExample) -> Tensor:
    return example.energies.float().permute(2, 3, 1, 0).reshape(-1, FEATURES)[::EVERY_NTH]


def _turn(example: BlurExample, mirrored: bool, upside_down: bool, transposed: bool) -> BlurExample:
    """Return the example flipped to the side, flipped upside down and transposed, each where its argument is True."""
    energies, direction = example.energies, example.direction
    others = [example.places, example.length_px]
    for flipped, axis in ((mirrored, -1), (upside_down, -2)):
        if flipped:
            energies, others = energies.flip(axis), [one.flip(axis) for one in others]
            energies, direction = _renumber(energies, direction.flip(axis), 0)
    if transposed:
        energies, others = energies.transpose(-1, -2), [one.T for one in others]
        energies, direction = _renumber(energies, direction.T, DIRECTIONS // 2)
    places, length_px = others
    return BlurExample(
        kind=example.kind,
        energies=energies,
        places=places,
        length_px=length_px,
        direction=direction,
        radius_px=example.radius_px,
    )


def _renumber(energies: Tensor, direction: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Exchange each direction d for `total` - d."""
    order = (total - torch.arange(DIRECTIONS)) % DIRECTIONS
    return energies[:, order], torch.where(direction >= 0, (total - direction) % DIRECTIONS, direction)


if __name__ == "__main__":
    sys.exit(run(train))
