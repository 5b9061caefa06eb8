"""The state of a run: in memory, and as one file that is replaced in one step, so that a killed run can resume."""

import io
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from unblur.atomic import write_atomically
from unblur.checkpoints.mismatch import state_dict_mismatch
from unblur.checkpoints.old_names import modernize_objective_state, modernize_state_dict
from unblur.errors import UnblurError
from unblur.models import build
from unblur.models.linear_dit import use_recomputation
from unblur.seeds import seed_for
from unblur.torch_files import read_torch_file
from unblur.training.initialization import InitFrom
from unblur.training.learning_rate import compute_learning_rate
from unblur.training.objectives.objective import Objective
from unblur.training.recipe import Recipe
from unblur.training.step import make_parameter_groups

_KINDS: dict[str, tuple[type, ...]] = {
    "step": (int,),
    "recipe": (str,),
    "model": (dict, OrderedDict),
    "ema": (dict, OrderedDict),
    "optimizer": (dict,),
}
"""Entries of every state, and their types."""


class SavedState(TypedDict):
    """The contents of training_state.pt after `step` steps; `recipe` is JSON."""

    step: int
    recipe: str
    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, object]
    objective: NotRequired[dict[str, Any]]
    """The state of the objective, if it has any."""


class TrainState:
    """Mutable state of training: the model, its optimizer, the moving average of its weights, and the step."""

    def __init__(
        self,
        recipe: Recipe,
        objective: Objective | None,
        device: str,
        *,
        init: InitFrom,
        saved: SavedState | None,
        run: Path,
    ) -> None:
        """Begin a new run with the weights of `init`, or continue the `saved` one of the folder `run`.

        Raises UnblurError when a checkpoint does not fit the recipe's network.
        """
        if saved is not None and objective is not None and "objective" in saved:
            with _refuse_damage(run):
                objective.load_state_dict(saved["objective"])
        torch.manual_seed(seed_for(recipe.seed, "weights"))
        model = build(recipe.model)
        if saved is not None:
            for weights in (saved["model"], saved["ema"]):
                _check_fit(run, model.state_dict(), weights)
            model.load_state_dict(saved["model"])
        elif objective is not None:
            objective.initialize(model)
            init.apply(model, recipe.model)
        self.model: nn.Module = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.gradient_checkpointing:
            use_recomputation(self.model)
        for part in recipe.frozen_parts:
            self.model.get_submodule(part).requires_grad_(False)
        if objective is not None:
            objective.prepare(self.model)
        self._groups = make_parameter_groups(self.model, recipe.optimization.backbone_lr_scale)
        self.optimizer = torch.optim.AdamW(
            self._groups, betas=recipe.optimization.betas, weight_decay=recipe.optimization.weight_decay, fused=True
        )
        self.averaged = AveragedModel(
            self.model, multi_avg_fn=_make_average(recipe.optimization.ema_decay), use_buffers=True
        )
        self.step = 0
        if saved is not None:
            try:
                with _refuse_damage(run):
                    self.optimizer.load_state_dict(saved["optimizer"])
            except ValueError as error:
                raise UnblurError(
                    f"{run} was begun by a version that trained other weights of this network; give another folder."
                ) from error
            self.averaged.module.load_state_dict(saved["ema"])
            self.step = saved["step"]

    def set_learning_rate(self, recipe: Recipe) -> float:
        """Set the learning rate of the coming step, and return it."""
        schedule = recipe.schedule
        rate = compute_learning_rate(
            schedule.decay,
            self.step,
            steps=schedule.steps,
            warmup_steps=schedule.warmup_steps,
            peak=schedule.peak_learning_rate,
            final=schedule.final_learning_rate,
        )
        # Shares are ours: a state of earlier versions has none.
        for group, own in zip(self.optimizer.param_groups, self._groups, strict=True):
            group["lr"] = rate * own["share"]
        return rate

    @property
    def ema(self) -> dict[str, Tensor]:
        """The moving average of the weights."""
        return self.averaged.module.state_dict()

    def update_average(self) -> None:
        """Update the moving average of the weights after a step."""
        # From one on, so that the initial weights are averaged too.
        self.averaged.n_averaged.fill_(self.step + 1)
        self.averaged.update_parameters(self.model)

    def to_saved_state(self, recipe_json: str, objective: Objective | None) -> SavedState:
        """Return what `save_state` writes."""
        saved = SavedState(
            step=self.step,
            recipe=recipe_json,
            model=self.model.state_dict(),
            ema=self.ema,
            optimizer=self.optimizer.state_dict(),
        )
        if objective is not None and (own := objective.state_dict()):
            saved["objective"] = own
        return saved


def _make_average(ema_decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the update of averaged tensors by current ones, for `torch.optim.swa_utils.AveragedModel`."""

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        # A young average remembers its random start, so it decays faster at first.
        decay = min(ema_decay, int(count) / (int(count) + 9))
        # Integers are places in tables (Swin's), which no training changes.
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    return update


def _check_fit(run: Path, expected: Mapping[str, Tensor], given: Mapping[str, Any]) -> None:
    if problems := state_dict_mismatch(expected, given):
        raise UnblurError(
            f"The training state in {run} does not fit the network of its recipe ({problems}); give another folder."
        )


@contextmanager
def _refuse_damage(run: Path) -> Iterator[None]:
    """Turn exceptions because of entries of a wrong kind into UnblurError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise UnblurError(
            f"The training state in {run} is damaged ({type(error).__name__}: {reason}); give another folder."
        ) from error


def save_state(path: Path, state: SavedState) -> None:
    """Write the state; a kill at any instant leaves the old or the new one, whole."""
    buffer = io.BytesIO()
    torch.save(_canonicalise(state), buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: Path) -> SavedState:
    """Read the state written by `save_state`, on the CPU; former names are translated. Raises UnblurError otherwise."""
    try:
        state = read_torch_file(path)
    except Exception as error:  # A damaged pickle can raise anything.
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise _make_state_error(path, reason) from error
    if not isinstance(state, dict):
        raise _make_state_error(path, f"it holds a {type(state).__name__}")
    wrong = [name for name, kinds in _KINDS.items() if type(state.get(name)) not in kinds]
    if wrong or state["step"] < 0:
        raise _make_state_error(path, f"it has no usable {', '.join(wrong or ['step'])}")
    state |= {"model": modernize_state_dict(state["model"]), "ema": modernize_state_dict(state["ema"])}
    if former := state.pop("task", None):
        state["objective"] = modernize_objective_state(former)
    return cast(SavedState, state)


def _make_state_error(path: Path, reason: str) -> UnblurError:
    return UnblurError(
        f"{path} cannot be read as a training state ({reason}); "
        f"give another folder, or move {path.parent} away to begin again."
    )


def _canonicalise(value: Any) -> Any:
    """Return the same value with one object for equal texts, so that the pickle of a resumed run is equal."""
    if isinstance(value, dict):
        return type(value)({_canonicalise(key): _canonicalise(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(map(_canonicalise, value))
    return sys.intern(value) if isinstance(value, str) else value
