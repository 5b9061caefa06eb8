"""`unblur restore --mode generative`: what it writes, says, marks and refuses."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_networks import save_text_encoder

from unblur.app.cli import main
from unblur.checkpoints.folder import BUNDLED_DECODER, BUNDLED_GENERATOR, load_checkpoint, save_checkpoint
from unblur.models import GlowDeblur, LatentDecoder
from unblur.restoration.loading import load
from unblur.restoration.uncertainty import render_uncertainty

pytest.importorskip("diffusers", reason="needs the extra `generative`")

SOFTWARE = 0x0131
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory, tiny_glow: GlowDeblur, tiny_decoder: LatentDecoder) -> Path:
    folder = tmp_path_factory.mktemp("generative")
    for name, network in (("glow", tiny_glow), ("decoder", tiny_decoder)):
        save_checkpoint(folder / name, network, network.config, train_patch_px=64, card="", dtype=torch.float32)
    return folder


@pytest.fixture
def restore(networks: Path) -> Callable[..., int]:
    """Run `unblur restore --mode generative` in two steps with tiny networks, and return the exit code."""

    def run(*arguments: str | Path, steps: int = 2) -> int:
        fixed = ["--checkpoint", networks / "glow", "--decoder", networks / "decoder", "--device", "cpu"]
        return main([str(a) for a in ("restore", "--mode", "generative", "--steps", steps, *fixed, *arguments)])

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Write grey tones, 60 x 40."""
    pixels = np.random.default_rng(0).integers(90, 160, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def marks_of(path: Path) -> tuple[str | None, str | None]:
    """Return the software in EXIF and the source type in XMP."""
    with Image.open(path) as image:
        software = image.getexif().get(SOFTWARE)
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode("latin-1")
    if not xmp:
        return software, None
    name = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    return software, next((e.get(name) for e in ET.fromstring(xmp.decode()).iter() if e.get(name)), None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what it writes --------------------------------------------------------------------------------------


def test_a_photograph_with_generated_detail(tmp_path: Path, photo: Path, restore, capsys) -> None:
    original = photo.read_bytes()
    assert restore(photo) == 0
    assert photo.read_bytes() == original
    assert names(tmp_path) == ["photo.png", "photo_generated.png"]
    said = capsys.readouterr()
    assert "detail generated (seed 0, 2 steps, fidelity 0.5)" in said.out
    assert "may never have been there" in said.err
    assert marks_of(tmp_path / "photo_generated.png") == (f"unblur {version('unblur')}, generative", SOURCE_TYPE)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_every_format_is_marked_unless_no_mark_is_given(photo: Path, restore, suffix: str) -> None:
    folder = photo.parent / "out"
    assert restore(photo, "-o", folder, "--format", suffix, "--compare") == 0
    for name in ("photo_generated", "photo_generated_compare"):
        assert marks_of(folder / f"{name}.{suffix}") == (f"unblur {version('unblur')}, generative", SOURCE_TYPE)
    assert restore(photo, "-o", folder, "--format", suffix, "--no-mark", "--overwrite") == 0
    assert marks_of(folder / f"photo_generated.{suffix}") == (None, None)


@pytest.mark.parametrize("options", [["--fidelity", "1"], ["--strength", "0"]])
def test_results_without_generated_detail_are_not_marked(photo: Path, restore, options: list[str], capsys) -> None:
    assert restore(photo, *options) == 0
    said = capsys.readouterr()
    assert "no detail generated" in said.out
    assert "may never have been there" not in said.err
    assert marks_of(photo.with_name("photo_generated.png")) == (None, None)


def test_options_reach_the_network(photo: Path, restore, networks: Path) -> None:
    out = photo.parent / "out"
    assert restore(photo, "-o", out / "plain.png") == 0
    for index, options in enumerate((["--seed", "1"], ["--fidelity", "0.1"], ["--tile", "0"])):
        assert restore(photo, "-o", out / f"{index}.png", *options) == 0
        same = np.array_equal(pixels_of(out / f"{index}.png"), pixels_of(out / "plain.png"))
        assert same == (options[0] == "--tile")
    assert restore(photo, "-o", out / "dpm.png", steps=6) == 0
    assert not np.array_equal(pixels_of(out / "dpm.png"), pixels_of(out / "plain.png"))
    assert restore(photo, "-o", out / "euler.png", "--solver", "euler", steps=6) == 0
    assert not np.array_equal(pixels_of(out / "euler.png"), pixels_of(out / "dpm.png"))
    # Also those that were not typed: they are the settings' own.
    assert restore(photo, "-o", out / "four.png", steps=4) == 0
    alone = load(networks / "glow", "cpu", mode="generative", decoder=networks / "decoder").restore(photo)
    assert np.array_equal(pixels_of(out / "four.png"), alone.pixels)


def test_json_has_the_settings_of_generation(photo: Path, restore, capsys, tiny_checkpoint: Path) -> None:
    assert restore(photo, "--json", "--seed", "4", "--fidelity", "0.25", "--solver", "euler", "--uncertainty", "2") == 0
    said = json.loads(capsys.readouterr().out)
    expected = {"mode": "generative", "seed": 4, "steps": 2, "solver": "euler", "fidelity": 0.25, "marked": True}
    assert expected.items() <= said.items()
    assert (said["generated_share"], said["fallback_share"]) == (1, 0)
    assert said["uncertainty"] == str(photo.with_name("photo_generated_uncertainty.png"))
    assert len(said["checkpoint"]) == len(said["decoder"]) == 64
    assert main([str(photo), "--checkpoint", str(tiny_checkpoint), "--json", "--overwrite"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["mode"] == "faithful"
    assert said["seed"] is said["fidelity"] is said["generated_share"] is said["marked"] is None
    assert marks_of(photo.with_name("photo_unblurred.png")) == (None, None)


# --- uncertainty -----------------------------------------------------------------------------------------


def test_the_uncertainty_map_is_written(photo: Path, restore, capsys) -> None:
    folder = photo.parent
    assert restore(photo, "--uncertainty", "3", "--format", "jpg", "--fidelity", "0") == 0
    assert names(folder) == ["photo.png", "photo_generated.jpg", "photo_generated_uncertainty.png"]
    path = folder / "photo_generated_uncertainty.png"
    found = pixels_of(path)
    assert found.shape == (40, 60)
    assert found.dtype == np.uint8
    assert found.max() > 10
    # It is not a photograph to restore, and no file to lose.
    before = path.read_bytes()
    (folder / "photo_generated.jpg").unlink()
    assert restore(photo, "--uncertainty", "3", "--format", "jpg") == 1
    assert "_uncertainty.png is there already" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert restore(folder, "--uncertainty", "3", "--format", "jpg", "--fidelity", "0", "--overwrite") == 0
    assert names(folder) == ["photo.png", "photo_generated.jpg", "photo_generated_uncertainty.png"]
    assert path.read_bytes() == before


def test_the_scale_of_the_uncertainty_map() -> None:
    deviations = np.array([[0, 0.1 / 255, 1 / 255, 10 / 255], [25.5 / 255, 0.2, 1, 3]], np.float32)
    assert render_uncertainty(deviations).pixels[..., 0].tolist() == [[0, 1, 10, 100], [255, 255, 255, 255]]


# --- captions --------------------------------------------------------------------------------------------


@pytest.fixture
def captioned(tiny_glow: GlowDeblur, tmp_path: Path) -> Path:
    """Save the tiny network as one that was trained with captions."""
    pytest.importorskip("transformers", reason="needs the extra `generative`")
    config = replace(tiny_glow.config, tokens="both")
    save_checkpoint(tmp_path / "captioned", tiny_glow, config, train_patch_px=64, card="", dtype=torch.float32)
    return tmp_path / "captioned"


def test_a_caption_changes_the_result(photo: Path, restore, captioned: Path) -> None:
    given = ["--checkpoint", captioned, "--text-encoder", save_text_encoder(photo.parent / "text")]
    out = photo.parent / "out"
    for name, caption in (("red", "a red bus"), ("blue", "a blue bus"), ("again", "a red bus")):
        assert restore(photo, "-o", out / f"{name}.png", "--caption", caption, *given) == 0
    assert not np.array_equal(pixels_of(out / "red.png"), pixels_of(out / "blue.png"))
    assert np.array_equal(pixels_of(out / "red.png"), pixels_of(out / "again.png"))


def test_the_caption_of_another_text_encoder_is_refused(photo: Path, restore, captioned: Path, capsys) -> None:
    given = ["--checkpoint", captioned, "--text-encoder", save_text_encoder(photo.parent / "text", channels=8)]
    assert restore(photo, "--caption", "a bus", *given) == 2
    assert "8 channels for a token where this checkpoint expects 16" in capsys.readouterr().err


def test_captions_are_refused_by_networks_that_were_trained_without(
    photo: Path, restore, networks: Path, capsys
) -> None:
    assert restore(photo, "--caption", "a bus") == 2
    assert f"{networks / 'glow'} was trained without captions" in capsys.readouterr().err
    assert main(["restore", "--mode", "generative", "--caption", "a bus", str(photo)]) == 2
    assert "The bundled generative network was trained without captions" in capsys.readouterr().err


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        *(["--steps", "20"], ["--seed", "0"], ["--solver", "dpm"], ["--fidelity", "0"], ["--caption", "a bus"]),
        *(["--text-encoder", "folder"], ["--uncertainty", "2"], ["--decoder", "folder"], ["--no-mark"]),
    ],
    ids=lambda option: option[0],
)
def test_options_without_meaning_in_faithful_mode_are_refused(
    photo: Path, tiny_checkpoint: Path, option: list[str], capsys
) -> None:
    assert main([str(photo), "--checkpoint", str(tiny_checkpoint), *option]) == 2
    assert f"{option[0]} has a meaning only with --mode generative" in capsys.readouterr().err
    assert names(photo.parent) == ["photo.png"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--steps", "0"], "steps"),
        (["--fidelity", "1.5"], "fidelity"),
        (["--fidelity", "nan"], "fidelity"),
        (["--uncertainty", "1"], "compares nothing"),
        (["--text-encoder", "folder"], "--caption"),
        (["--caption", " "], "empty"),
        (["--solver", "magic"], "--solver"),
        (["--mode", "magic"], "--mode"),
        (["--decoder", "nowhere"], "No checkpoint at nowhere"),
    ],
)
def test_options_out_of_range_are_refused(photo: Path, restore, options: list[str], reason: str, capsys) -> None:
    assert restore(photo, *options) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error
    assert names(photo.parent) == ["photo.png"]


def test_a_generative_checkpoint_is_refused_in_faithful_mode(photo: Path, networks: Path, capsys) -> None:
    assert main([str(photo), "--checkpoint", str(networks / "glow")]) == 2
    assert "add --mode generative" in capsys.readouterr().err


def test_without_a_checkpoint_the_bundled_weights_are_used(photo: Path, tmp_path: Path, capsys) -> None:
    assert main([str(photo), "--mode", "generative", "--steps", "1", "--json", "-o", str(tmp_path / "new.png")]) == 0
    (said,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert said["checkpoint"] == load_checkpoint(BUNDLED_GENERATOR).sha256
    assert said["decoder"] == load_checkpoint(BUNDLED_DECODER).sha256


def test_implausible_detail_is_never_written(tmp_path: Path, photo: Path, restore, networks: Path, capsys) -> None:
    decoder = load_checkpoint(networks / "decoder")
    decoder.model.get_parameter("ending.bias").fill_(float("nan"))
    save_checkpoint(tmp_path / "broken", decoder.model, decoder.config, train_patch_px=64, card="")
    assert restore(photo, "--decoder", tmp_path / "broken") == 0
    said = capsys.readouterr()
    assert "in 100% of it left out: it was unusable" in said.out
    assert "may never have been there" not in said.err
    assert marks_of(photo.with_name("photo_generated.png")) == (None, None)
    assert restore(photo, "-o", tmp_path / "certain.png", "--fidelity", "1") == 0
    assert np.array_equal(pixels_of(photo.with_name("photo_generated.png")), pixels_of(tmp_path / "certain.png"))
