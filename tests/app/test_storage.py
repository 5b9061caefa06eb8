"""Folders at addresses: listed, read, and written whole or not at all, whatever library knows the file system."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from unblur.app.cluster.storage import FILE, FOLDER, Storage, open_storage
from unblur.errors import UnblurError

pytest.importorskip("pyarrow.fs")


@pytest.fixture(params=["{}", "file://{}", "fsspec+file://{}"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty folder: of this machine, by its address, and by another library."""
    (tmp_path / "a b").mkdir()
    return open_storage(request.param.format(tmp_path / "a b") + "/")


def test_files_are_written_listed_and_read(storage: Storage, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(storage))
    for key in ("b.jpg", "inside/ä 100%.jpg", "inside/a?.jpg"):
        sent.write(key, key.encode())
        sent.write(key, key.encode() * 2)
    (tmp_path / "a b" / ".hidden").mkdir()
    (tmp_path / "a b" / ".hidden" / "c.jpg").touch()
    assert [file.key for file in storage.list_files(recursive=False)] == ["b.jpg"]
    listed = storage.list_files(recursive=True)
    assert [file.key for file in listed] == ["b.jpg", "inside/a?.jpg", "inside/ä 100%.jpg"]
    for file in listed:
        assert storage.find(file.key) == file
        assert storage.read(file.key) == file.key.encode() * 2
        assert file.size == len(file.key.encode()) * 2
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4
    assert storage.find_kind() == FOLDER
    assert open_storage(str(tmp_path / "a b" / "b.jpg")).find_kind() == FILE


def test_what_is_missing_is_none_or_an_error_in_a_sentence(storage: Storage) -> None:
    elsewhere = Storage(address="place", filesystem=storage.filesystem, path=f"{storage.path}/nowhere")
    assert elsewhere.find_kind() is None
    assert elsewhere.list_files(recursive=True) == []
    assert elsewhere.find("a.jpg") is None
    with pytest.raises(UnblurError, match=r"^place/a.jpg cannot be read \(No such file or directory\); check"):
        elsewhere.read("a.jpg")


def test_a_write_that_fails_leaves_the_former_file(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write("a.jpg", b"former")

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("replace", "rename"):
        monkeypatch.setattr(f"pathlib.Path.{name}", refuse)
        monkeypatch.setattr(f"os.{name}", refuse)
    monkeypatch.setattr("shutil.move", refuse)
    with pytest.raises(UnblurError, match=r"a.jpg cannot be written \(No space left on device\)"):
        storage.write("a.jpg", b"later")
    monkeypatch.undo()
    assert storage.read("a.jpg") == b"former"
    assert len(list(Path(storage.path).iterdir())) == 1


def test_a_file_larger_than_memory_is_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write("a.jpg", b"four")
    monkeypatch.setattr("unblur.app.cluster.storage.free_memory", lambda: 3)
    with pytest.raises(UnblurError, match="more than the memory that is free"):
        storage.read("a.jpg")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nothing://a/b", "Protocol not known"),
        ("s3://", "names no folder"),
        ("s3:///", "names no folder"),
        ("memory://a", "one process only"),
        ("s3://bucket/a?nonsense=1", "cannot be opened"),
    ],
)
def test_addresses_without_a_meaning_are_refused(address: str, sentence: str) -> None:
    with pytest.raises(UnblurError, match=sentence):
        open_storage(address)
