"""The photographs at addresses that `unblur restore --ray` restores, and the names of their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unblur.app.cluster.storage import FILE, Storage, StoredFile, open_storage
from unblur.app.jobs import Job, UsageError, is_original, make_job, name_result, refuse_shared_targets
from unblur.app.pipes import DASH

MANIFEST_FOLDER = "unblur-manifest"
"""Folder of the manifest in the folder of the results."""


@dataclass(frozen=True, kw_only=True)
class StoredJob:
    """One photograph at an address. Paths of `job` are keys, of the photograph and in the folder of the results."""

    storage: Storage
    """The folder of the photograph."""
    source: StoredFile
    job: Job

    @property
    def input_name(self) -> str:
        """The address of the photograph."""
        return self.storage.describe(self.source.key)

    @property
    def targets(self) -> list[str]:
        """The keys of all files that are to be written, the result first."""
        return [path.as_posix() for path in self.job.targets]


def refuse_addresses(photos: Sequence[str], output: str | None) -> None:
    """Raise UsageError for an address of a file system, which is read and written with --ray only."""
    for name in (*photos, output or ""):
        if "://" in name and not Path(name).exists():
            raise UsageError(f"{name} is an address, which needs --ray; add that, or give a folder of this computer.")


def check_cluster_options(
    photos: Sequence[str], output: str | None, ray: str, *, watch: bool, report: Path | None
) -> None:
    """Raise UsageError for options that have no meaning with --ray."""
    if "://" in ray and not ray.startswith("ray://"):
        raise UsageError(f"--ray {ray} is not an address of a Ray cluster; name the photographs before --ray.")
    if DASH in (*photos, output):
        raise UsageError("- is stdin or stdout of one process, and --ray distributes files; leave out one of them.")
    if output is None:
        raise UsageError("--ray writes all results into one folder; add -o with its address.")
    if watch:
        raise UsageError("--watch has no meaning with --ray; run the command again when photographs have arrived.")
    if report is not None:
        raise UsageError("--report has no meaning with --ray, whose results have a manifest; use --json for all facts.")


def plan_stored_jobs(
    addresses: Sequence[str],
    output: Storage,
    *,
    recursive: bool,
    suffix: str,
    extension: str,
    compare: bool,
    uncertainty: bool,
) -> list[StoredJob]:
    """Plan jobs for photographs and folders at addresses, named as `plan_jobs` does. Raises UnblurError."""
    if "/" in suffix:
        raise UsageError(f'The suffix "{suffix}" contains a path separator; use -o to write to another folder.')
    planned: dict[str, StoredJob] = {}
    for address in addresses:
        storage, sources = _list_sources(address, output, recursive=recursive, suffix=suffix)
        for source in sources:
            photo = Path(source.key)
            target = photo.parent / name_result(photo, suffix, extension)
            if _is_same(storage, source.key, output, target.as_posix()):
                raise UsageError(
                    f"{storage.describe(source.key)} would be overwritten by its result; "
                    "use another --suffix or another -o."
                )
            job = make_job(photo, target, compare=compare, uncertainty=uncertainty)
            one = StoredJob(storage=storage, source=source, job=job)
            planned.setdefault(one.input_name, one)
    refuse_shared_targets([one.job for one in planned.values()])
    return list(planned.values())


def _list_sources(address: str, output: Storage, *, recursive: bool, suffix: str) -> tuple[Storage, list[StoredFile]]:
    storage = open_storage(address)
    kind = storage.find_kind()
    if kind is None:
        raise UsageError(f"There is no photograph and no folder at {address}; correct the address.")
    if kind == FILE:
        folder, _, name = storage.path.rpartition("/")
        parent = Storage(address=storage.address.removesuffix(f"/{name}"), filesystem=storage.filesystem, path=folder)
        found = parent.find(name)
        return parent, [] if found is None else [found]
    results = _relative_key(storage, output)
    sources = [
        file
        for file in storage.list_files(recursive=recursive)
        if is_original(Path(file.key), suffix)
        and MANIFEST_FOLDER not in PurePosixPath(file.key).parts
        and not (results and file.key.startswith(f"{results}/"))
    ]
    if not sources:
        where = "" if recursive else "; add --recursive to look into the folders inside it"
        raise UsageError(f"The folder {address} holds no photographs{where}.")
    return storage, sources


def _relative_key(storage: Storage, other: Storage) -> str | None:
    """Return the key of the folder `other` in `storage`; None if it is elsewhere, or the same folder."""
    if not storage.filesystem.equals(other.filesystem) or not other.path.startswith(f"{storage.path}/"):
        return None
    return other.path.removeprefix(f"{storage.path}/")


def _is_same(storage: Storage, key: str, other: Storage, other_key: str) -> bool:
    same_place = storage.filesystem.equals(other.filesystem)
    return same_place and f"{storage.path}/{key}" == f"{other.path}/{other_key}"
