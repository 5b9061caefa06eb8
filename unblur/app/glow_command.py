"""`unblur study glow`: what the parts of GLOWDeblur do."""

import sys
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import refused
from unblur.app.study_bench import Bars, finish, only_one
from unblur.errors import UnblurError


def glow(
    sets: tyro.conf.Positional[list[str]],
    *,
    photos: Path,
    held_out: Path,
    checkpoint: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    prior_from: Path | None = None,
    encoder: Path | None = None,
    bpp_steps: int = 4_000,
    steps: int = 2_000,
    kept: int = 2_048,
    sampling_steps: int = 20,
    seed: int = 1,
    size: int = 256,
    only: int | None = None,
    show: tuple[str, ...] = (),
    device: str = "auto",
) -> int:
    """Train GLOWDeblur with and without its parts, and compare what it restores.

    Pretrained on all that the simulator knows, then tuned on the data sets; the same without alignment; and without
    pretraining, as long on the data sets alone. Motion and semantics are withheld from the first. Given again, the
    command goes on where it was. Means are over all pictures and over the severe half. The table is also in glow.csv
    and glow.md in the output folder.

    Args:
        sets: Data sets to tune on, in equal shares: cameras of the simulator (gopro, realblur, rsblur) or folders, as
            in `unblur study cross-dataset`.
        photos: Folder of sharp photographs to train on.
        held_out: Folder of other sharp photographs, for the validation set that is measured on.
        checkpoint: Folder of `unblur train decoder` or `unblur train autoencoder`: the latent space.
        prior_from: Checkpoint folder of `unblur train prior`, instead of the bundled one.
        output: Folder that keeps the runs and tables.
        encoder: File taesana_encoder.pth, where the checkpoint is a decoder.
        bpp_steps: Number of updates of the pretraining.
        steps: Number of updates of the tuning.
        kept: Number of patches that each stage shows again and again.
        sampling_steps: How often the denoiser is asked for each picture.
        seed: Names the runs: first weights, patches and noise follow from it.
        size: Side of the validation set's pictures in pixels.
        show: Patterns of names: such pictures of the validation set are laid side by side in glow.png.
        only: Number of one line, from 0, instead of all: processes can share the work before the table is made.
        device: auto, cpu, cuda, ...
    """
    from unblur.checkpoints.latent_spaces import open_latent_space
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.metrics.niqe import BLOCK_PX
    from unblur.models.samplers import Sampling
    from unblur.photos.files import write_photo
    from unblur.photos.photo import Photo
    from unblur.restoration.device import choose_device
    from unblur.studies.claim import claim
    from unblur.studies.data_sets import source_of
    from unblur.studies.glow import (
        VARIANTS,
        Places,
        glow_protocol,
        rows_of,
        settings_of,
        side_by_side,
    )
    from unblur.studies.severe_half import lines_csv, lines_of, lines_table
    from unblur.training.allocator import keep_freed_memory

    if min(bpp_steps, steps, kept, sampling_steps) < 1:
        raise UnblurError("--bpp-steps, --steps, --kept and --sampling-steps must be at least 1.")
    if size < 2 * BLOCK_PX:
        raise UnblurError(f"NIQE measures nothing of {size} px; give a --size of at least {2 * BLOCK_PX}.")
    variants = only_one(VARIANTS, only, "line")
    sources = {text: source_of(text) for text in sets}
    found = tuple(source for source in sources.values() if source is not None)
    if len(found) < len(sets) or not found:
        lacking = ", ".join(text for text, source in sources.items() if source is None) or "The study"
        raise UnblurError(f"{lacking} has no pairs for training; give data sets to tune on, each once.")
    protocol = glow_protocol()
    where = choose_device(device)
    space = open_latent_space(checkpoint, encoder, None, where)
    keep_freed_memory()
    with closing(Bars()) as bars:
        places = Places(
            folder=output,
            photos=photos,
            encoder=encoder or checkpoint,
            prior=prior_from,
            device=str(where),
            report=bars,
        )
        study = settings_of(
            places,
            space,
            held_out,
            found,
            steps=bpp_steps,
            joint_steps=steps,
            kept=kept,
            seed=seed,
            sampling=Sampling(steps=sampling_steps),
            validation=replace(ValidationSet(), size_px=size),
        )
        try:
            claim(output, study)
        except OSError as error:
            raise refused(output, error) from error
        pairs = list(validation_pairs(PhotoFolder(held_out), study.validation))
        rows = {}
        for variant in variants:
            rows[variant.title] = rows_of(variant, study, places, space, pairs, protocol)
            sys.stderr.write(f"{variant.title}: measured\n")
        shown = [pair for pair in pairs if any(fnmatchcase(pair.name, pattern) for pattern in show)]
        if shown:
            write_photo(Photo(pixels=side_by_side(variants, study, places, space, shown)), output / "glow.png")
    title = (
        f"{len(pairs)} pictures; {bpp_steps} steps of pretraining and {steps} of tuning on {', '.join(sets)}, or "
        f"{bpp_steps + steps} without pretraining, {kept} patches each; seed {seed}, {sampling_steps} sampling steps."
    )
    lines = lines_of(rows)
    finish(output, "glow", title, lines_table(lines).markdown(), lines_csv({"validation": lines}))
    return 0
