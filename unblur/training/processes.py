"""The processes that train one network together, each on a device of its own; mostly there is one.

`torchrun` starts several and sets their ranks in the environment; `torch.distributed` connects them. All hold the same
weights and get other examples of each batch; gradients are averaged before each update, so the weights stay the same
everywhere, and only the first process writes.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from unblur.errors import UnblurError

LONGEST_WAIT = timedelta(hours=2)
"""The first step waits until every process has decoded its photographs and loaded its networks."""


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The group of processes, with the rank and the device of this one."""

    count: int = 1
    rank: int = 0
    """Number of this process, from 0."""
    device: str | None = None
    """Device of this process; None for a single process, which takes any."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def shard(self, examples: range) -> range:
        """Return this process's share of a batch's examples, as many as every other's."""
        each = len(examples) // self.count
        return examples[self.rank * each : (self.rank + 1) * each]

    def all_reduce_gradients(self, gradients: list[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.count == 1:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        averaged = torch.split(flat / self.count, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, averaged, strict=True):
            # Into the memory as it lies, which is that of the weight.
            gradient.copy_(mean.view(gradient.shape))

    def all_reduce_mean(self, numbers: list[float]) -> list[float]:
        """Return the mean of each number over the processes."""
        if self.count == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        found: list[float] = (total / self.count).tolist()
        return found

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            dist.barrier()


SINGLE_PROCESS = ProcessGroup()


def is_first_process() -> bool:
    """Return whether this process is alone, or the first of several; needs no library."""
    return int(os.environ.get("RANK", "0")) == 0


def bind_to_local_device() -> None:
    """Make the accelerator that torchrun gave to this process its current one, before anything uses the first."""
    if "LOCAL_RANK" in os.environ and torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))


def find_process_group(device: str) -> ProcessGroup:
    """Return the processes that were started together with this one, each on a device of the kind of `device`.

    Raises UnblurError when there are several and this build of PyTorch cannot connect processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return SINGLE_PROCESS
    if not dist.is_available():
        raise UnblurError(
            "This build of PyTorch cannot train in several processes; install another one, or start a single process."
        )
    kind = torch.device(device).type
    own = "cpu" if kind == "cpu" else f"{kind}:{os.environ.get('LOCAL_RANK', '0')}"
    if not dist.is_initialized():
        if kind != "cpu":
            torch.accelerator.set_device_index(own)
        dist.init_process_group(dist.get_default_backend_for_device(kind), timeout=LONGEST_WAIT)
    return ProcessGroup(count=dist.get_world_size(), rank=dist.get_rank(), device=own)
