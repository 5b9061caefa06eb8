"""Kill commands at random instants, give them again, and compare the results with those of undisturbed runs.

    python tests/kill.py --kills 200 --seed 7

The commands restore, simulate, train and evaluate small pictures. Every file of a killed run must equal that of the
undisturbed run byte for byte, except for measured times, and no other file may be left. Otherwise the exit code is 1.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
KILLS_A_RUN = 4
"""Number of times that a run is killed before it may end."""


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder `{out}` and continues an interrupted run."""

    name: str
    arguments: tuple[str, ...]

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Start the command."""
        line = [argument.format(out=out) for argument in self.arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "unblur", *line],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def run(self, out: Path) -> None:
        """Run the command to its end. Raises RuntimeError if it fails."""
        process = self.start(out)
        errors = process.communicate()[1].decode()
        if process.returncode:
            raise RuntimeError(f"{self.name} ended with {process.returncode}: {errors}")


def make_commands(folder: Path) -> list[Command]:
    """Return the commands that are killed, and write their small inputs into `folder`."""
    rng = np.random.default_rng(0)
    for side in ("photos", "pairs/blurry", "pairs/sharp"):
        (folder / side).mkdir(parents=True)
        for index in range(6):
            pixels = rng.integers(0, 256, (20, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(folder / side / f"{index}.png")
    photos, pairs = str(folder / "photos"), str(folder / "pairs")
    return [
        Command("restore", ("restore", photos, "-o", "{out}", "--mode", "fast", "--skip-existing", "--quiet")),
        Command(
            "simulate",
            tuple(f"simulate {photos} -o {{out}} --pairs 24 --size 64 --pairs-per-shard 3 --workers 1 --quiet".split()),
        ),
        Command(
            "train",
            tuple(f"train smoke -o {{out}} --photos {photos} --steps 240 --device cpu --precision float32".split()),
        ),
        Command("evaluate", ("evaluate", pairs, "--csv", "{out}", "--method", "fast", "--device", "cpu")),
    ]


def read_contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in the folder, without measured times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".jsonl":
                data = "\n".join(_remove_times(json.loads(line)) for line in data.decode().splitlines()).encode()
            elif path.suffix == ".csv":
                data = _remove_time_columns(data.decode()).encode()
            found[str(path.relative_to(folder))] = data
    return found


def _remove_times(line: dict[str, object]) -> str:
    times = ("second", "time", "waited")
    return json.dumps({key: value for key, value in line.items() if not any(word in key for word in times)})


def _remove_time_columns(table: str) -> str:
    rows = [line.split(",") for line in table.splitlines()]
    columns = [index for index, name in enumerate(rows[0]) if "second" not in name and "time" not in name]
    return "\n".join(",".join(row[index] for index in columns if index < len(row)) for row in rows)


def kill_run(command: Command, out: Path, rng: random.Random, usual_s: float, most: int) -> int:
    """Kill the command up to `most` times at random instants, let it end, and return the number of kills."""
    kills = 0
    while kills < most:
        process = command.start(out)
        try:
            process.wait(timeout=rng.uniform(0.0, usual_s))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        if process.returncode == 0:
            return kills
    command.run(out)
    return kills


def main() -> int:
    """Run the command line; return 1 if a killed run left other files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", default="", help="restore, simulate, train or evaluate")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    sys.stdout.write(f"seed {arguments.seed}\n")
    failed = False
    with tempfile.TemporaryDirectory(prefix="kill-") as name:
        folder = Path(name)
        chosen = [command for command in make_commands(folder) if arguments.only in ("", command.name)]
        for command in chosen:
            began = time.monotonic()
            command.run(folder / "whole")
            usual_s = time.monotonic() - began
            whole = read_contents(folder / "whole")
            kills, runs, wrong = 0, 0, []
            while kills < arguments.kills // len(chosen):
                most = min(KILLS_A_RUN, arguments.kills // len(chosen) - kills)
                kills += kill_run(command, folder / "killed", rng, usual_s, most)
                runs += 1
                left = read_contents(folder / "killed")
                wrong += [key for key in whole.keys() | left.keys() if whole.get(key) != left.get(key)]
                shutil.rmtree(folder / "killed")
            shutil.rmtree(folder / "whole")
            failed = failed or bool(wrong)
            outcome = f"differ: {', '.join(sorted(set(wrong)))}" if wrong else f"{len(whole)} files equal"
            sys.stdout.write(f"{command.name}: {kills} kills in {runs} runs, {outcome}\n")
            sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
