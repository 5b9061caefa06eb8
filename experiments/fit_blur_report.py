"""Fit the rule of the blur report on examples of `experiments.blur_examples`.

`python -m experiments.fit_blur_report FILE... --output RULE`. Functions of windows are fitted to the truth of windows,
and the function of photographs to their kinds, by regression with a penalty of large weights. The photographs are
fitted in folds: their windows are judged by a function that was fitted on other photographs, as those of new ones are.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from experiments.blur_examples import BlurExample, open_examples
from experiments.harness import run
from unblur.app.output_file import write_output
from unblur.config import to_json
from unblur.restoration.blur_report import KINDS
from unblur.restoration.blur_rule import DEFOCUS, LEAST_TEXTURE_SHARE, MOTION, BlurRule, Linear, summary

FOLDS = 4

WINDOW_PENALTY, PHOTO_PENALTY, SIZE_PENALTY = 1e-3, 3e-3, 1e-2
"""Factors of the squared weights in the losses."""


def fit(examples: tyro.conf.Positional[tuple[Path, ...]], *, output: Path, threads: int = 1) -> int:
    """Fit the rule.

    Args:
        examples: Files of examples; their photographs must not be those that the report is measured on.
        output: File of the rule.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    found = open_examples(examples)
    rule, right = fitted_rule(found)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_output(output, to_json(rule).encode())
    sys.stdout.write(f"{right} of {len(found)} photographs have the right kind in cross-validation.\n")
    return 0


def fitted_rule(examples: list[BlurExample]) -> tuple[BlurRule, int]:
    """Return the rule that is fitted on `examples`, and how many are right where the rule was fitted on the others."""
    names = sorted({example.name for example in examples})
    fold = torch.tensor([names.index(example.name) % FOLDS for example in examples])
    truth = torch.tensor([KINDS.index(example.kind) for example in examples])
    summaries = torch.zeros(0)
    order = []
    for number in range(FOLDS):
        inside = [example for example, of in zip(examples, fold, strict=True) if of != number]
        kinds = _window_kinds(inside or examples)
        for index in (fold == number).nonzero()[:, 0].tolist():
            windows = examples[index].windows
            numbers = summary(windows, kinds(windows.features).softmax(dim=1))
            summaries = torch.cat([summaries, numbers[None]])
            order.append(index)
    truth, fold = truth[order], fold[order]
    right = 0
    for number in range(FOLDS):
        if bool((fold == number).any()) and bool((fold != number).any()):
            trial = _classifier(summaries[fold != number], truth[fold != number], len(KINDS), PHOTO_PENALTY)
            right += int((trial(summaries[fold == number]).argmax(dim=1) == truth[fold == number]).sum())
    kinds = _window_kinds(examples)
    rule = BlurRule(
        window_kinds=kinds,
        window_sizes=_window_sizes(examples, kinds),
        photo_kinds=_classifier(summaries, truth, len(KINDS), PHOTO_PENALTY),
        noise_level=_threshold(examples),
    )
    return rule, right


def _window_kinds(examples: list[BlurExample]) -> Linear:
    features, truth = _windows(examples, lambda example: example.truth)
    return _classifier(features[truth >= 0], truth[truth >= 0].long(), 3, WINDOW_PENALTY)


def _windows(examples: list[BlurExample], of: Callable[[BlurExample], Tensor]) -> tuple[Tensor, Tensor]:
    """Features and a truth of all windows with texture."""
    counts = [example.windows.texture >= LEAST_TEXTURE_SHARE for example in examples]
    pairs = list(zip(examples, counts, strict=True))
    features = torch.cat([example.windows.features[count] for example, count in pairs])
    return features, torch.cat([of(example)[count] for example, count in pairs])


def _window_sizes(examples: list[BlurExample], like: Linear) -> Linear:
    """The logarithm of the length of motion, and of the radius of the disk, from features normalised as `like` does."""
    features, truth = _windows(examples, lambda example: example.truth)
    _, lengths = _windows(examples, lambda example: example.window_length_px)
    _, radii = _windows(examples, lambda example: torch.full(example.truth.shape, example.radius_px))
    sizes = [
        _regression(like.normalise(features[truth == kind]), values[truth == kind].clamp(min=0.5).log())
        for kind, values in ((MOTION, lengths), (DEFOCUS, radii))
    ]
    weights, biases = zip(*sizes, strict=True)
    return Linear(mean=like.mean, deviation=like.deviation, weights=weights, biases=biases)


def _classifier(features: Tensor, kinds: Tensor, count: int, penalty: float) -> Linear:
    """Logistic regression with equal weights of the kinds. Features (N, C), kinds (N,)."""
    mean, deviation = features.mean(dim=0), features.std(dim=0).clamp(min=1e-3)
    start = Linear(mean=_row(mean), deviation=_row(deviation), weights=(), biases=())
    normal = start.normalise(features)
    share = torch.bincount(kinds, minlength=count).clamp(min=1).float()
    weights, biases = torch.zeros(count, features.shape[1]), torch.zeros(count)

    def loss() -> Tensor:
        logits = normal @ weights.T + biases
        return F.cross_entropy(logits, kinds, weight=1 / share) + penalty * weights.square().sum()

    _minimise(loss, [weights, biases])
    return Linear(mean=start.mean, deviation=start.deviation, weights=tuple(map(_row, weights)), biases=_row(biases))


def _regression(normal: Tensor, values: Tensor) -> tuple[tuple[float, ...], float]:
    """Weights and bias of ridge regression on normalised features."""
    if not len(values):
        return _row(torch.zeros(normal.shape[1])), 0.0
    centre = normal.mean(dim=0)
    moments = (normal - centre).T @ (normal - centre) / len(values) + SIZE_PENALTY * torch.eye(len(centre))
    weights = torch.linalg.solve(moments, (normal - centre).T @ (values - values.mean()) / len(values))
    return _row(weights), round(float(values.mean() - weights @ centre), 5)


def _minimise(loss: Callable[[], Tensor], variables: list[Tensor]) -> None:
    for variable in variables:
        variable.requires_grad_()
    optimizer = torch.optim.LBFGS(variables, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        value = loss()
        torch.autograd.backward(value)
        return float(value)

    optimizer.step(closure)
    for variable in variables:
        variable.requires_grad_(requires_grad=False)


def _threshold(examples: list[BlurExample]) -> float:
    """The noise level that separates noisy photographs from others with the fewest errors."""

    def errors(threshold: float) -> int:
        return sum((example.noise_level >= threshold) != example.noisy for example in examples)

    return round(min(sorted(example.noise_level for example in examples), key=errors), 2)


def _row(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values.tolist())


if __name__ == "__main__":
    sys.exit(run(fit))
