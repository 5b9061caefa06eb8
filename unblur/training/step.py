"""One update of a network."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from unblur.models import MultiOutput
from unblur.training.task import Task, Verdict


def take_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, task: Task, shown: Tensor, truth: Tensor, clip_norm: float
) -> tuple[Verdict, float]:
    """The verdict on a batch and the length of its gradient, before it was shortened to `clip_norm`.

    Weights stay as they are where the verdict is hopeless or the gradient not finite.
    """
    device = next(model.parameters()).device
    shown, truth = shown.to(device, memory_format=torch.channels_last), truth.to(device)
    with autocast(device):
        answers = model.outputs(shown) if isinstance(model, MultiOutput) else model(shown)
    verdict = task.judge(answers, shown, truth)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(verdict.loss)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not verdict.hopeless and bool(norm.isfinite()):
        optimizer.step()
    return verdict, norm.item()


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where it is both safe and fast: it has the range of float32, so losses need no scaling."""
    return nullcontext() if device.type == "mps" else torch.autocast(device.type, torch.bfloat16)
