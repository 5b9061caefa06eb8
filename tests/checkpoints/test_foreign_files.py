"""Files of other training programs: unwrapped, refused in one sentence, and never run."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_names import NAF, RESTORMER, waves
from safetensors.torch import save_file
from torch import Tensor

from unblur.checkpoints.import_weights import choose_key_map, from_foreign, load_foreign
from unblur.errors import UnblurError

Wrap = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda weights: weights, id="bare"),
        pytest.param(lambda weights: {"params": weights}, id="NAFNet and Restormer"),
        pytest.param(lambda weights: {"model": weights, "epoch": 7, "optimizer": {"state": {}}}, id="MIMO-UNet"),
        pytest.param(
            lambda weights: {"epoch": 7, "state_dict": {f"module.{name}": value for name, value in weights.items()}},
            id="MPRNet",
        ),
        pytest.param(
            lambda weights: {"params": {name: value * 0 for name, value in weights.items()}, "params_ema": weights},
            id="averaged weights before the last ones",
        ),
    ],
)
def test_wrappers_of_training_programs_are_removed(wrap: Wrap, tmp_path: Path) -> None:
    weights = waves(NAF)
    torch.save(wrap(weights), tmp_path / "net.pth")
    loaded = load_foreign(tmp_path / "net.pth", NAF)
    for name, value in weights.items():
        assert torch.equal(loaded.state_dict()[choose_key_map(NAF).rename(name)], value)


def test_safetensors_are_read(tmp_path: Path) -> None:
    weights = waves(NAF)
    save_file(weights, tmp_path / "net.safetensors")
    assert torch.equal(
        load_foreign(tmp_path / "net.safetensors", NAF).state_dict()["intro.weight"], weights["intro.weight"]
    )


def test_half_precision_becomes_float32() -> None:
    halves = {name: value.half() for name, value in waves(NAF).items()}
    assert from_foreign(halves, NAF).state_dict()["intro.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda w: w.pop("intro.weight"), r"1 entries missing \(intro\.weight\)"),
        (lambda w: w.update({"outro.weight": torch.zeros(3)}), r"1 not expected \(outro\.weight\)"),
        (lambda w: w.update({"intro.weight": torch.zeros(8, 3, 3, 3)}), r"intro\.weight is \(8, 3, 3, 3\) instead of"),
        (lambda w: w.update({"intro.weight": "text"}), r"intro\.weight is None instead of"),
        (lambda w: w.update({"middle.0.beta": w["middle_blks.0.beta"]}), r"two entries for middle\.0\.beta"),
        (lambda w: w.clear(), r"entries missing \(.*, .*, .*, \.\.\.\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(damage: Callable[[dict[str, object]], object], says: str) -> None:
    weights: dict[str, object] = {**waves(NAF)}
    damage(weights)
    with pytest.raises(UnblurError, match=says) as raised:
        from_foreign(weights, NAF, source="net.pth")
    assert str(raised.value).startswith("net.pth")
    assert "\n" not in str(raised.value)


def test_weights_of_another_family_are_refused() -> None:
    with pytest.raises(UnblurError, match="swz30/Restormer"):
        from_foreign(waves(NAF), RESTORMER)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=r"nowhere\.pth cannot be read"):
        load_foreign(tmp_path / "nowhere.pth", NAF)


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 cut off"])
def test_damaged_files_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnblurError, match="damaged"):
        load_foreign(tmp_path / name, NAF)


def test_a_file_with_a_tensor_alone_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "net.pth")
    with pytest.raises(UnblurError, match="no named weights but a Tensor"):
        load_foreign(tmp_path / "net.pth", NAF)


class _Program:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_programs_hidden_in_a_file_are_not_run(tmp_path: Path) -> None:
    with (tmp_path / "net.pth").open("wb") as file:
        pickle.dump({"state_dict": _Program(tmp_path / "made")}, file, protocol=2)
    with pytest.raises(UnblurError, match="not run"):
        load_foreign(tmp_path / "net.pth", NAF)
    torch.save({"state_dict": _Program(tmp_path / "made")}, tmp_path / "net.pth")
    with pytest.raises(UnblurError, match="not run"):
        load_foreign(tmp_path / "net.pth", NAF)
    assert not (tmp_path / "made").exists()
