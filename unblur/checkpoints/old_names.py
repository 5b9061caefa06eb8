"""Translates files from before 2026-11-30: names in configurations, recipes and weights, and recipes without parts.

Names in files were changed once, and so was the form of recipes. `modernize_json`, `modernize_state_dict` and
`modernize_objective_state` leave current files as they are, so that readers can always apply them.
`python -m experiments.convert_names` rewrites a checkpoint folder.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

_FIELDS = {
    "adversarial_from": "adversarial_start",
    "backbone_share": "backbone_lr_scale",
    "begins": "start",
    "borrowed": "shared_parts",
    "growth": "progressive",
    "hourglass": "nafnet",
    "kept": "cache_size",
    "kept_back": "holdout",
    "lender": "source",
    "looks_twice": "two_pass",
    "mixed_in": "extra_sources",
    "motion_withheld": "motion_dropout",
    "recompute": "gradient_checkpointing",
    "semantics_withheld": "semantics_dropout",
    "softened": "low_pass",
    "told_coarser": "condition_on_coarser",
    "uses": "repeats",
    "uses_apart": "repeat_gap",
}
"""Former and current keys of configurations and recipes."""

_KINDS = {
    "Charbonnier": "CharbonnierLoss",
    "Edges": "EdgeLoss",
    "Frequencies": "FrequencyLoss",
    "MeanAbsolute": "L1Loss",
    "NegativePSNR": "PSNRLoss",
    "ShiftTolerantDistance": "STLPIPSLoss",
    "SignBlur": "SyntheticText",
    "TeacherFeatures": "FeatureLoss",
}
"""Former and current values of `kind`."""

_PARTS_OF_A_RECIPE = {
    "data": ("camera", "sampling", "extra_sources", "repeats", "repeat_gap", "workers"),
    "optimization": ("betas", "weight_decay", "clip_norm", "frozen", "backbone_lr_scale", "ema_decay"),
    "schedule": (
        "steps",
        "batch",
        "progressive",
        "peak_learning_rate",
        "final_learning_rate",
        "warmup_steps",
        "decay",
    ),
}
"""Parts of a recipe, and their entries, which recipes used to hold side by side."""

_OBJECTIVES = {
    "MotionEstimatorConfig": "MotionTraining",
    "SemanticPriorConfig": "PriorTraining",
    "AutoencoderConfig": "AutoencoderTraining",
    "LatentDecoderConfig": "AutoencoderTraining",
    "GlowConfig": "GlowTraining",
    "PreReconstructionConfig": "GlowTraining",
}
"""Kinds of networks and their objectives, which recipes did not name; all others are trained by restoration."""

_MODULES = {
    "choice": "fusion",
    "hourglass": "nafnet",
    "nothing": "null_token",
    "places": "region_embedding",
    "take": "delta_gate",
    "tell": "coarse_proj",
    "tell_more": "delta_proj",
}
"""Former and current names of modules and parameters, without the names of the modules around them."""

_NAMES_OF_MODULES = ("frozen", "part")
"""Keys whose values are names of modules."""

RENAMED_WEIGHTS = {
    "39cc74a3ec20cebfac205940aa5f7b750ce30c45d40a11fb6a4d3a7e82e19c0f": (
        "20ca99ec19508b4c37f61c30f7ed38963b9a1dfda6cc3ad947ee63c27d8e8f8f"
    ),
    "62a2e4188e8e591386cce5a7857c9392cf9e436d7d5dfe53171149e7769eabd7": (
        "d79557aa9b7634c69ca11d6f4bf62953eaacb4899a7885c260440948d0c48834"
    ),
    "61cd23f669e6059c4263387b6ef723cefd9c8a5876c49667cf744893bc057e6b": (
        "f0d2f1a27871f52ef191a9a07aba7ab015ae05130d901f26f8f6d83ecfe080b7"
    ),
    "95fa3dd474d34b38e2abe5cbcf21a47993a9aa7ac92bfe76156072535159c8ce": (
        "f5f9710b05914a85d264cac6fb10605e38fb84cea5c3088d01ae3cfc45df85a4"
    ),
    "bf06bcf41ce33dbdc2f3e14a356c07b08cd48cda477d3c64dedc28de785654ed": (
        "1e0389d62bdb60f110a1f2c853bdf696a88e872a225ddf19b737dc4f23587fb1"
    ),
    "04c0433edae100e277e2a5dbf9a9d16070e5574f85592142c5218697f3d15b14": (
        "599c2254cbfbb2584564fa9c594e6ee40a44463f9e1d0e625e258cf80798f5f8"
    ),
    "eb52e4196eb1eabef8e7b37e30336b5b65e15b323da8769a29d869d5800c758a": (
        "20caefbdccb3c46022c505faa31d9810f63d8627fcbdf13ffc3d56e9a9aed0f3"
    ),
    "a3ab54bbfe77dd98f7133b9bb08ba8e0230575bef111221c5bad1405c6be6b80": (
        "327e7ee83d785d152eb2d345ecdebecb1f8160b675fed860ffce4aa4377c2e10"
    ),
}
"""SHA-256 of the bundled weights, before and after their names were changed."""


def modernize_name(name: str) -> str:
    """Return the current name of a module, parameter or stored tensor."""
    return ".".join(_MODULES.get(part, part) for part in name.split("."))


def restore_former_name(name: str) -> str:
    """Undo `modernize_name`."""
    former = {modern: old for old, modern in _MODULES.items()}
    return ".".join(former.get(part, part) for part in name.split("."))


def modernize_state_dict(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Rename the keys of a state dict; the values and their order stay the same."""
    return {modernize_name(name): value for name, value in tensors.items()}


