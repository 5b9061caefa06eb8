"""`unblur study prior-cost`: what the semantic prior adds to each network that it can be plugged into."""

import sys
from pathlib import Path
from typing import Annotated, get_args

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError
from unblur.names import HostName


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
    import torch
    from tqdm import tqdm

    from unblur.models import PriorConfig
    from unblur.studies.prior_cost import cost_csv, cost_table, host_costs

    if size < 1 or repeats < 0 or not hosts:
        raise UnblurError("Give at least one host, a size of at least 1 pixel, and 0 repeats or more.")
    torch.set_num_threads(1)
    rows = host_costs(hosts, PriorConfig(), side_px=size, repeats=repeats)
    costs = list(tqdm(rows, total=len(hosts), unit="host", disable=not sys.stderr.isatty()))
    sys.stdout.write(f"One photograph of {size} x {size} px.\n\n{cost_table(costs).markdown()}")
    if csv is not None:
        write_output(csv, cost_csv(costs).encode())
    return 0
