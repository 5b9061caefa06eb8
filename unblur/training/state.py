"""What a run needs to go on after being killed, as one file replaced in one step."""

import io
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import torch
from torch import Tensor

from unblur.atomic import write_atomically
from unblur.errors import UnblurError


class TrainingState(TypedDict):
    """`step` updates are done; `recipe` is the JSON of the recipe that did them."""

    step: int
    recipe: str
    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, object]
    task: NotRequired[dict[str, Any]]
    """Of a `LearningTask`."""


def save_state(path: Path, state: TrainingState) -> None:
    """Write the state; a kill at any instant leaves the old or the new one, whole."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: Path) -> TrainingState:
    """The state written by `save_state`, on the CPU. Raises UnblurError if it is not one."""
    try:
        return cast(TrainingState, torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise UnblurError(
            f"{path} cannot be read as a training state ({type(error).__name__}); remove the run folder to begin again."
        ) from error
