"""Load the service on this computer with many clients, and prove that no request is lost.

`python -m experiments.service_load PHOTO -o FOLDER` starts `unblur serve`, measures how many requests a second it
answers, and then sends requests at multiples of that rate, at random instants, from clients that do not wait for each
other. Every answer has to be the file that the command line writes, or an honest refusal: 429 or 503, with the time
to try again.
"""

import contextlib
import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from experiments.harness import ProgressBars, run, write_table
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.names import Mode, ShakeChoice
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

PHOTOS = 6
"""Number of different photographs that are sent."""

SUFFIXES = (".jpg", ".png")

TIMEOUT_S = 600.0
REFUSALS = (429, 503)

HEADER = ("load", "requests/s", "requests", "restored", "429", "503", "wrong", "lost", "p50, s", "p95, s", "p99, s")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request and its answer."""

    status: int | None
    """HTTP status; None for a request without an answer."""
    is_right: bool
    """True for the right file, and for a refusal with the time to try again."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Client:
    """Sender of requests to a service."""

    port: int
    key: str
    query: str

    def send(self, content: bytes, expected: bytes) -> Sent:
        """Send a photograph, and compare the answer with the expected file."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "image/any", "X-API-Key": self.key}
        try:
            connection.request("POST", f"/restore?{self.query}", content, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return Sent(status=None, is_right=False, seconds=time.perf_counter() - began)
        finally:
            connection.close()
        retry_after = answer.headers.get("Retry-After", "")
        is_right = body == expected if answer.status == 200 else answer.status in REFUSALS and retry_after.isdecimal()
        return Sent(status=answer.status, is_right=is_right, seconds=time.perf_counter() - began)


def service_load(
    photo: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    requests: int = 60,
    clients: int = 8,
    loads: tuple[float, ...] = (0.5, 1.0, 2.0),
    size: tuple[int, int] = (256, 192),
    mode: Mode = "faithful",
    shake: ShakeChoice = "off",
    queue: int = 8,
    per_client: int = 3,
    jobs: int = 2,
    checkpoint: str | None = None,
    seed: int = 0,
) -> int:
    """Load the service on this computer with many clients, and prove that no request is lost.

    The exit code is 1 if an answer was wrong or missing.

    Args:
        photo: A photograph, of which the photographs to send are cut.
        output: Where to write the table, as Markdown and CSV.
        requests: Number of requests at each load, and for measuring the capacity.
        clients: Number of clients, each with an API key of its own.
        loads: Rates of the requests, as multiples of the measured capacity.
        size: Width and height of the photographs in pixels.
        mode: Option of the requests.
        shake: Option of the requests.
        queue: Option of `unblur serve`.
        per_client: Option of `unblur serve`.
        jobs: Option of `unblur serve`.
        checkpoint: Option of `unblur serve`.
        seed: Other instants at which requests are sent.
    """
    if min(requests, clients, *size) < 1 or min(loads) <= 0:
        raise UnblurError("--requests, --clients, --size and --loads must be above 0.")
    output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    report = ProgressBars()
    restoring = ["--device", "cpu", *([] if checkpoint is None else ["--checkpoint", checkpoint])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = _make_pairs(photo, size, folder, [*restoring, "--mode", mode, "--shake", shake])
        keys = [f"key {number} of the load test" for number in range(clients)]
        (folder / "keys.txt").write_text("\n".join(keys), encoding="utf-8")
        limits = ["--queue", str(queue), "--per-client", str(per_client), "--jobs", str(jobs)]
        with _serve([*restoring, *limits, "--quiet", "--key-file", str(folder / "keys.txt")]) as port:
            senders = [Client(port=port, key=key, query=f"mode={mode}&shake={shake}") for key in keys]
            capacity, found = _measure_capacity(senders, pairs, requests, report)
            lines = [_describe("capacity", capacity, found)]
            wrong = sum(not sent.is_right for sent in found)
            for load in loads:
                found = _send_at_random(senders, pairs, requests, load * capacity, rng, f"{load:g} x", report)
                lines.append(_describe(f"{load:g} x", load * capacity, found))
                wrong += sum(not sent.is_right for sent in found)
    report.close()
    table = Table(header=HEADER, lines=tuple(lines))
    title = f"# {clients} clients, {size[0]} x {size[1]} px, mode={mode}, shake={shake}, --queue {queue}, --jobs {jobs}"
    write_table(output, "service_load", title, table.markdown(), table.csv())
    return int(wrong > 0)


def _make_pairs(photo: Path, size: tuple[int, int], folder: Path, options: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return contents of files and what the command line makes of them. Raises UnblurError for a small photograph."""
    width, height = size
    pixels = read_photo(photo).pixels
    if pixels.shape[0] < height or pixels.shape[1] < width:
        raise UnblurError(f"{photo} is smaller than {width} x {height} pixels; give another, or a smaller --size.")
    (folder / "blurry").mkdir()
    for number in range(PHOTOS):
        top, left = (
            (whole - part) * number // (PHOTOS - 1) for whole, part in zip(pixels.shape[:2], size[::-1], strict=True)
        )
        cut = Photo(pixels=np.ascontiguousarray(pixels[top : top + height, left : left + width]))
        write_photo(cut, folder / "blurry" / f"{number}{SUFFIXES[number % len(SUFFIXES)]}")
    command = [sys.executable, "-m", "unblur", str(folder / "blurry"), "-o", str(folder / "restored"), "--suffix", ""]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnblurError(f"The command line did not restore the photographs: {done.stderr.strip()}")
    files = sorted((folder / "blurry").iterdir())
    return [(file.read_bytes(), (folder / "restored" / file.name).read_bytes()) for file in files]


