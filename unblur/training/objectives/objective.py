"""The interface of training objectives, which make examples and compute losses."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

Example = tuple[Tensor, ...]
"""The input of the network, the target, and whatever else the objective needs; of a batch, all of these stacked."""


@dataclass(frozen=True)
class LossOutput:
    """The loss of a batch, and what is logged of it."""

    loss: Tensor
    """The scalar to minimise."""
    metrics: dict[str, float]
    """Numbers that are written to metrics.jsonl."""
    diverged: bool
    """Whether the output is worse than any constant, so that training cannot recover."""


class Objective(ABC):
    """Makes examples, runs the network on them, and computes the loss. `example` may be called from several threads.

    `initialize` and `prepare` are called once, before the first example.
    """

    whole_batches: ClassVar[bool] = False
    """Whether the loss needs a whole batch; otherwise a batch may be split over steps and processes."""

    def initialize(self, model: nn.Module) -> None:  # noqa: B027
        """Give the model of a new run initial weights of the objective's own; by default none."""

    def prepare(self, model: nn.Module) -> None:  # noqa: B027
        """Take from the model, which has its weights, what examples depend on; by default nothing."""

    @abstractmethod
    def example(self, index: int) -> Example:
        """Return example `index`, which depends on the recipe, the photographs and the index alone."""

    def forward(self, model: nn.Module, batch: Example) -> Any:
        """Run the model on a batch; by default on the first part of the examples."""
        return model(batch[0])

    @abstractmethod
    def loss(self, outputs: Any, batch: Example) -> LossOutput:
        """Compute the loss of what `forward` returned for `batch`."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: tensors, numbers and texts in dicts and lists; by default nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Restore the state returned by `state_dict`. Raises UnblurError if it does not fit this objective."""
