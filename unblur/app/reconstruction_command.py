"""`unblur study reconstruction`: how much of a photograph a latent space keeps."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError


def reconstruction(
    photos: tyro.conf.Positional[Path],
    *,
    checkpoint: str | None = None,
    encoder: Path | None = None,
    decoder: Path | None = None,
    size: int = 384,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    device: str = "auto",
) -> int:
    """Encode and decode sharp photographs: the ceiling of whatever is generated in a latent space.

    The table gives means of PSNR, SSIM, ST-LPIPS and NIQE; needs `pip install 'unblur[perceptual]'`.

    Args:
        photos: Folder of sharp photographs.
        checkpoint: Made by `unblur train autoencoder` or `decoder`: a folder or a hub id.
        encoder: File of a frozen encoder: taesana_encoder.pth for a decoder that learnt to undo it, or
            taef2_encoder.pth.
        decoder: File taef2_decoder.pth, to measure TAEF2 instead of a checkpoint.
        size: Side in pixels of the square in the middle of each photograph that is measured.
        csv: File for one row a photograph.
        device: auto, cpu, cuda, ...
    """
    from tqdm import tqdm

    from unblur.checkpoints.latent_spaces import open_latent_space
    from unblur.datasets.photo_folder import photo_paths
    from unblur.evaluation.reconstruction import (
        PROTOCOL,
        measure_reconstruction,
        reconstruction_csv,
        reconstruction_table,
    )
    from unblur.metrics.perceptual import SMALLEST_PX
    from unblur.metrics.st_lpips import load_st_lpips
    from unblur.restoration.device import choose_device

    if size < SMALLEST_PX:
        raise UnblurError(f"A square of {size} px is too small to be measured; give --size {SMALLEST_PX} or more.")
    where = choose_device(device)
    found = open_latent_space(checkpoint, encoder, decoder, where)
    perceptual = load_st_lpips("alex").to(where)
    bar = tqdm(photo_paths(photos), unit="photograph", disable=not sys.stderr.isatty())
    rows = list(measure_reconstruction(bar, found, perceptual, size))
    sys.stdout.write(
        f"{photos}, {PROTOCOL} {size} px, {found.name}, weights {found.decoder_sha256[:12]}, ST-LPIPS alex\n\n"
        f"{reconstruction_table(rows).markdown()}"
    )
    if csv is not None:
        write_output(csv, reconstruction_csv(rows).encode())
    return 0