@contextlib.contextmanager
def _serve(options: Sequence[str]) -> Iterator[int]:
    """Run the service inside this context, and yield its port. Raises UnblurError if it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "unblur", "serve", "--port", str(port), *options]
    environment = {name: value for name, value in os.environ.items() if name != "UNBLUR_API_KEY"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise UnblurError(f"The service ended with code {process.wait()}.")
        try:
            yield port
        finally:
            process.terminate()


def _measure_capacity(
    clients: Sequence[Client], pairs: Sequence[tuple[bytes, bytes]], count: int, report: ProgressBars
) -> tuple[float, list[Sent]]:
    """Return the answers a second to two clients that send the next request after each answer, and the answers."""
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        senders = [clients[number % len(clients)] for number in range(count)]
        work = [threads.submit(sender.send, *pairs[n % len(pairs)]) for n, sender in enumerate(senders)]
        found = []
        for number, one in enumerate(work):
            found.append(one.result())
            report("capacity", number + 1, count)
    return count / (time.perf_counter() - began), found


def _send_at_random(
    clients: Sequence[Client],
    pairs: Sequence[tuple[bytes, bytes]],
    count: int,
    rate: float,
    rng: random.Random,
    name: str,
    report: ProgressBars,
) -> list[Sent]:
    """Send requests at `rate` a second on average, from any client at any time, and return their answers."""
    with ThreadPoolExecutor(count) as threads:
        work = []
        due = time.perf_counter()
        for number in range(count):
            due += rng.expovariate(rate)
            time.sleep(max(0.0, due - time.perf_counter()))
            work.append(threads.submit(rng.choice(clients).send, *rng.choice(pairs)))
            report(name, number + 1, count)
        return [one.result() for one in work]


def _describe(name: str, rate: float, found: Sequence[Sent]) -> tuple[str, ...]:
    """Return a line of the table; the times are those of restored photographs."""
    restored = [sent.seconds for sent in found if sent.status == 200]
    counts = [len(restored), *(sum(sent.status == status for sent in found) for status in REFUSALS)]
    counts.append(sum(not sent.is_right and sent.status is not None for sent in found))
    counts.append(sum(sent.status is None for sent in found))
    times = np.percentile(restored, (50, 95, 99)) if restored else (float("nan"),) * 3
    return name, f"{rate:.2f}", str(len(found)), *map(str, counts), *(f"{seconds:.2f}" for seconds in times)


if __name__ == "__main__":
    sys.exit(run(service_load))
