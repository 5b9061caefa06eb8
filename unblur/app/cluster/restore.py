"""`unblur restore --ray`: photographs at addresses, restored by the actors of a Ray cluster.

An actor reads a photograph, restores it as `unblur restore` does, and writes its result in one step. This process
distributes the names, reports, and records finished photographs in the manifest. A photograph whose actor or whose
command was killed is restored again, to the same bytes: a result that is there already is then recognised, not written
again.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from unblur.app.cluster.jobs import StoredJob
from unblur.app.cluster.manifest import Manifest, ManifestWriter, Record, WrittenFile, read_manifest
from unblur.app.cluster.ray_cluster import MOST_TRIES, RayCluster, wants_accelerator
from unblur.app.cluster.storage import Storage
from unblur.app.report import Outcome, Report, describe_error
from unblur.app.restore_job import FinishedJob, JobRunner, JobSettings
from unblur.app.restorer_choice import RestorerChoice
from unblur.checkpoints.folder import is_hub_id
from unblur.checkpoints.hub_repository import fetch_checkpoint, parse_hub_name
from unblur.errors import UnblurError
from unblur.photos.reading import read_photo
from unblur.photos.writing import check_format


@dataclass(frozen=True, kw_only=True)
class ClusterWork:
    """The settings of all actors."""

    choice: RestorerChoice
    settings: JobSettings
    output: Storage
    unblur_version: str
    threads: int
    """Number of threads of each actor: networks round differently with another one."""

    @classmethod
    def choose(cls, choice: RestorerChoice, settings: JobSettings, output: Storage) -> "ClusterWork":
        """Return the settings with this version of the program, its threads, and paths that other computers know."""
        generative = replace(
            choice.generative,
            decoder=_locate(choice.generative.decoder),
            text_encoder=_make_absolute(choice.generative.text_encoder),
        )
        choice = replace(choice, checkpoint=_locate(choice.checkpoint), generative=generative)
        return cls(
            choice=choice,
            settings=settings,
            output=output,
            unblur_version=version("unblur"),
            threads=torch.get_num_threads(),
        )

    def describe(self) -> dict[str, Any]:
        """Return everything that the results depend on besides the photographs and their names."""
        settings = asdict(self.settings)
        for name in ("skip_existing", "overwrite", "make_thumbnails"):
            del settings[name]
        choice = asdict(self.choice)
        for name in ("device", "checkpoint"):
            del choice[name]
        return {
            **settings,
            **choice,
            "checkpoint": _identify_checkpoint(self.choice.checkpoint),
            "threads": self.threads,
            "unblur_version": self.unblur_version,
        }


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of an actor about one photograph."""

    outcome: Outcome
    files: tuple[WrittenFile, ...] = ()
    """The files that were written, or were there already with the same content."""


class RestoringWorker:
    """Worker in a process of the cluster, which loads the networks once."""

    def __init__(self, work: ClusterWork) -> None:
        """Take over the settings; the networks are loaded for the first photograph."""
        torch.set_num_threads(work.threads)
        self._work = work
        self._runner = JobRunner(work.settings, work.choice.load)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Restore one photograph. Errors of all photographs, such as those of a checkpoint, are the `problem`."""
        problem, answer = "", b""
        try:
            self._check_version()
            self._runner.load()
            answer = pickle.dumps(self._restore(pickle.loads(row["job"])))
        except Exception as error:
            problem = describe_error(error)
        return {"number": row["number"], "answer": answer, "problem": problem}

    def _check_version(self) -> None:
        if version("unblur") != self._work.unblur_version:
            raise UnblurError(
                f"A computer of the cluster has unblur {version('unblur')} and this one {self._work.unblur_version}; "
                "install the same version on all of them."
            )

    def _restore(self, stored: StoredJob) -> Answer:
        """Restore one photograph. One bad file never stops a batch, not even by a defect of this program."""
        written: list[WrittenFile] = []
        try:
            finished = self._finish(stored)
            for path, data in finished.files:
                written.append(self._write(path.as_posix(), data))
        except Exception as error:
            # A path has no double slash, and an address has.
            sentence = describe_error(error).replace(str(Path(stored.input_name)), stored.input_name)
            outcome = fail_stored(stored, self._work.output, sentence)
        else:
            outcome = _name_addresses(finished.outcome, stored, self._work.output)
        return Answer(outcome=outcome, files=tuple(written))

    def _finish(self, stored: StoredJob) -> FinishedJob:
        photo = read_photo(_NamedFile(stored.storage.read(stored.source.key), stored.input_name))
        check_format(photo, stored.job.output)
        restoration = self._runner.restore(photo, lambda _share: None)
        return self._runner.encode(stored.job, photo, restoration)

    def _write(self, key: str, data: bytes) -> WrittenFile:
        """Write one file, unless the very same is there already. Raises UnblurError if another one is."""
        output = self._work.output
        there = output.find(key)
        is_same = there is not None and there.size == len(data) and output.read(key) == data
        if there is not None and not is_same and not self._work.settings.overwrite:
            raise UnblurError(_say_existing(output.describe(key)))
        if not is_same:
            output.write(key, data)
        return WrittenFile(key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())


class _NamedFile(io.BytesIO):
    """Content of a file with a name, which messages quote and whose suffix identifies raw files."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def restore_on_cluster(
    cluster: RayCluster,
    jobs: Sequence[StoredJob],
    work: ClusterWork,
    *,
    workers: int | None,
    quiet: bool,
    json_lines: bool,
) -> int:
    """Restore the photographs that are missing, report them all, and return the exit code.

    Raises UnblurError for errors that are no photograph's: those of a checkpoint, or of the folder of the results.
    """
    digest, facts = _digest(work.describe())
    manifest = read_manifest(work.output)
    plan = _select_missing(jobs, work, manifest, digest)
    writer = ManifestWriter(work.output, digest, facts)
    with Report(len(jobs) - plan.done, quiet=quiet, json_lines=json_lines) as report:
        if plan.done:
            report.note(f"{plan.done} of {len(jobs)} photographs were restored by an earlier run with these settings.")
        for stored, outcome in plan.settled:
            report.add(outcome)
            if outcome.status == "failed":
                writer.add(_make_record(stored, Answer(outcome=outcome), digest))
        try:
            with closing(_answer(cluster, plan.missing, work, workers)) as answers:
                for stored, answer in answers:
                    report.add(answer.outcome)
                    writer.add(_make_record(stored, answer, digest))
        except KeyboardInterrupt:
            return report.interrupt("run the same command again to restore the other photographs.")
        finally:
            writer.flush()
        return report.finish()


