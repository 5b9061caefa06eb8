"""What a semantic prior adds to the hosts that it is plugged into: parameters, multiplications, time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import assert_never

import torch

from unblur.checkpoints.published import published
from unblur.evaluation.cost import macs_of, parameters_of
from unblur.evaluation.tables import Table
from unblur.models import HostConfig, PriorConfig, UNetConfig, build
from unblur.models.spe import PlainModulation, PriorSource, SemanticAttention
from unblur.names import HostName


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of restoring one square photograph."""

    parameters: int
    """All, those of the frozen student too."""
    macs: int
    """Multiply-accumulates of convolutions and matrix products, half the floating-point operations that PyTorch's
    FlopCounterMode counts; what is done value by value (norms, gates) is not counted, as papers do not count it."""
    milliseconds: float | None
    """Processor time of one core in float32, median over repetitions; None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class HostCost:
    """Of a host without and with the prior."""

    host: HostName
    side_px: int
    without: Cost
    told: Cost


def host_config(host: HostName) -> HostConfig:
    """The network of that name, in its authors' size."""
    match host:
        case "unet":
            return UNetConfig()
        case "mimo-unet" | "mimo-unet+" | "mprnet" | "nafnet" | "nafnet-64" | "restormer":
            return published(host).config
    assert_never(host)


def host_costs(hosts: tuple[HostName, ...], prior: PriorConfig, *, side_px: int, repeats: int) -> Iterator[HostCost]:
    """One host after the other; each is timed `repeats` times, after once to warm up. 0 times nothing."""
    for host in hosts:
        config = host_config(host)
        told = replace(config, prior=prior)
        host_ms, prior_ms = _milliseconds(told, side_px, repeats) if repeats else (None, None)
        yield HostCost(
            host=host,
            side_px=side_px,
            without=_cost(config, side_px, host_ms),
            told=_cost(told, side_px, None if host_ms is None or prior_ms is None else host_ms + prior_ms),
        )


def cost_table(costs: list[HostCost]) -> Table:
    """For people: what each costs without the prior, and what the prior adds."""
    timed = any(cost.without.milliseconds is not None for cost in costs)
    lines = []
    for cost in costs:
        without, told = cost.without, cost.told
        line = [
            cost.host,
            f"{without.parameters / 1e6:.2f}",
            _more(without.parameters / 1e6, told.parameters / 1e6, 2),
            f"{without.macs / 1e9:.1f}",
            _more(without.macs / 1e9, told.macs / 1e9, 1),
        ]
        if without.milliseconds is not None and told.milliseconds is not None:
            line += [f"{without.milliseconds:.0f}", _more(without.milliseconds, told.milliseconds, 0)]
        lines.append(tuple(line))
    header = ("host", "million parameters", "the prior adds", "GMACs", "the prior adds")
    return Table(header=header + ("ms on one core", "the prior adds") * timed, lines=tuple(lines))


def cost_csv(costs: list[HostCost]) -> str:
    """All numbers, a line for each host without and with the prior."""
    lines = [
        (
            cost.host,
            told,
            str(cost.side_px),
            str(one.parameters),
            str(one.macs),
            "" if one.milliseconds is None else f"{one.milliseconds:.1f}",
        )
        for cost in costs
        for told, one in (("without", cost.without), ("with", cost.told))
    ]
    return Table(header=("host", "prior", "side_px", "parameters", "macs", "milliseconds"), lines=tuple(lines)).csv()


def _cost(config: HostConfig, side_px: int, milliseconds: float | None) -> Cost:
    # Shapes are enough for counting: nothing is computed.
    with torch.device("meta"):
        model = build(config).eval()
        macs = macs_of(lambda: model(torch.empty(1, 3, side_px, side_px)))
    return Cost(parameters=parameters_of(model), macs=macs, milliseconds=milliseconds)


def _milliseconds(told: HostConfig, side_px: int, repeats: int) -> tuple[float, float]:
    """Of the host and of its prior, told apart while both are at work: two runs differ by more than a prior takes.

    Processor time and not time on the clock: other work on the machine hardly counts.
    """
    model = build(told).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture = torch.rand(1, 3, side_px, side_px).contiguous(memory_format=torch.channels_last)
    began: list[float] = []
    of_prior: list[float] = []
    for module in model.modules():
        if isinstance(module, PriorSource | SemanticAttention | PlainModulation):
            module.register_forward_pre_hook(lambda *_: began.append(time.process_time()))
            module.register_forward_hook(lambda *_: of_prior.append(time.process_time() - began.pop()))
    hosts_ms, priors_ms = [], []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            of_prior.clear()
            start = time.process_time()
            model(picture)
            whole = time.process_time() - start
            priors_ms.append(1000 * sum(of_prior))
            hosts_ms.append(1000 * whole - priors_ms[-1])
    return median(hosts_ms[1:]), median(priors_ms[1:])


def _more(without: float, told: float, digits: int) -> str:
    return f"{told - without:+.{digits}f} ({(told - without) / without:.0%})"