def modernize_json(text: str) -> str:
    """Rename keys, kinds, modules and shared weights in JSON, and divide recipes into parts.

    Text that is not JSON is returned unchanged.
    """
    try:
        return json.dumps(_modern(json.loads(text)))
    except (json.JSONDecodeError, RecursionError):
        return text


def modernize_objective_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys of an objective's saved state."""
    return {{"judged": "batches"}.get(key, key): value for key, value in state.items()}


def use_former_cache(run: Path, cache: Path) -> None:
    """Give the cache of an unfinished run its current name, if the run has one under the former name."""
    former = run / "kept"
    if former.is_dir() and not cache.exists():
        former.rename(cache)


def _modern(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        entries: dict[str, Any] = {str(_FIELDS.get(name, name)): _modern(one, name) for name, one in value.items()}
        return _divide_recipe(entries)
    if isinstance(value, list):
        return [_modern(one, key) for one in value]
    if not isinstance(value, str):
        return value
    if key == "kind":
        return _KINDS.get(value, value)
    return modernize_name(value) if key in _NAMES_OF_MODULES else RENAMED_WEIGHTS.get(value, value)


def _divide_recipe(entries: dict[str, Any]) -> dict[str, Any]:
    """Divide the entries of a recipe without parts among its parts; other entries are returned unchanged."""
    if not {"model", "steps"} <= entries.keys() or not isinstance(entries["model"], dict):
        return entries
    rest = dict(entries)
    if "schedule" in rest:
        rest["decay"] = rest.pop("schedule")
    kind = _OBJECTIVES.get(entries["model"].get("kind", ""), "RestorationTraining")
    restoration = _pop(rest, ("losses", "loss_floor"))
    motion = _pop(rest, ("reblur_weight",))
    reconstruction, glow = rest.pop("reconstruction", {}), rest.pop("glow", {})
    settings = {
        "RestorationTraining": restoration,
        "MotionTraining": motion,
        "AutoencoderTraining": reconstruction,
        "GlowTraining": glow,
    }.get(kind, {})
    parts = {part: _pop(rest, names) for part, names in _PARTS_OF_A_RECIPE.items()}
    return rest | parts | {"objective": settings | {"kind": kind}}


def _pop(entries: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Remove the entries of these names that are there, and return them."""
    return {name: entries.pop(name) for name in names if name in entries}
