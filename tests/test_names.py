"""Names of the command line: each stands for something, and knowing them loads nothing."""

import subprocess
import sys
from typing import get_args

import pytest

from unblur import names
from unblur.blur import Camera
from unblur.blur.presets import preset
from unblur.checkpoints.published import published
from unblur.models import RestorerConfig
from unblur.models.glow_sizes import denoiser
from unblur.recipes import named
from unblur.recipes.prior_study import small
from unblur.studies.networks import study_recipe
from unblur.studies.prior_cost import host_config


@pytest.mark.parametrize("name", get_args(names.PresetName))
def test_a_preset_is_a_camera(name: names.PresetName) -> None:
    assert isinstance(preset(name), Camera)


@pytest.mark.parametrize("name", get_args(names.PublishedName))
def test_a_published_network_is_a_host_of_the_same_size(name: names.PublishedName) -> None:
    assert host_config(name) == published(name).config


def test_a_name_stands_for_one_thing() -> None:
    told = [
        [host_config(name) for name in get_args(names.HostName)],
        [denoiser(name) for name in get_args(names.GlowSize)],
        [named(name) for name in get_args(names.RecipeName)],
        [small(name, None) for name in get_args(names.StudyHost)],
        [study_recipe(name, steps=1, patch_px=64, batch=1, seed=1).model for name in get_args(names.StudyNetwork)],
    ]
    for things in told:
        assert all(thing not in things[:place] for place, thing in enumerate(things))


@pytest.mark.parametrize("name", get_args(names.HostName))
def test_a_host_restores(name: names.HostName) -> None:
    assert isinstance(host_config(name), RestorerConfig)


def test_names_load_nothing() -> None:
    code = "import sys, unblur.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
