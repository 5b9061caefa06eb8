"""What a run learns: examples by number, what a network is asked about them, and how wrong its answers are."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

Example = tuple[Tensor, ...]
"""What the network is shown, what it should answer, and whatever else it is asked with; of a batch, all of these."""


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

    whole_batches: ClassVar[bool] = False
    """Whether a batch must be judged at once; else its parts may be, one after the other or by several processes."""

    def example(self, index: int) -> Example:
        """Example `index`; depends on nothing but the recipe, the photographs and the index."""

    def answers(self, model: nn.Module, batch: Example) -> Any:
        """What `model` says to a batch of examples; most are only shown the first part."""
        return model(batch[0])

    def judge(self, answers: Any, batch: Example) -> Verdict:
        """The verdict on `answers` to `batch`."""


@runtime_checkable
class LearningTask(Task, Protocol):
    """A task with a state of its own, saved with the run: what changed as it judged, or what it is bound to."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts in dicts and lists."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what `state_dict` told of. Raises UnblurError when that was another task."""


@runtime_checkable
class LookingTask(Task, Protocol):
    """A task whose examples are what frozen parts of the network that is trained see."""

    def look_with(self, network: nn.Module) -> None:
        """See with the frozen parts of `network`, which has its weights; before the first example."""
