"""Checkpoints on the Hugging Face hub: found, pulled with their hashes checked, and pushed.

The library huggingface_hub does the transfers, so its variables work: HF_HOME for the cache, HF_ENDPOINT for a mirror,
HF_HUB_OFFLINE, HF_TOKEN.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.checkpoints.checksums import CARD, CONFIG, FILES, LARGEST_BYTES, WEIGHTS, check_hash, verify_folder
from unblur.checkpoints.hub import describe_hub_error
from unblur.checkpoints.model_card import LIBRARY
from unblur.errors import UnblurError
from unblur.regular_files import read_regular

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_WORD = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_-])?"
_NAME = re.compile(rf"({_WORD})/({_WORD})(?:@([A-Za-z0-9_][A-Za-z0-9_./-]*))?")
_COMMIT, _TAG = re.compile(r"[0-9a-f]{40}"), re.compile(r"[A-Za-z0-9_-]{1,128}")

_SERVER_ERROR = 500
"""The smallest status of an answer that blames the server, as a missing connection does."""


@dataclass(frozen=True, kw_only=True)
class HubName:
    """The name of a repository of the hub: owner/name or owner/name@revision."""

    owner: str
    name: str
    revision: str | None = None
    """A branch, a tag or a commit; None for the main branch."""

    @property
    def repository(self) -> str:
        """The name without the revision."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


@dataclass(frozen=True, kw_only=True)
class CachedCheckpoint:
    """A checkpoint that was pulled."""

    name: HubName
    """The repository with its commit."""
    folder: Path


def parse_hub_name(text: str) -> HubName:
    """Parse owner/name[@revision]. Raises UnblurError for another text."""
    found = _NAME.fullmatch(text)
    if found is None or ".." in text or "--" in text.partition("@")[0]:
        raise UnblurError(f"{text} is not a name of a repository on the hub; write owner/name or owner/name@revision.")
    owner, name, revision = found.groups()
    return HubName(owner=owner, name=name, revision=revision)


def fetch_checkpoint(text: str) -> Path:
    """Return the folder of a checkpoint of the hub, which is pulled into the hub's cache unless it is there.

    Only the files of a checkpoint are pulled, and each must have the hash and the size that the hub states. Without a
    connection, a checkpoint that was pulled before is used. Raises UnblurError.
    """
    name = parse_hub_name(text)
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return _find_pulled(name, "HF_HUB_OFFLINE is set")
    api = HfApi()
    from huggingface_hub.errors import HfHubHTTPError

    with _hub_errors(name):
        try:
            info = api.model_info(name.repository, revision=name.revision, files_metadata=True)
        except Exception as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code < _SERVER_ERROR:
                raise
            return _find_pulled(name, describe_hub_error(error))
        files = _select_files(name, info)
        for file in files:
            _check_answer(api, name, info.sha, file)
        # The card comes first: it is small, and states what the weights must be.
        paths = [_download(name, info.sha, file) for file in sorted(files, key=lambda file: file.size)]
    folder = paths[0].parent
    verify_folder(folder)
    return folder


@dataclass(frozen=True, kw_only=True)
class _HubFile:
    name: str
    size: int
    hash: str
    """SHA-256 of a large file, and the name that git gives to a small one."""


def _select_files(name: HubName, info: Any) -> list[_HubFile]:
    """Return the files of a checkpoint. Raises UnblurError for a repository that is none, or is hostile."""
    siblings = {str(one.rfilename): one for one in info.siblings or ()}
    hostile = next((path for path in siblings if _leads_elsewhere(path)), None)
    if hostile is not None:
        raise UnblurError(f"{name} holds a file named {hostile!r}, which leads to another folder; do not use it.")
    if info.sha is None or not _COMMIT.fullmatch(info.sha):
        raise UnblurError(f"The hub names no valid commit of {name}; check HF_ENDPOINT.")
    files = []
    for file in FILES:
        if file not in siblings:
            if file == CARD:
                continue
            raise UnblurError(
                f"{name} holds no {file}, so it is not a checkpoint of unblur; other formats, such as pickles, are "
                "never loaded."
            )
        one = siblings[file]
        stated = one.lfs.sha256 if one.lfs is not None else one.blob_id
        if not isinstance(one.size, int) or not isinstance(stated, str):
            raise UnblurError(f"The hub states neither size nor hash of {file} of {name}; use another mirror.")
        if one.size > LARGEST_BYTES[file]:
            raise UnblurError(
                f"{file} of {name} has {one.size / 1e9:.2f} GB, more than a checkpoint of unblur; do not use it."
            )
        files.append(_HubFile(name=file, size=one.size, hash=stated))
    return files


def _leads_elsewhere(path: str) -> bool:
    parts = re.split(r"[/\\]", path)
    return not path or parts[0] == "" or ":" in parts[0] or ".." in parts or not path.isprintable()


