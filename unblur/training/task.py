"""What a run learns: examples by number, and how wrong an answer is."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Example = tuple[Tensor, Tensor]
"""What the network is shown, and what it should answer."""


@dataclass(frozen=True)
class Verdict:
    """On the answers to a batch."""

    loss: Tensor
    """Scalar, to be made smaller."""
    measured: dict[str, float]
    """What people want to read; goes into metrics.jsonl."""
    hopeless: bool
    """Whether the answers are worse than any constant: the network has left the ground."""


class Task(Protocol):
    """Threads may ask for examples at the same time."""

    def example(self, index: int) -> Example:
        """Example `index`; depends on nothing but the recipe, the photographs and the index."""

    def judge(self, answers: Any, shown: Tensor, truth: Tensor) -> Verdict:
        """The verdict on `answers` to a batch of examples: whatever the network returns, or all its `outputs`."""


@runtime_checkable
class LearningTask(Task, Protocol):
    """A task that itself changes as it judges; what has changed is saved with the run."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts in dicts and lists."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what `state_dict` told of. Raises UnblurError when that was another task."""
