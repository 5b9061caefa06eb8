"""The folder of a run: recipe, metrics, training state, checkpoint and model card."""

import json
from pathlib import Path

from unblur.atomic import name_path_in_errors, write_atomically
from unblur.checkpoints.folder import check_no_checkpoint, save_checkpoint
from unblur.config import to_json
from unblur.errors import UnblurError
from unblur.models import build
from unblur.regular_files import read_regular_text
from unblur.training.card import write_model_card
from unblur.training.objectives.objective import Objective
from unblur.training.precision import begin_recipe, read_recorded_recipe, refuse_emulation, resume_recipe
from unblur.training.processes import ProcessGroup
from unblur.training.progressive import find_phase, list_phases
from unblur.training.recipe import Recipe
from unblur.training.state import SavedState, TrainState, load_state, save_state


class RunFolder:
    """Reads a run that was interrupted, and writes what the first process logs and saves."""

    def __init__(self, path: Path, recipe: Recipe, device: str, processes: ProcessGroup) -> None:
        """Open the folder of a new or an existing run of `recipe`.

        Raises UnblurError when it holds something else, a run of another recipe, a damaged one, or one in a precision
        that `device` only emulates.
        """
        self.path, self._processes = path, processes
        self._state_path, self._metrics_path = path / "training_state.pt", path / "metrics.jsonl"
        self.saved: SavedState | None = load_state(self._state_path) if self._state_path.exists() else None
        self._saved_step = None if self.saved is None else self.saved["step"]
        if self.saved is None:
            check_no_checkpoint(path)
            self.recipe = begin_recipe(recipe, device, processes)
        else:
            # Compared as recipes: a setting that has come since then with a default is not a difference.
            self.recipe = resume_recipe(recipe, read_recorded_recipe(self.saved["recipe"], self._state_path), path)
            if self.saved["step"] > self._steps:
                raise UnblurError(
                    f"{self._state_path} is of step {self.saved['step']}, where its recipe has {self._steps} "
                    "steps; give another folder."
                )
            if not self.is_finished:
                refuse_emulation(self.recipe, recipe, device, path)

    @property
    def _steps(self) -> int:
        return self.recipe.schedule.steps

    @property
    def is_finished(self) -> bool:
        """Whether all steps of the saved run are done."""
        return self._saved_step == self._steps

    def take_saved(self) -> SavedState | None:
        """Return the saved state, which is no longer held here: a large one takes as much memory as training."""
        saved, self.saved = self.saved, None
        return saved

    def begin(self, step: int) -> None:
        """Write the recipe, and drop the metrics of steps that a killed run did but never saved: they are repeated."""
        if not self._processes.is_first:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "recipe.json", to_json(self.recipe).encode())
        if self._metrics_path.exists():
            try:
                lines = read_regular_text(self._metrics_path).splitlines(keepends=True)
                lines_done = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            except (ValueError, TypeError, LookupError, RecursionError) as error:
                raise UnblurError(
                    f"{self._metrics_path} holds lines that are not metrics of this run ({type(error).__name__}); "
                    "move it elsewhere and give the same command again."
                ) from error
            write_atomically(self._metrics_path, "".join(lines_done).encode())

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Append a line to metrics.jsonl where the recipe asks for one."""
        due = step % self.recipe.log_every == 0 or step == self._steps
        if due and self._processes.is_first:
            with name_path_in_errors(self._metrics_path), self._metrics_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")

    def is_checkpoint_due(self, step: int) -> bool:
        """Return whether the state after `step` steps has to be saved."""
        return step % self.recipe.checkpoint_every == 0 or step == self._steps

    def save(self, state: TrainState, objective: Objective | None) -> None:
        """Write the training state, unless it is that of the finished run, and the averaged weights as a checkpoint."""
        if not self._processes.is_first:
            return
        recipe = self.recipe
        if not self.is_finished:
            save_state(self._state_path, state.to_saved_state(to_json(recipe), objective))
        averaged = build(recipe.model)
        averaged.load_state_dict(state.ema)
        patch_px = find_phase(list_phases(recipe), state.step - 1).patch_px
        card = write_model_card(recipe, state.step)
        save_checkpoint(self.path, averaged, recipe.model, train_patch_px=patch_px, card=card)