@dataclass(frozen=True, kw_only=True)
class _Plan:
    missing: list[StoredJob]
    settled: list[tuple[StoredJob, Outcome]]
    """Photographs that are skipped, or fail, because they have a result."""
    done: int
    """Number of photographs that the manifest has."""


def _select_missing(jobs: Sequence[StoredJob], work: ClusterWork, manifest: Manifest, digest: str) -> _Plan:
    there = {file.key: file for file in work.output.list_files(recursive=True)}
    missing: list[StoredJob] = []
    settled: list[tuple[StoredJob, Outcome]] = []
    for stored in jobs:
        key = stored.job.output.as_posix()
        existing = [target for target in stored.targets if target in there]
        if manifest.is_done(stored, digest, there):
            continue
        if key in existing and work.settings.skip_existing:
            address = work.output.describe(key)
            settled.append((stored, Outcome(input=stored.input_name, output=address, status="skipped")))
        elif existing and not work.settings.overwrite and not manifest.may_have_written(stored, digest):
            sentence = _say_existing(work.output.describe(existing[0]))
            settled.append((stored, fail_stored(stored, work.output, sentence)))
        else:
            missing.append(stored)
    done = len(jobs) - len(missing) - len(settled)
    return _Plan(missing=missing, settled=settled, done=done)


def _answer(
    cluster: RayCluster, jobs: Sequence[StoredJob], work: ClusterWork, workers: int | None
) -> Generator[tuple[StoredJob, Answer], None, None]:
    """Yield each photograph and the answer about it. Raises UnblurError for a problem of all photographs."""
    rows = ({"number": number, "job": pickle.dumps(stored)} for number, stored in enumerate(jobs))
    waiting = dict(enumerate(jobs))
    on_accelerators = wants_accelerator(cluster, work.choice.device)
    with closing(
        cluster.map(
            RestoringWorker,
            (work,),
            rows,
            total=len(jobs),
            workers=workers,
            threads=work.threads,
            on_accelerators=on_accelerators,
        )
    ) as results:
        for row in results:
            if row["problem"]:
                raise UnblurError(row["problem"])
            yield waiting.pop(row["number"]), pickle.loads(row["answer"])
    sentence = (
        f"The process that restored it was ended {MOST_TRIES} times, perhaps for want of memory; "
        "restore it on a computer with more memory, or with fewer --jobs."
    )
    for stored in waiting.values():
        yield stored, Answer(outcome=fail_stored(stored, work.output, sentence))


def fail_stored(stored: StoredJob, output: Storage, error: str) -> Outcome:
    """Return the outcome of a photograph at an address that failed."""
    address = output.describe(stored.job.output.as_posix())
    return Outcome(input=stored.input_name, output=address, status="failed", error=error)


def _say_existing(address: str) -> str:
    return f"{address} is there already; add --overwrite to replace it or --skip-existing to keep it."


def _name_addresses(outcome: Outcome, stored: StoredJob, output: Storage) -> Outcome:
    describe = partial(_describe_optional, output)
    return replace(
        outcome,
        input=stored.input_name,
        output=output.describe(stored.job.output.as_posix()),
        compare=describe(stored.job.compare),
        uncertainty=None if outcome.uncertainty is None else describe(stored.job.uncertainty),
    )


def _describe_optional(output: Storage, path: Path | None) -> str | None:
    return None if path is None else output.describe(path.as_posix())


def _make_record(stored: StoredJob, answer: Answer, digest: str) -> Record:
    outcome = answer.outcome
    facts = asdict(outcome)
    for name in ("input", "output", "status", "error"):
        del facts[name]
    return Record(
        input=outcome.input,
        input_size=stored.source.size,
        input_modified=stored.source.modified,
        output=stored.job.output.as_posix(),
        settings=digest,
        status="failed" if outcome.status == "failed" else "ok",
        error=outcome.error,
        files=answer.files,
        outcome={name: value for name, value in facts.items() if value not in (None, ())},
    )


def _digest(facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest(), json.loads(text)


def _locate(checkpoint: str | None) -> str | None:
    """Return an absolute path, or the name of a repository with its present commit. Raises UnblurError."""
    if checkpoint is None or Path(checkpoint).exists() or not is_hub_id(checkpoint):
        return _make_absolute(checkpoint)
    return f"{parse_hub_name(checkpoint).repository}@{fetch_checkpoint(checkpoint).name}"


def _make_absolute(name: str | None) -> str | None:
    return str(Path(name).absolute()) if name is not None and Path(name).exists() else name


def _identify_checkpoint(checkpoint: str | None) -> str | None:
    """Return the SHA-256 of the weights of a checkpoint in a folder, otherwise its name."""
    weights = None if checkpoint is None else Path(checkpoint) / "model.safetensors"
    if weights is None or not weights.is_file():
        return checkpoint
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
