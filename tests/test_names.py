"""Names of the command line: each stands for something, and knowing them loads nothing."""

import subprocess
import sys
from typing import get_args

import pytest

from unblur import names
from unblur.blur import Camera
from unblur.blur.presets import find_preset
from unblur.checkpoints.published import get_published
from unblur.models.glow_sizes import denoiser
from unblur.recipes import find_recipe


@pytest.mark.parametrize("name", get_args(names.PresetName))
def test_a_preset_is_a_camera(name: names.PresetName) -> None:
    assert isinstance(find_preset(name), Camera)


def test_a_name_stands_for_one_thing() -> None:
    chosen = [
        [get_published(name).config for name in get_args(names.PublishedName)],
        [denoiser(name) for name in get_args(names.GlowSize)],
        [find_recipe(name) for name in get_args(names.RecipeName)],
    ]
    for things in chosen:
        assert all(thing not in things[:place] for place, thing in enumerate(things))


def test_names_load_nothing() -> None:
    code = "import sys, unblur.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
