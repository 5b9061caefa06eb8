"""Weight files by path or by hub id, the hub being its own cache on disk: there is no network in tests."""

from pathlib import Path

import pytest

from unblur.checkpoints.hub import find_weights
from unblur.errors import UnblurError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache of the hub's client after one download of nobody/lpips/v0.1/alex.pth."""
    repository = tmp_path / "cache" / "models--nobody--lpips"
    commit = "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit / "v0.1").mkdir(parents=True)
    (repository / "snapshots" / commit / "v0.1" / "alex.pth").write_bytes(b"heads")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_local_path_is_returned(tmp_path: Path) -> None:
    (tmp_path / "alex.pth").write_bytes(b"")
    assert find_weights(tmp_path / "alex.pth") == tmp_path / "alex.pth"
    assert find_weights(str(tmp_path / "alex.pth")) == tmp_path / "alex.pth"


@pytest.mark.usefixtures("cache")
def test_a_hub_id_is_resolved_to_its_file() -> None:
    assert find_weights("nobody/lpips/v0.1/alex.pth").read_bytes() == b"heads"


def test_a_local_file_takes_precedence_over_the_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache)
    here = Path("nobody/lpips/v0.1/alex.pth")
    here.parent.mkdir(parents=True)
    here.write_bytes(b"mine")
    assert find_weights(str(here)).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nobody/lpips/v0.1/vgg.pth", "neither a file here nor"),
        ("nobody/lpips", "No weights at nobody/lpips"),
        ("alex.pth", "No weights at alex.pth"),
        ("/nowhere/at/all.pth", "No weights at /nowhere/at/all.pth"),
        ("../up/one/alex.pth", "No weights at"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_a_missing_file_is_reported(source: str, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        find_weights(source)
