"""Count what the semantic prior adds to its host networks: parameters, multiply-accumulates, and time."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, assert_never, get_args

import torch
import tyro
from tqdm import tqdm

from experiments.harness import run
from unblur.app.output_file import write_output
from unblur.checkpoints.published import get_published
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.models import HostConfig, PriorConfig, UNetConfig, build
from unblur.models.operations import count_macs, count_parameters
from unblur.models.spe import PlainModulation, PriorSource, SemanticAttention
from unblur.names import PublishedName

HostName = Literal["unet", PublishedName]
"""Networks that the semantic prior can be added to, in the sizes of their authors."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of restoring one square photograph."""

    parameters: int
    """All parameters, including those of the frozen student."""
    macs: int
    """Multiply-accumulates of convolutions and matrix products, half the floating-point operations that PyTorch's
    FlopCounterMode counts; pointwise operations (norms, gates) are not counted, as papers do not count them."""
    milliseconds: float | None
    """Processor time of one core in float32, median over repetitions; None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class HostCost:
    """Cost of a host without and with the prior."""

    host: HostName
    side_px: int
    without: Cost
    with_prior: Cost


def make_host_config(host: HostName) -> HostConfig:
    """Return the configuration of a host in its authors' size."""
    match host:
        case "unet":
            return UNetConfig()
        case "mimo-unet" | "mimo-unet+" | "mprnet" | "nafnet" | "nafnet-64" | "restormer":
            return get_published(host).config
    assert_never(host)


def measure_host_costs(
    hosts: tuple[HostName, ...], prior: PriorConfig, *, side_px: int, repeats: int
) -> Iterator[HostCost]:
    """Measure one host after the other, each `repeats` times after one warm-up; 0 leaves the time out."""
    for host in hosts:
        config = make_host_config(host)
        with_prior = replace(config, prior=prior)
        host_ms, prior_ms = _measure_milliseconds(with_prior, side_px, repeats) if repeats else (None, None)
        yield HostCost(
            host=host,
            side_px=side_px,
            without=_measure_cost(config, side_px, host_ms),
            with_prior=_measure_cost(
                with_prior, side_px, None if host_ms is None or prior_ms is None else host_ms + prior_ms
            ),
        )


def make_cost_table(costs: list[HostCost]) -> Table:
    """Make a table of what each host costs without the prior, and of what the prior adds."""
    timed = any(cost.without.milliseconds is not None for cost in costs)
    lines = []
    for cost in costs:
        without, with_prior = cost.without, cost.with_prior
        line = [
            cost.host,
            f"{without.parameters / 1e6:.2f}",
            _format_increase(without.parameters / 1e6, with_prior.parameters / 1e6, 2),
            f"{without.macs / 1e9:.1f}",
            _format_increase(without.macs / 1e9, with_prior.macs / 1e9, 1),
        ]
        if without.milliseconds is not None and with_prior.milliseconds is not None:
            line += [f"{without.milliseconds:.0f}", _format_increase(without.milliseconds, with_prior.milliseconds, 0)]
        lines.append(tuple(line))
    header = ("host", "million parameters", "the prior adds", "GMACs", "the prior adds")
    return Table(header=header + ("ms on one core", "the prior adds") * timed, lines=tuple(lines))


def make_cost_csv(costs: list[HostCost]) -> str:
    """Make a CSV with a line for each host without and with the prior."""
    lines = [
        (
            cost.host,
            with_prior,
            str(cost.side_px),
            str(one.parameters),
            str(one.macs),
            "" if one.milliseconds is None else f"{one.milliseconds:.1f}",
        )
        for cost in costs
        for with_prior, one in (("without", cost.without), ("with", cost.with_prior))
    ]
    return Table(header=("host", "prior", "side_px", "parameters", "macs", "milliseconds"), lines=tuple(lines)).csv()


def _measure_cost(config: HostConfig, side_px: int, milliseconds: float | None) -> Cost:
    # Shapes are enough for counting: nothing is computed.
    with torch.device("meta"):
        model = build(config).eval()
        macs = count_macs(lambda: model(torch.empty(1, 3, side_px, side_px)))
    return Cost(parameters=count_parameters(model), macs=macs, milliseconds=milliseconds)


def _measure_milliseconds(with_prior: HostConfig, side_px: int, repeats: int) -> tuple[float, float]:
    """Measure a host and its prior in one run, because two runs differ by more than a prior takes.

    Times are processor seconds, on which other work on the machine has little effect.
    """
    model = build(with_prior).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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


def _format_increase(without: float, with_prior: float, digits: int) -> str:
    return f"{with_prior - without:+.{digits}f} ({(with_prior - without) / without:.0%})"


def prior_cost(
    *,
    hosts: tuple[HostName, ...] = get_args(HostName),
    size: int = 256,
    repeats: int = 3,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
) -> int:
    """Count what the semantic prior adds to networks: parameters, multiply-accumulates, milliseconds on one core.

    Args:
        hosts: Networks, in the sizes of their authors.
        size: Side of the photograph in pixels.
        repeats: How often each network is timed; 0 leaves the milliseconds out.
        csv: File for all numbers.
    """
    if size < 1 or repeats < 0 or not hosts:
        raise UnblurError("Give at least one host, a size of at least 1 pixel, and 0 repeats or more.")
    torch.set_num_threads(1)
    rows = measure_host_costs(hosts, PriorConfig(), side_px=size, repeats=repeats)
    costs = list(tqdm(rows, total=len(hosts), unit="host", disable=not sys.stderr.isatty()))
    sys.stdout.write(f"One photograph of {size} x {size} px.\n\n{make_cost_table(costs).markdown()}")
    if csv is not None:
        write_output(csv, make_cost_csv(costs).encode())
    return 0


if __name__ == "__main__":
    sys.exit(run(prior_cost))
