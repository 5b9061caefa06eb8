"""The processes that train one network together, each on a device of its own; mostly there is one.

`torchrun` and `accelerate launch` start several and set their ranks in the environment; the library accelerate
(Hugging Face) assigns their devices and connects them. All hold the same weights and get other examples of each batch;
gradients are averaged before each update, so the weights stay the same everywhere, and only the first process writes.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unblur.errors import UnblurError


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The group of processes, with the rank and the device of this one."""

    count: int = 1
    rank: int = 0
    """Number of this process, from 0."""
    device: str | None = None
    """Device of this process; None for a single process, which takes any."""
    accelerator: Any = None

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
        if self.accelerator is None:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        averaged = self.accelerator.reduce(flat, reduction="mean").split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, averaged, strict=True):
            # Into the memory as it lies, which is that of the weight.
            gradient.copy_(mean.view(gradient.shape))

    def all_reduce_mean(self, numbers: list[float]) -> list[float]:
        """Return the mean of each number over the processes."""
        if self.accelerator is None:
            return numbers
        own = torch.tensor(numbers, dtype=torch.float64, device=self.accelerator.device)
        found: list[float] = self.accelerator.reduce(own, reduction="mean").tolist()
        return found

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


SINGLE_PROCESS = Processes()


def is_first_process() -> bool:
    """Whether this process is alone, or the first of several; needs no library."""
    return int(os.environ.get("RANK", "0")) == 0


def find_process_group(device: str) -> Processes:
    """Return the processes that were started together with this one, each on a device of the kind of `device`.

    Raises UnblurError when there are several and the library accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return SINGLE_PROCESS
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise UnblurError(
            "Training in several processes needs the library accelerate, which is not installed: "
            "pip install 'unblur[distributed]'."
        ) from error
    accelerator = Accelerator(cpu=device == "cpu")
    return Processes(
        count=accelerator.num_processes,
        rank=accelerator.process_index,
        device=str(accelerator.device),
        accelerator=accelerator,
    )
