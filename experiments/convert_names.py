"""Rewrites checkpoint folders whose files still have their former names; tensors stay equal bit for bit."""

import hashlib
import json
import sys
from pathlib import Path

import tyro
from safetensors.torch import load, save

from experiments.harness import run
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import CheckpointConfig, load_checkpoint
from unblur.checkpoints.old_names import modernize_json, modernize_state_dict
from unblur.config import from_json, to_json


def convert_names(folders: tyro.conf.Positional[list[Path]]) -> int:
    """Give the files of checkpoint folders their current names, in place, and print the old and the new SHA-256.

    A folder whose names are current is written again as it was. Convert a folder before those that share its weights.

    Args:
        folders: Checkpoint folders. A recipe.json in one of them is converted too.
    """
    for folder in folders:
        load_checkpoint(folder)
        config_path, weights_path, recipe_path = (
            folder / name for name in ("config.json", "model.safetensors", "recipe.json")
        )
        weights = weights_path.read_bytes()
        text = to_json(
            from_json(modernize_json(config_path.read_text(encoding="utf-8")), CheckpointConfig, config_path)
        )
        renamed = save(modernize_state_dict(load(weights)), metadata={"unblur_config": text})
        write_atomically(weights_path, renamed)
        write_atomically(config_path, text.encode())
        if recipe_path.exists():
            recipe = json.loads(modernize_json(recipe_path.read_text(encoding="utf-8")))
            write_atomically(recipe_path, (json.dumps(recipe, indent=2) + "\n").encode())
        digests = (hashlib.sha256(one).hexdigest() for one in (weights, renamed))
        sys.stdout.write(f"{folder}: {' -> '.join(digests)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(convert_names))
