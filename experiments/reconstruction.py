"""Measure how well a latent space reconstructs photographs: the upper bound of whatever is generated in it.

A network that generates latents cannot come nearer to the truth, on average, than the decoded latents of the truth.
Protocol `middle` version 1: the square in the middle of each photograph, of a given side or smaller where the
photograph is, encoded and decoded in float32, rounded to eight bits, and compared with the same square.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn
from tqdm import tqdm

from experiments.harness import run
from unblur.app.output_file import write_output
from unblur.checkpoints.latent_spaces import LoadedLatentSpace, open_latent_space
from unblur.datasets.pair_files import read_rgb
from unblur.datasets.photo_folder import find_photos
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.metrics import niqe, psnr, quantize_8bit, ssim
from unblur.metrics.perceptual import SMALLEST_PX
from unblur.metrics.st_lpips import load_st_lpips
from unblur.restoration.device import choose_device

PROTOCOL = "middle-v1"


@dataclass(frozen=True, kw_only=True)
class ReconstructionRow:
    """One photograph against what its latents keep of it."""

    image: str
    height: int
    width: int
    psnr_db: float
    ssim: float
    st_lpips: float
    niqe_sharp: float | None
    """NIQE of the photograph itself; None where it is too flat to be measured."""
    niqe: float | None
    """NIQE of the reconstruction."""
    latent_rms: float
    """Root mean square of its latents."""
    protocol: str
    latents: str
    """The encoder and the decoder of the latents."""
    encoder: str
    """SHA-256 of the weights."""
    decoder: str


@torch.inference_mode()
def measure_reconstruction(
    paths: Iterable[Path], found: LoadedLatentSpace, perceptual: nn.Module, size_px: int
) -> Iterator[ReconstructionRow]:
    """Return one row for each photograph. `perceptual` is ST-LPIPS, on the device of the latent space."""
    device = next(found.space.decoder.parameters()).device
    for path in paths:
        sharp = crop_middle(read_rgb(path), size_px)[None].to(device).float() / 255
        latents = found.space.encode(sharp)
        height, width = sharp.shape[2:]
        reconstructed = quantize_8bit(found.space.decode(latents)[..., :height, :width])
        yield ReconstructionRow(
            image=path.name,
            height=height,
            width=width,
            psnr_db=psnr(reconstructed, sharp).item(),
            ssim=ssim(reconstructed, sharp).item(),
            st_lpips=float(perceptual(reconstructed, sharp)),
            niqe_sharp=_measure_niqe(sharp),
            niqe=_measure_niqe(reconstructed),
            latent_rms=latents.square().mean().sqrt().item(),
            protocol=f"{PROTOCOL} {size_px} px",
            latents=found.name,
            encoder=found.encoder_sha256,
            decoder=found.decoder_sha256,
        )


def crop_middle(photo: Tensor, size_px: int) -> Tensor:
    """Return the square in the middle of (3, H, W), no side longer than `size_px`."""
    height, width = photo.shape[1:]
    rows, columns = min(height, size_px), min(width, size_px)
    top, left = (height - rows) // 2, (width - columns) // 2
    return photo[:, top : top + rows, left : left + columns]


def make_reconstruction_csv(rows: Iterable[ReconstructionRow]) -> str:
    """Return the rows with a header line; cells without a measurement are empty."""
    names = tuple(field.name for field in fields(ReconstructionRow))
    lines = tuple(tuple(_format_text(getattr(row, name)) for name in names) for row in rows)
    return Table(header=names, lines=lines).csv()


def make_reconstruction_table(rows: list[ReconstructionRow]) -> Table:
    """Tabulate means over all photographs, and over the worst and the best tenth."""
    ranked = sorted(rows, key=lambda row: row.psnr_db)
    tenth = max(1, len(rows) // 10)
    parts = (("all", ranked), ("worst tenth", ranked[:tenth]), ("best tenth", ranked[-tenth:]))
    return Table(
        header=("photographs", "number", "PSNR", "SSIM", "ST-LPIPS", "NIQE of the photographs", "NIQE", "latents' RMS"),
        lines=tuple(
            (
                name,
                str(len(members)),
                f"{fmean(row.psnr_db for row in members):.2f}",
                f"{fmean(row.ssim for row in members):.4f}",
                f"{fmean(row.st_lpips for row in members):.4f}",
                _format_mean([row.niqe_sharp for row in members]),
                _format_mean([row.niqe for row in members]),
                f"{fmean(row.latent_rms for row in members):.2f}",
            )
            for name, members in parts
        ),
    )


def _format_text(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.5f}" if isinstance(value, float) else str(value)


def _measure_niqe(image: Tensor) -> float | None:
    try:
        return niqe(image).item()
    except UnblurError:
        return None


def _format_mean(values: list[float | None]) -> str:
    """Return the mean of the values that exist, and the number of those that do not."""
    there = [value for value in values if value is not None]
    missing = len(values) - len(there)
    return (f"{fmean(there):.2f}" if there else "-") + (f" ({missing} too flat)" if missing else "")


def reconstruction(
    photos: tyro.conf.Positional[Path],
    *,
    checkpoint: str | None = None,
    latent_encoder: Path | None = None,
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
        latent_encoder: File of a frozen encoder: taesana_encoder.pth for a decoder that learnt to undo it, or
            taef2_encoder.pth.
        decoder: File taef2_decoder.pth, to measure TAEF2 instead of a checkpoint.
        size: Side in pixels of the square in the middle of each photograph that is measured.
        csv: File for one row a photograph.
        device: auto, cpu, cuda, ...
    """
    if size < SMALLEST_PX:
        raise UnblurError(f"A square of {size} px is too small to be measured; give --size {SMALLEST_PX} or more.")
    where = choose_device(device)
    found = open_latent_space(checkpoint, latent_encoder, decoder, where)
    perceptual = load_st_lpips("alex").to(where)
    bar = tqdm(find_photos(photos), unit="photograph", disable=not sys.stderr.isatty())
    rows = list(measure_reconstruction(bar, found, perceptual, size))
    sys.stdout.write(
        f"{photos}, {PROTOCOL} {size} px, {found.name}, weights {found.decoder_sha256[:12]}, ST-LPIPS alex\n\n"
        f"{make_reconstruction_table(rows).markdown()}"
    )
    if csv is not None:
        write_output(csv, make_reconstruction_csv(rows).encode())
    return 0


if __name__ == "__main__":
    sys.exit(run(reconstruction))
