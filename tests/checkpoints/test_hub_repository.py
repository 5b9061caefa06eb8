"""A pulled checkpoint equals the one that was pushed, and no other files are downloaded."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_double import Faults, HubDouble, Repository, run_hub

from unblur.app.cli import main
from unblur.checkpoints.checksums import FILES, read_checkpoint_files, verify_folder
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.checkpoints.hub_repository import fetch_checkpoint, parse_hub_name
from unblur.checkpoints.model_card import read_card
from unblur.errors import UnblurError
from unblur.models import NAFNetConfig, build

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
CARD = """---
license: apache-2.0
tags: [deblurring]
training_data: drawn squares
---
# Tiny
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny", build(TINY), TINY, train_patch_px=32, card=CARD)
    return tmp_path / "tiny"


@pytest.fixture(scope="module")
def server() -> Iterator[HubDouble]:
    with run_hub() as hub:
        yield hub


@pytest.fixture
def hub(server: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubDouble:
    """An empty hub without faults, and an empty cache."""
    from huggingface_hub import constants

    server.repositories.clear()
    server.asked.clear()
    server.faults = Faults()
    template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("HF_TOKEN", server.token)
    return server


@pytest.fixture
def pushed(hub: HubDouble, folder: Path) -> HubDouble:
    """The hub with the tiny checkpoint as nobody/tiny."""
    hub.repositories["nobody/tiny"] = Repository(tags=("unblur",))
    hub.repositories["nobody/tiny"].commit(read_checkpoint_files(folder))
    return hub


def test_a_checkpoint_that_was_pushed_is_pulled_and_used(
    hub: HubDouble, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "push", str(folder), "nobody/tiny"]) == 0
    assert set(hub.repositories["nobody/tiny"].commits.popitem()[1]) == set(FILES)
    assert main(["models", "push", str(folder), "nobody/tiny", "--private"]) == 0
    assert main(["models", "pull", "nobody/tiny", "-o", str(tmp_path / "copy")]) == 0
    assert "verified" in capsys.readouterr().out
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    pulled, original = load_checkpoint("nobody/tiny"), load_checkpoint(folder)
    assert pulled.sha256 == original.sha256
    for name, tensor in original.model.state_dict().items():
        assert torch.equal(pulled.model.state_dict()[name], tensor)
    assert verify_folder(pulled.folder).stated == FILES


def test_a_card_states_licence_data_hashes_and_what_was_measured(
    hub: HubDouble, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import ModelCard

    from unblur.evaluation.row import Conditions, Row, to_csv

    sha256 = load_checkpoint(folder).sha256
    conditions = Conditions(data_set="Squares", protocol="pairs-v1", checkpoint=sha256)
    rows = [
        Row(
            image=f"{number}.png",
            height=8,
            width=8,
            scores={"psnr_before_db": 20.0, "psnr_after_db": 21.0 + number, "ssim_before": 0.5, "ssim_after": 0.75},
            seconds=1.0,
            conditions=conditions,
        )
        for number in range(2)
    ]
    (tmp_path / "squares.csv").write_text(to_csv(rows))
    command = ["models", "push", str(folder), "nobody/tiny", "--metrics", str(tmp_path / "squares.csv")]
    assert main(command) == 0
    (files,) = hub.repositories["nobody/tiny"].commits.values()
    facts = read_card(files["README.md"], "card")
    assert (facts.licence, facts.training_data) == ("apache-2.0", "drawn squares")
    assert facts.checksums["model.safetensors"] == sha256
    card = ModelCard(files["README.md"].decode())
    assert card.data.library_name == "unblur"
    stated = {(one.metric_type, one.metric_name, one.metric_value) for one in card.data.eval_results}
    assert stated == {
        ("psnr", "PSNR in dB, restored", 21.5),
        ("psnr", "PSNR in dB, blurry", 20.0),
        ("ssim", "SSIM, restored", 0.75),
        ("ssim", "SSIM, blurry", 0.5),
    }
    assert {one.dataset_name for one in card.data.eval_results} == {"Squares, protocol pairs-v1, 2 pictures"}

    others = [replace(row, conditions=replace(conditions, checkpoint="0" * 64)) for row in rows]
    (tmp_path / "squares.csv").write_text(to_csv(others))
    assert main(command) == 2
    assert "was measured with the weights 000000000000 and not with" in capsys.readouterr().err


def test_revisions(pushed: HubDouble, folder: Path) -> None:
    first = pushed.repositories["nobody/tiny"].branches["main"]
    torch.manual_seed(1)
    save_checkpoint(folder, build(TINY), TINY, train_patch_px=32, card=CARD)
    pushed.repositories["nobody/tiny"].commit(read_checkpoint_files(folder), "v2/next")
    assert load_checkpoint(f"nobody/tiny@{first}").sha256 == load_checkpoint("nobody/tiny").sha256
    assert load_checkpoint("nobody/tiny@v2/next").sha256 == load_checkpoint(folder).sha256
    assert load_checkpoint("nobody/tiny").sha256 != load_checkpoint(folder).sha256
    with pytest.raises(UnblurError, match="has no such revision"):
        load_checkpoint("nobody/tiny@v3")


def test_list_and_verify(pushed: HubDouble, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pushed.repositories["nobody/other"] = Repository(tags=("diffusers",))
    fetch_checkpoint("nobody/tiny")
    assert main(["models", "list", "nobody"]) == 0
    printed = capsys.readouterr().out
    commit = pushed.repositories["nobody/tiny"].branches["main"]
    assert "multiscale  bundled" in printed
    assert f"nobody/tiny@{commit}  pulled  0.0 MB  apache-2.0" in printed
    assert "nobody/tiny  on the hub" in printed
    assert "other" not in printed
    assert main(["models", "verify"]) == 0
    verified = capsys.readouterr().out
    assert f"nobody/tiny@{commit}: weights" in verified
    assert verified.count("model.safetensors") == verified.count("\n") > 5
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b" ")
    assert main(["models", "verify", str(folder), "nobody/tiny"]) == 1
    said = capsys.readouterr()
    assert "config.json is damaged or was changed" in said.err
    assert "nobody/tiny: weights" in said.out
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "README.md").unlink()
    assert main(["models", "verify", str(bare)]) == 0
    assert "no hash is stated" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
