"""One update of a network."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import nn

from unblur.names import Precision
from unblur.restoration.device import choose_precision
from unblur.training.processes import ALONE, Processes
from unblur.training.task import Example, Task, Verdict


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    task: Task,
    parts: Sequence[Example],
    clip_norm: float,
    processes: Processes = ALONE,
    *,
    precision: Precision,
) -> tuple[Verdict, float]:
    """The verdict on a batch and the length of its gradient, before it was shortened to `clip_norm`.

    The batch is the equal `parts` of all processes; they are shown one after the other, and their gradients averaged.
    The forward pass computes in `precision`; weights, losses and updates are float32. Weights stay as they are where
    the verdict is hopeless or the gradient not finite.
    """
    device = next(model.parameters()).device
    optimizer.zero_grad(set_to_none=True)
    verdicts = []
    for part in parts:
        shown, *rest = part
        batch = (shown.to(device, memory_format=torch.channels_last), *(tensor.to(device) for tensor in rest))
        with autocast(device, precision):
            answers = task.answers(model, batch)
        verdict = task.judge(answers, batch)
        torch.autograd.backward(verdict.loss / len(parts))
        verdicts.append(verdict)
    processes.average([p.grad for p in model.parameters() if p.grad is not None])
    verdict = _mean(verdicts, processes)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not verdict.hopeless and bool(norm.isfinite()):
        optimizer.step()
    return verdict, norm.item()


def parameter_groups(model: nn.Module, backbone_share: float) -> list[dict[str, Any]]:
    """What is trained, for an optimiser: the backbone apart where its share of the learning rate is another one.

    `share` is an entry of each group.
    """
    backbone = model.get_submodule("backbone") if backbone_share != 1 else nn.Module()
    apart = {id(parameter) for parameter in backbone.parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rest = [parameter for parameter in trained if id(parameter) not in apart]
    slow = [parameter for parameter in trained if id(parameter) in apart]
    groups = [{"params": rest, "share": 1.0}, {"params": slow, "share": backbone_share}]
    return [group for group in groups if group["params"]]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context that computes in `precision`. bfloat16 has the range of float32, so losses need no scaling."""
    bfloat16 = choose_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def _mean(verdicts: Sequence[Verdict], processes: Processes) -> Verdict:
    """On the whole batch."""
    names = list(verdicts[0].measured)
    hopeless = fmean(verdict.hopeless for verdict in verdicts)
    loss = torch.stack([verdict.loss.detach() for verdict in verdicts]).mean()
    own = [hopeless, loss.item(), *(fmean(verdict.measured[name] for verdict in verdicts) for name in names)]
    hopeless, mean_loss, *measured = processes.means(own)
    return Verdict(
        loss=loss.new_tensor(mean_loss), measured=dict(zip(names, measured, strict=True)), hopeless=hopeless > 0
    )
