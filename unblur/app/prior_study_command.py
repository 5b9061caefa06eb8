"""`unblur study prior`: whether the semantic prior helps the networks that it is plugged into."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import tyro

from unblur.app.output_file import refused, write_output
from unblur.errors import UnblurError
from unblur.names import StudyHost


def prior(
    *,
    photos: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    prior_from: Path | None = None,
    hosts: tuple[StudyHost, ...] = ("unet", "mimo-unet", "nafnet"),
    steps: int = 3000,
    seeds: int = 3,
    ablation_seeds: int = 1,
    size: int = 256,
    device: str = "auto",
) -> int:
    """Train small networks with and without the semantic prior, and without its parts, and compare what they gain.

    Given again, the command goes on where it was; a run that is finished is not repeated. The tables are results.csv
    and results.md in the output folder, beside a folder for each run.

    Args:
        prior_from: Checkpoint folder of `unblur train prior`, instead of the bundled one.
        photos: Folder of sharp photographs to train on.
        held_out: Folder of other sharp photographs, for the validation set that is measured on.
        output: Folder that keeps the runs and tables.
        hosts: Networks. The first is trained with every seed, and without each part of the prior as well.
        steps: Updates of every run.
        seeds: How often the first network is trained, each time with other weights and pairs.
        ablation_seeds: How often the first network is trained without each part of the prior; at most --seeds.
        size: Side of the validation set's pictures in pixels.
        device: auto, cpu, cuda, ...
    """
    from tqdm import tqdm

    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.metrics.perceptual import SMALLEST_PX
    from unblur.restoration.device import choose_device
    from unblur.studies.prior import NO_PRIOR, open_study, plan, rows_of, write_undistilled
    from unblur.studies.prior_scores import result_csv, result_of, result_table, study_protocol
    from unblur.training.allocator import keep_freed_memory

    if steps < 1 or seeds < 1 or not hosts or len(set(hosts)) < len(hosts):
        raise UnblurError("Give at least one step, one seed and one host, and each host once.")
    if not 0 <= ablation_seeds <= seeds:
        raise UnblurError(f"{ablation_seeds} seeds without parts of the prior cannot be; give from 0 to {seeds}.")
    if size < SMALLEST_PX:
        raise UnblurError(f"ST-LPIPS measures nothing of {size} px; give a --size of at least {SMALLEST_PX}.")
    protocol = study_protocol()
    validation = replace(ValidationSet(), size_px=size)
    try:
        studied = open_study(output, photos, held_out, prior_from, steps=steps, validation=validation)
    except OSError as error:
        raise refused(output, error) from error
    write_undistilled(output, studied)
    keep_freed_memory()
    pairs = list(validation_pairs(PhotoFolder(held_out), validation))
    runs = plan(output, studied, hosts, steps=steps, seeds=seeds, ablation_seeds=ablation_seeds)
    results = []
    for number, run in enumerate(runs, start=1):
        name = f"{number}/{len(runs)} {run.host}, {run.variant.title}, seed {run.recipe.seed}"
        with tqdm(total=steps, unit="step", desc=name, disable=not sys.stderr.isatty()) as bar:

            def on_step(step: int, _measured: dict[str, float], bar: "tqdm[NoReturn]" = bar) -> None:
                bar.update(step - bar.n)

            rows = rows_of(run, photos, pairs, protocol, device=str(choose_device(device)), on_step=on_step)
        result = result_of(rows, host=run.host, variant=run.variant.title, seed=run.recipe.seed)
        results.append(result)
        sys.stderr.write(f"{name}: {result.restored.psnr_db:.2f} dB, severe {result.restored_severe.psnr_db:.2f} dB\n")
    told = f"{results[0].pictures} pictures, of which {results[0].severe_pictures} severe; {steps} steps a run."
    text = f"{told}\n\n{result_table(results, NO_PRIOR).markdown()}"
    write_output(output / "results.csv", result_csv(results).encode())
    write_output(output / "results.md", text.encode())
    sys.stdout.write(text)
    return 0
