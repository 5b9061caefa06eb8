"""Gives files their former names, as unfinished runs and checkpoints from before 2026-11-30 have them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from unblur.checkpoints import old_names
from unblur.checkpoints.old_names import restore_former_name


def former_json(text: str) -> str:
    """Undo `modernize_json` except for SHA-256."""
    return json.dumps(_former(_flatten_recipe(json.loads(text))), indent=2) + "\n"


def make_former_checkpoint(folder: Path) -> None:
    """Give the weights and the configuration of a checkpoint folder their former names."""
    for name in ("config.json", "recipe.json"):
        if (folder / name).exists():
            (folder / name).write_text(former_json((folder / name).read_text()))
    weights = {
        restore_former_name(name): value for name, value in load((folder / "model.safetensors").read_bytes()).items()
    }
    text = (folder / "config.json").read_text()
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"unblur_config": text}))


def make_former_run(folder: Path) -> None:
    """Give an unfinished run, its checkpoint and its cache their former names."""
    make_former_checkpoint(folder)
    path = folder / "training_state.pt"
    state = torch.load(path, weights_only=True)
    for part in ("model", "ema"):
        state[part] = {restore_former_name(name): value for name, value in state[part].items()}
    if "objective" in state:
        state["task"] = {{"batches": "judged"}.get(key, key): one for key, one in state.pop("objective").items()}
    state["recipe"] = former_json(state["recipe"])
    torch.save(state, path)
    if (folder / "cache").exists():
        (folder / "cache").rename(folder / "kept")


def _flatten_recipe(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a recipe's parts side by side, as recipes used to hold them."""
    if "objective" not in entries:
        return entries
    flat = {name: one for name, one in entries.items() if name not in ("data", "optimization", "schedule", "objective")}
    flat |= entries["data"] | entries["optimization"] | entries["schedule"]
    flat["schedule"] = flat.pop("decay")
    objective = dict(entries["objective"])
    match objective.pop("kind"):
        case "AutoencoderTraining":
            return flat | {"reconstruction": objective}
        case "GlowTraining":
            return flat | {"glow": objective}
    return flat | objective


def _former(value: Any, key: str = "") -> Any:
    fields = {modern: old for old, modern in old_names._FIELDS.items()}
    kinds = {modern: old for old, modern in old_names._KINDS.items()}
    if isinstance(value, dict):
        return {fields.get(name, name): _former(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_former(one, key) for one in value]
    if key == "kind":
        return kinds.get(value, value)
    return restore_former_name(value) if key in ("frozen", "part") else value
