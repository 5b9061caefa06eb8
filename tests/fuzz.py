"""Mutated photographs of every format, each read and written again within limits of time and memory.

    python tests/fuzz.py --count 3000 --seed 7

Every file has to be read, or refused in one sentence that names it; no process may crash, hang, or leave other files.
Files that break these rules are copied to a folder and named, and the exit code is 1. The same seed makes the same
files.
"""

import argparse
import io
import json
import random
import select
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

LIMIT_S, LIMIT_BYTES = 20.0, 4_000_000_000
"""Limits for one file: seconds, and address space of the process that reads it."""

WORKER = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
from pathlib import Path
from unblur.errors import UnblurError
from unblur.photos.reading import read_photo
from unblur.photos.writing import list_left_behind, write_photo
print("ready", flush=True)
for line in sys.stdin:
    path, target = map(Path, json.loads(line))
    try:
        photo = read_photo(path)
        list_left_behind(photo, target)
        write_photo(photo, target)
        again = read_photo(target)
        assert again.pixels.shape[:2] == photo.pixels.shape[:2], "another size"
        target.unlink()
        answer = "read"
    except UnblurError as error:
        said = str(error)
        names = str(path) in said or str(target) in said
        is_sentence = names and "\\n" not in said and "unable to call" not in said
        answer = "refused" if is_sentence else f"bad sentence: {{said!r}}"
    except BaseException as error:
        answer = f"{{type(error).__name__}}: {{error}}"
    print(json.dumps(answer), flush=True)
"""


def seeds(rng: random.Random) -> dict[str, bytes]:
    """One small photograph or more of every format, by name."""
    noise = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (48, 64, 3), np.uint8)
    smooth = np.add.outer(np.arange(48) * 2, np.arange(64))[:, :, None] + np.array([0, 40, 80])
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A] = "Unblur Camera Works", 6, 300.0
    exif.get_ifd(0x8769)[0x829A] = 0.25
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
    kinds: dict[str, tuple[str, dict[str, object]]] = {
        "baseline.jpg": ("JPEG", {"exif": exif.tobytes(), "xmp": xmp, "dpi": (300, 300), "comment": b"a comment"}),
        "progressive.jpg": ("JPEG", {"progressive": True, "quality": 95}),
        "restarts.jpg": ("JPEG", {"restart_marker_blocks": 3}),
        "rgb.png": ("PNG", {"exif": exif.tobytes(), "dpi": (300, 300)}),
        "plain.tif": ("TIFF", {"exif": exif}),
        "deflate.tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
        "lossy.webp": ("WEBP", {"exif": exif.tobytes(), "xmp": xmp}),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "photo.avif": ("AVIF", {"exif": exif.tobytes(), "xmp": xmp}),
    }
    files = {}
    for index, (name, (kind, options)) in enumerate(kinds.items()):
        file = io.BytesIO()
        Image.fromarray((noise if index % 2 else smooth).astype(np.uint8)).save(file, kind, **options)
        files[name] = file.getvalue()
    deep = io.BytesIO()
    Image.fromarray((smooth[:, :, 0] * 257).astype(np.uint16)).save(deep, "PNG")
    files["deep.png"] = deep.getvalue()
    try:
        import pillow_heif
    except ImportError:
        return files
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(noise)).save(heic, exif=exif.tobytes())
    files["photo.heic"] = heic.getvalue()
    return files


def _overwrite(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def _number(rng: random.Random, data: bytearray) -> None:
    """A number of 16, 32 or 64 bits that is as large, as small or as odd as can be."""
    layout = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(layout)
    value = rng.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1, rng.randrange(65536)))
    place = rng.randrange(max(1, min(len(data) - size, rng.choice((64, 512, len(data))))))
    data[place : place + size] = struct.pack(layout, value)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(1, len(data)) :]
    if rng.random() < 0.3:
        data += rng.choice((b"\xff\xd9", b"\0\0\0\0IEND\xaeB`\x82"))


def _remove(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.choice((1, 2, 4, 12, 100))]


def _insert(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    data[place:place] = rng.choice((b"\xff", bytes(4), b"\xff\xd9", b"\xff" * 64, rng.randbytes(30)))


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data))
    part = bytes(data[start : start + rng.choice((4, 12, 100, 1000))])
    data[start:start] = part * rng.choice((1, 3, 50))


def _swap(rng: random.Random, data: bytearray) -> None:
    """A part takes the place of another."""
    size = rng.choice((2, 4, 12, 64))
    one, other = (rng.randrange(max(1, len(data) - size)) for _ in range(2))
    data[one : one + size] = data[other : other + size]


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    *(_overwrite, _number, _number, _cut, _remove, _insert, _repeat, _swap),
)


def mutated(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of `count` files, the same for the same seed of `rng`."""
    files = seeds(rng)
    for index in range(count):
        name = rng.choice(sorted(files))
        data = bytearray(files[name])
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            if data:
                rng.choice(MUTATIONS)(rng, data)
        yield f"{index:05}_{name}", bytes(data)


class Worker:
    """A process that reads photographs, one at a time, and is ended when it takes too long."""

    def __init__(self) -> None:
        program = WORKER.format(limit=LIMIT_BYTES)
        root = str(Path(__file__).parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{program}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self._process.stderr and self._process.stderr.read()

    def answer(self, path: Path, target: Path) -> str:
        """Return the outcome of one photograph: "read", "refused", or a description of the fault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(path), str(target)]) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], LIMIT_S)[0]:
            return f"took more than {LIMIT_S:g} s"
        line = self._process.stdout.readline()
        return str(json.loads(line)) if line else f"the process died ({self._process.wait()})"

    def close(self) -> str:
        """Ends the process. What it wrote to the terminal, which should be nothing."""
        self._process.kill()
        return self._process.communicate()[1] or ""


@dataclass(frozen=True)
class Findings:
    """Outcomes of all files."""

    outcomes: Counter[str]
    broken: dict[str, str]
    """Faults by names of files."""


def fuzz(count: int, seed: int, folder: Path) -> Findings:
    """Reads `count` mutated files in `folder`, where those stay that broke something."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    broken: dict[str, str] = {}
    worker = Worker()
    for name, data in mutated(rng, count):
        path = folder / name
        path.write_bytes(data)
        target = folder / f"out_{rng.choice(('a.jpg', 'a.png', 'a.webp', 'a.tif', 'a.avif'))}"
        outcome = worker.answer(path, target)
        others = [other.name for other in folder.iterdir() if other != path and other.name not in broken]
        if outcome in ("read", "refused") and not others:
            outcomes[outcome] += 1
            path.unlink()
            continue
        outcomes["broken"] += 1
        broken[name] = outcome if outcome not in ("read", "refused") else f"left {', '.join(others)}"
        for other in others:
            (folder / other).unlink()
        worker.close()
        worker = Worker()
    if said := worker.close():
        broken["terminal"] = said[:500]
    return Findings(outcomes, broken)


def main() -> int:
    """The command. Exit code 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    findings = fuzz(arguments.count, arguments.seed, folder)
    report = [f"seed {arguments.seed}: " + ", ".join(f"{n} {what}" for what, n in sorted(findings.outcomes.items()))]
    report += [f"{folder / name}: {what}" for name, what in findings.broken.items()]
    sys.stdout.write("\n".join(report) + "\n")
    if findings.broken:
        return 1
    folder.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
