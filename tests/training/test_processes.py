"""Training in several processes: the result of a single process, written by one of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_loop import TINY
from torch import Tensor

from unblur.checkpoints.folder import load_checkpoint
from unblur.errors import UnblurError
from unblur.models import AutoencoderConfig, LatentDecoderConfig, LatentEncoderConfig
from unblur.training.loop import train
from unblur.training.objective_settings import AutoencoderTraining
from unblur.training.processes import SINGLE_PROCESS, find_process_group

RECIPE = replace(
    TINY,
    data=replace(TINY.data, workers=1),
    schedule=replace(TINY.schedule, batch=4, steps=4, peak_learning_rate=1e-3, warmup_steps=0),
    precision="float32",
    checkpoint_every=1,
)

# The second process is killed in its third step if the folder of the run holds no file `killed`.
SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import torch
torch.set_num_threads(1)
from test_processes import RECIPE
import unblur.training.loop as loop
mark = Path(sys.argv[2]).with_name("killed")
take_step = loop.take_step
taken = []
def step_and_die(*arguments, **options):
    taken.append(None)
    if os.environ["RANK"] == "1" and len(taken) == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(*arguments, **options)
loop.take_step = step_and_die
called = []
loop.train(RECIPE, Path(sys.argv[1]), Path(sys.argv[2]), on_step=lambda step, measured: called.append(step))
Path(sys.argv[2]).with_name(f"called-{os.environ['RANK']}").write_text(str(called))
"""


def train_in_two_processes(photos: Path, run: Path, *options: str, **environment: str) -> None:
    script = run.with_name("script.py")
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
    command = [*launch, *map(str, (script, photos, run, Path(__file__).parent))]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def undisturbed(write_two_photos: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes that nothing disturbs, beside the folder `photos` of its photographs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_two_photos(folder / "photos")
    (folder / "killed").touch()
    train_in_two_processes(folder / "photos", folder / "run")
    return folder / "run"


def measured(run: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> Tensor:
    state = torch.load(run / "training_state.pt", weights_only=True)
    return torch.cat([value.flatten() for value in state["model"].values()])


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_the_first_writes(undisturbed: Path, tmp_path: Path) -> None:
    """Compare in float32, where only the order of sums can differ."""
    photos = undisturbed.with_name("photos")
    train(RECIPE, photos, tmp_path / "one")
    train(
        replace(RECIPE, schedule=replace(RECIPE.schedule, steps=1, peak_learning_rate=0.0)), photos, tmp_path / "begun"
    )
    for name in ("loss", "gradient_norm"):
        # Tasks round what they tell of half a batch.
        assert measured(tmp_path / "one", name) == pytest.approx(measured(undisturbed, name), rel=1e-4, abs=2e-5)
    # AdamW moves a weight by the sign of its gradient, which rounding can turn where that is next to nothing.
    one, two, begun = map(weights, (tmp_path / "one", undisturbed, tmp_path / "begun"))
    assert float((one - two).norm()) < 1e-3 * float((one - begun).norm())
    assert {path.name for path in undisturbed.iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    assert undisturbed.with_name("called-0").read_text() == "[1, 2, 3, 4]"
    assert undisturbed.with_name("called-1").read_text() == "[]"
    load_checkpoint(undisturbed)


def test_a_process_alone_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_process_group("cpu") is SINGLE_PROCESS
    assert SINGLE_PROCESS.shard(range(4, 8)) == range(4, 8)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.distributed.is_available", lambda: False)
    with pytest.raises(UnblurError, match="cannot train in several processes"):
        find_process_group("cpu")


def test_shares_are_equal_and_all_there_is() -> None:
    shares = [replace(SINGLE_PROCESS, count=3, rank=rank).shard(range(12, 24)) for rank in range(3)]
    assert [list(share) for share in shares] == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]


def test_what_learns_from_whole_batches_is_not_divided(photos: Path, tmp_path: Path) -> None:
    model = AutoencoderConfig(
        encoder=LatentEncoderConfig(channels=(16, 16, 16, 32, 32), blocks=(1, 1, 1, 1, 1)),
        decoder=LatentDecoderConfig(channels=(32, 32, 16, 16, 16), blocks=(1, 1, 1, 1, 1)),
    )
    without = AutoencoderTraining(perceptual=0.0)
    with pytest.raises(UnblurError, match="whole batches"):
        train(replace(RECIPE, model=model, objective=without, accumulate=2), photos, tmp_path / "run")


@pytest.mark.slow
def test_a_group_restarts_after_a_killed_process_and_learns_the_same(undisturbed: Path, tmp_path: Path) -> None:
    # Without this setting, restarted processes find the addresses of their predecessors.
    own_store = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    train_in_two_processes(undisturbed.with_name("photos"), tmp_path / "run", "--max-restarts", "1", **own_store)
    assert (tmp_path / "killed").exists()
    assert torch.equal(weights(tmp_path / "run"), weights(undisturbed))
    assert measured(tmp_path / "run", "loss") == measured(undisturbed, "loss")