def test_other_content_than_the_stated_is_refused_and_not_retained(pushed: HubDouble, name: str) -> None:
    (files,) = pushed.repositories["nobody/tiny"].commits.values()
    pushed.faults.content = {name: files[name][:-1] + b"~"}
    for _ in range(2):
        with pytest.raises(UnblurError, match=rf"{name} of nobody/tiny is damaged or was changed"):
            fetch_checkpoint("nobody/tiny")
    pushed.faults = Faults()
    assert verify_folder(fetch_checkpoint("nobody/tiny")).stated == FILES


def test_a_card_with_other_hashes_than_its_files_is_refused(pushed: HubDouble, folder: Path) -> None:
    torch.manual_seed(1)
    former = (folder / "README.md").read_bytes()
    save_checkpoint(folder, build(TINY), TINY, train_patch_px=32, card=CARD)
    contents = read_checkpoint_files(folder) | {"README.md": former}
    pushed.repositories["nobody/tiny"].commit(contents)
    with pytest.raises(UnblurError, match=r"model.safetensors is damaged or was changed"):
        fetch_checkpoint("nobody/tiny")


def test_a_transfer_that_breaks_is_one_sentence_and_continues_later(
    pushed: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    pushed.faults.cut = True
    with pytest.raises(UnblurError, match="nobody/tiny cannot be reached on the hub"):
        fetch_checkpoint("nobody/tiny")
    pushed.faults = Faults()
    assert verify_folder(fetch_checkpoint("nobody/tiny")).stated == FILES


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        (Faults(names=("../../.bashrc",)), "leads to another folder"),
        (Faults(names=("/etc/passwd",)), "leads to another folder"),
        (Faults(names=("..\\evil.py",)), "leads to another folder"),
        (Faults(names=("C:\\evil.py",)), "leads to another folder"),
        (Faults(names=("new\nline",)), "leads to another folder"),
        (Faults(sizes={"config.json": 2**20 + 1}), "more than a checkpoint of unblur"),
        (Faults(sizes={"model.safetensors": 2**35}), "more than a checkpoint of unblur"),
        (Faults(sizes={"config.json": 5}), "in two ways"),
        (Faults(commit_header="../../../evil"), "in two ways"),
        (Faults(tag_header="../../../evil"), "in two ways"),
        (Faults(status=403), "refuses access"),
    ],
)
def test_hostile_repositories_are_refused_before_anything_is_stored(
    pushed: HubDouble, faults: Faults, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed.faults = faults
    assert main(["models", "pull", "nobody/tiny"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "cache").exists()


def test_pickles_are_never_fetched(pushed: HubDouble, folder: Path) -> None:
    pushed.repositories["nobody/tiny"].commit({"pytorch_model.bin": b"pickle", "model.py": b"import os"})
    assert {path.name for path in fetch_checkpoint("nobody/tiny").iterdir()} == set(FILES)
    pushed.repositories["nobody/pickled"] = Repository()
    contents = read_checkpoint_files(folder)
    contents["pytorch_model.bin"] = contents.pop("model.safetensors")
    pushed.repositories["nobody/pickled"].commit(contents)
    with pytest.raises(UnblurError, match=r"holds no model.safetensors.*pickles, are never loaded"):
        fetch_checkpoint("nobody/pickled")
    assert not [path for path in pushed.asked if "pytorch_model" in path or "model.py" in path]


def test_without_a_connection_what_was_pulled_is_used(pushed: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    folder = fetch_checkpoint("nobody/tiny")
    pushed.faults.status = 503
    assert fetch_checkpoint("nobody/tiny") == folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    pushed.asked.clear()
    assert fetch_checkpoint("nobody/tiny") == folder
    assert fetch_checkpoint(f"nobody/tiny@{folder.name}") == folder
    with pytest.raises(UnblurError, match=r"nobody/large was not pulled before.*HF_HUB_OFFLINE is set"):
        fetch_checkpoint("nobody/large")
    assert main(["models", "push", str(folder), "nobody/tiny"]) == 2
    assert not pushed.asked
    weights = (folder / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"~")
    with pytest.raises(UnblurError, match="is damaged or was changed"):
        fetch_checkpoint("nobody/tiny")


def test_errors_of_the_hub_are_sentences(
    hub: HubDouble, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnblurError, match="There is no repository nobody/tiny on the hub, or it is private"):
        fetch_checkpoint("nobody/tiny")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert main(["models", "push", str(folder), "nobody/tiny"]) == 2
    assert "refuses access to nobody/tiny; set HF_TOKEN" in capsys.readouterr().err
    assert not hub.repositories
    (folder / "README.md").write_text("# Tiny\n")
    assert main(["models", "push", str(folder), "nobody/tiny"]) == 2
    assert "names no licence" in capsys.readouterr().err
    (folder / "README.md").write_text("---\nlicense: [\n---\n")
    assert main(["models", "push", str(folder), "nobody/tiny"]) == 2
    assert "header of" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_a_sentence(
    pushed: HubDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The user of the tests may be one who may write everywhere, but nobody writes below a file.
    (tmp_path / "cache").write_bytes(b"")
    assert main(["models", "pull", "nobody/tiny"]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'cache'}" in error
    assert "set HF_HOME to a folder that can be written" in error
    assert error.count("\n") == 1
    assert any(path.startswith("HEAD") for path in pushed.asked)


@pytest.mark.parametrize(
    "name", ["tiny", "nobody/", "/tiny", "a/b/c", "nobody/../tiny", "nobody/tiny@", "nobody/tiny@../x", "no body/tiny"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UnblurError, match="is not a name of a repository"):
        parse_hub_name(name)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pull"], "pull fetches one repository"),
        (["pull", "a/b", "c/d"], "pull fetches one repository"),
        (["push", "a"], "push publishes one folder"),
        (["push", "nowhere", "a/b"], "nowhere is not a folder"),
        (["list", "a", "b"], "one owner"),
        (["list", "a/b"], "not a name of an owner"),
        (["verify", "--private"], "no meaning with verify"),
        (["list", "-o", "x"], "no meaning with list"),
    ],
)
def test_options_without_a_meaning_are_refused(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_the_variables_of_the_hub_work(pushed: HubDouble, tmp_path: Path) -> None:
    """Its library reads them when it is imported, so a process of its own."""
    variables = {
        "HF_ENDPOINT": pushed.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    for extra, code in (({}, 0), ({"HF_HUB_OFFLINE": "1", "HF_HOME": "empty"}, 2)):
        command = [sys.executable, "-m", "unblur", "models", "pull", "nobody/tiny"]
        done = subprocess.run(
            command, env=os.environ | variables | extra, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert done.stderr.count("\n") == (code != 0)
    assert list((tmp_path / "home" / "hub").glob("models--nobody--tiny/snapshots/*/model.safetensors"))
