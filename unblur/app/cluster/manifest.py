"""The manifest of a folder of results: which photographs are restored, from what, with which settings.

It is the folder `unblur-manifest` among the results. Object stores cannot append to a file, so a run writes a new part
of JSON lines every few seconds, each in one step. A later line about the same result replaces an earlier one.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from unblur.app.cluster.jobs import MANIFEST_FOLDER, StoredJob
from unblur.app.cluster.storage import Storage, StoredFile

SECONDS_PER_PART, LINES_PER_PART = 10.0, 1000
"""The time and the number of photographs after which a part is written; a killed command loses the lines of one."""


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A file of a result."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One photograph of the manifest."""

    input: str
    """Address of the photograph."""
    input_size: int
    input_modified: str
    output: str
    """Key of the result in the folder of the results."""
    settings: str
    """Digest of all settings that the result depends on."""
    status: Literal["ok", "failed"]
    error: str | None
    files: tuple[WrittenFile, ...]
    outcome: dict[str, Any]
    """The facts that `--json` prints, without those that are missing."""


@dataclass(frozen=True)
class Manifest:
    """The contents of the manifest when a run begins."""

    records: dict[str, Record]
    """The last record of each result."""
    begun: frozenset[str]
    """Digests of the settings of all runs that have begun."""

    def is_done(self, stored: StoredJob, settings: str, there: dict[str, StoredFile]) -> bool:
        """Return whether the result was made of this very photograph with these settings, and is `there` whole."""
        record = self.records.get(stored.job.output.as_posix())
        source = stored.source
        if record is None or record.status != "ok":
            return False
        if (record.settings, record.input_size, record.input_modified) != (settings, source.size, source.modified):
            return False
        written = {file.key for file in record.files}
        if stored.job.compare is not None and stored.job.compare.as_posix() not in written:
            return False
        return all(file.key in there and there[file.key].size == file.size for file in record.files)

    def may_have_written(self, stored: StoredJob, settings: str) -> bool:
        """Return whether a run with these settings, which was killed, may have written the result that is there."""
        key = stored.job.output.as_posix()
        record = self.records.get(key)
        is_foreign = record is not None and record.status == "failed" and key not in {file.key for file in record.files}
        return settings in self.begun and not is_foreign


def read_manifest(output: Storage) -> Manifest:
    """Read all parts. Lines that cannot be read, which no run of this program writes, are left out."""
    records: dict[str, Record] = {}
    begun = set()
    folder = Storage(
        address=output.describe(MANIFEST_FOLDER),
        filesystem=output.filesystem,
        path=f"{output.path}/{MANIFEST_FOLDER}",
    )
    for part in folder.list_files(recursive=False):
        for line in folder.read(part.key).decode("utf-8", "replace").splitlines():
            try:
                values = json.loads(line)
                if "run" in values:
                    begun.add(str(values["settings"]))
                    continue
                files = tuple(WrittenFile(**file) for file in values.pop("files"))
                record = Record(files=files, **values)
            except (ValueError, TypeError, LookupError, AttributeError):
                continue
            records[record.output] = record
    return Manifest(records, frozenset(begun))


class ManifestWriter:
    """The parts that one run adds to the manifest."""

    def __init__(self, output: Storage, settings: str, facts: dict[str, Any]) -> None:
        """Write the first part, with the `facts` about the run. Raises UnblurError if the folder cannot be written."""
        self._output = output
        # Sorted by their names, the parts are in the order in which they were written.
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._parts = 0
        self._lines = [json.dumps({"run": self._name, "settings": settings, **facts})]
        self.flush()

    def add(self, record: Record) -> None:
        """Add a photograph, and write a part if it is time to."""
        self._lines.append(json.dumps(asdict(record)))
        if len(self._lines) >= LINES_PER_PART or time.monotonic() - self._written_s >= SECONDS_PER_PART:
            self.flush()

    def flush(self) -> None:
        """Write the records that were added since the last part. Raises UnblurError."""
        self._written_s = time.monotonic()
        if not self._lines:
            return
        key = f"{MANIFEST_FOLDER}/{self._name}-{self._parts:06}.jsonl"
        self._output.write(key, "".join(f"{line}\n" for line in self._lines).encode())
        self._parts += 1
        self._lines = []