def _check_answer(api: "HfApi", name: HubName, commit: str, file: _HubFile) -> None:
    """Raise UnblurError if the address of a file does not lead to the file that the hub described.

    The library uses the answer's commit and tag as the names of a folder and a file.
    """
    from huggingface_hub import hf_hub_url

    answer = api.get_hf_file_metadata(url=hf_hub_url(name.repository, file.name, revision=name.revision))
    is_valid = answer.commit_hash == commit and answer.etag is not None and _TAG.fullmatch(answer.etag)
    if not is_valid or answer.size not in (None, file.size):
        raise UnblurError(f"The hub describes {file.name} of {name} in two ways; try again, or use another mirror.")


def _download(name: HubName, commit: str, file: _HubFile) -> Path:
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(name.repository, file.name, revision=name.revision))
    if path.parent.name != commit:
        raise UnblurError(f"{name} changed while it was pulled; pull it again.")
    try:
        check_hash(read_regular(path), file.hash, f"{file.name} of {name}")
    except UnblurError:
        # The library would take it for complete for ever.
        for damaged in (path.resolve(), path):
            with suppress(OSError):
                damaged.unlink()
        raise
    return path


def _find_pulled(name: HubName, reason: str) -> Path:
    """Return the folder of a checkpoint that was pulled before, verified. Raises UnblurError if there is none."""
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(name.repository, file, revision=name.revision) for file in (CONFIG, WEIGHTS)]
    if not all(isinstance(path, str) for path in paths):
        raise UnblurError(
            f"{name} was not pulled before and cannot be pulled now ({reason.rstrip('.')}); connect to the hub, or "
            "give a folder."
        )
    folder = Path(str(paths[0])).parent
    verify_folder(folder)
    return folder


def list_pulled() -> list[CachedCheckpoint]:
    """Return the checkpoints in the hub's cache, sorted by name."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        return []
    found = []
    for repository in cache.repos:
        owner, slash, name = repository.repo_id.partition("/")
        if repository.repo_type != "model" or not slash:
            continue
        for revision in repository.revisions:
            if {CONFIG, WEIGHTS} <= {file.file_name for file in revision.files}:
                hub_name = HubName(owner=owner, name=name, revision=revision.commit_hash)
                found.append(CachedCheckpoint(name=hub_name, folder=revision.snapshot_path))
    return sorted(found, key=lambda one: str(one.name))


def list_owned(owner: str) -> list[str]:
    """Return the names of the repositories of `owner` that are checkpoints of unblur. Raises UnblurError."""
    if not re.fullmatch(_WORD, owner):
        raise UnblurError(f"{owner} is not a name of an owner on the hub; write it without a slash.")
    from huggingface_hub import HfApi

    with _hub_errors(owner):
        return sorted(model.id for model in HfApi().list_models(author=owner, filter=LIBRARY))


def push_checkpoint(name: HubName, contents: dict[str, bytes], *, private: bool) -> str:
    """Push the files of a checkpoint in one commit, compare what the hub has with them, and return the commit.

    The repository is created if it is missing, for its owner alone if `private`. Raises UnblurError.
    """
    if name.revision is not None:
        raise UnblurError(f"{name} has a revision, and a push makes a new one; leave out @{name.revision}.")
    from huggingface_hub import CommitOperationAdd, HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise UnblurError("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it.")
    api = HfApi()
    with _hub_errors(name):
        api.create_repo(name.repository, private=private or None, exist_ok=True)
        additions = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=data) for file, data in contents.items()]
        commit = api.create_commit(name.repository, additions, commit_message="Upload a checkpoint of unblur")
        info = api.model_info(name.repository, revision=commit.oid, files_metadata=True)
        for file in _select_files(name, info):
            if file.name in contents:
                check_hash(contents[file.name], file.hash, f"{file.name} of {name} on the hub")
    return str(commit.oid)


@contextmanager
def _hub_errors(name: object) -> Iterator[None]:
    """Raise UnblurError, in one sentence, for the errors of the hub and of its library."""
    from huggingface_hub import errors
    from huggingface_hub.utils import logging

    verbosity = logging.get_verbosity()
    # The library reports each of its tries, and then the error.
    logging.set_verbosity_error()
    try:
        yield
    except errors.GatedRepoError as error:
        raise UnblurError(
            f"{name} needs the consent of its owner; ask for it on its page, and set HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UnblurError(f"{name} has no such revision; check the name behind @.") from error
    except errors.RepositoryNotFoundError as error:
        raise UnblurError(
            f"There is no repository {name} on the hub, or it is private; check the name, and HF_TOKEN."
        ) from error
    except (errors.HTTPError, OSError, ValueError) as error:
        raise _describe_failure(name, error) from error
    finally:
        logging.set_verbosity(verbosity)


def _describe_failure(name: object, error: Exception) -> UnblurError:
    response = getattr(error, "response", None)
    if getattr(response, "status_code", None) in (401, 403):
        return UnblurError(f"The hub refuses access to {name}; set HF_TOKEN to a token with the right to it.")
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return UnblurError(
            f"{error.filename} cannot be written ({error.strerror}), where {name} is to be stored; set HF_HOME to a "
            "folder that can be written."
        )
    return UnblurError(
        f"{name} cannot be reached on the hub ({describe_hub_error(error).rstrip('.')}); check the connection."
    )
