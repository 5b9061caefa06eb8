"""One update of a network."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import nn

from unblur.names import Precision
from unblur.restoration.device import choose_precision
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.processes import SINGLE_PROCESS, Processes


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    micro_batches: Sequence[Example],
    clip_norm: float,
    processes: Processes = SINGLE_PROCESS,
    *,
    precision: Precision,
) -> tuple[LossOutput, float]:
    """Update the model once; return the loss output of the batch and the gradient norm before clipping to `clip_norm`.

    The batch consists of the equal `micro_batches` of all processes, whose gradients are averaged. The forward pass
    computes in `precision`; weights, losses and updates are float32. Weights stay unchanged if training has diverged or
    the gradient is not finite.
    """
    device = next(model.parameters()).device
    optimizer.zero_grad(set_to_none=True)
    outputs = []
    for micro_batch in micro_batches:
        shown, *rest = micro_batch
        batch = (shown.to(device, memory_format=torch.channels_last), *(tensor.to(device) for tensor in rest))
        with autocast(device, precision):
            predicted = objective.forward(model, batch)
        output = objective.loss(predicted, batch)
        torch.autograd.backward(output.loss / len(micro_batches))
        outputs.append(output)
    processes.all_reduce_gradients([p.grad for p in model.parameters() if p.grad is not None])
    output = _average(outputs, processes)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not output.diverged and bool(norm.isfinite()):
        optimizer.step()
    return output, norm.item()


def make_parameter_groups(model: nn.Module, backbone_lr_scale: float) -> list[dict[str, Any]]:
    """Return parameter groups for an optimizer, with the backbone apart if its share of the learning rate differs.

    `share` is an entry of each group.
    """
    backbone = model.get_submodule("backbone") if backbone_lr_scale != 1 else nn.Module()
    apart = {id(parameter) for parameter in backbone.parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rest = [parameter for parameter in trained if id(parameter) not in apart]
    slow = [parameter for parameter in trained if id(parameter) in apart]
    groups = [{"params": rest, "share": 1.0}, {"params": slow, "share": backbone_lr_scale}]
    return [group for group in groups if group["params"]]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return a context that computes in `precision`. bfloat16 has the range of float32, so losses need no scaling."""
    bfloat16 = choose_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def _average(outputs: Sequence[LossOutput], processes: Processes) -> LossOutput:
    """Average the outputs of all micro-batches and processes."""
    names = list(outputs[0].metrics)
    diverged = fmean(output.diverged for output in outputs)
    loss = torch.stack([output.loss.detach() for output in outputs]).mean()
    own = [diverged, loss.item(), *(fmean(output.metrics[name] for output in outputs) for name in names)]
    diverged, mean_loss, *metrics = processes.all_reduce_mean(own)
    return LossOutput(
        loss=loss.new_tensor(mean_loss), metrics=dict(zip(names, metrics, strict=True)), diverged=diverged > 0
    )
