"""Measurements of the reconstruction by a latent space."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from experiments.harness import run
from experiments.reconstruction import (
    ReconstructionRow,
    crop_middle,
    make_reconstruction_csv,
    make_reconstruction_table,
    measure_reconstruction,
    reconstruction,
)
from unblur.checkpoints.latent_spaces import LoadedLatentSpace
from unblur.errors import UnblurError
from unblur.models import LatentSpace
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


class Pool(nn.Module):
    """Means of squares: an encoder whose answers anybody can compute."""

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(image, 8)


class Repeat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.here = nn.Parameter(torch.zeros(()))

    def forward(self, latents: Tensor) -> Tensor:
        return latents.repeat_interleave(8, 2).repeat_interleave(8, 3)


class MeanDifference(nn.Module):
    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        return (restored - sharp).abs().mean(dim=(1, 2, 3))


FOUND = LoadedLatentSpace(
    space=LatentSpace(encoder=Pool(), decoder=Repeat(), stride_px=8),
    name="means",
    encoder_sha256="e" * 64,
    decoder_sha256="d" * 64,
)


def row(psnr_db: float, niqe: float | None) -> ReconstructionRow:
    return ReconstructionRow(
        image="a.png",
        height=8,
        width=8,
        psnr_db=psnr_db,
        ssim=0.5,
        st_lpips=0.1,
        niqe_sharp=3.0,
        niqe=niqe,
        latent_rms=1.0,
        protocol="middle-v1 8 px",
        latents="means",
        encoder="e",
        decoder="d",
    )


def test_rows_compare_the_middle_with_its_reconstruction_in_eight_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (210, 301, 3), dtype=np.uint8)
    write_photo(Photo(pixels=pixels), tmp_path / "noise.png")
    write_photo(Photo(pixels=np.full((40, 40, 3), 200, np.uint8)), tmp_path / "flat.png")
    paths = [tmp_path / "noise.png", tmp_path / "flat.png"]
    noise, flat = measure_reconstruction(paths, FOUND, MeanDifference(), 196)
    part = pixels[7:203, 52:248].astype(float)
    padded = np.pad(part, ((0, 4), (0, 4), (0, 0)), mode="edge")
    means = padded.reshape(25, 8, 25, 8, 3).mean(axis=(1, 3))
    expected = means.repeat(8, 0).repeat(8, 1)[:196, :196].round()
    assert noise.psnr_db == pytest.approx(peak_signal_noise_ratio(part, expected, data_range=255), abs=0.01)
    assert noise.latent_rms == pytest.approx(np.sqrt(np.mean((means / 255) ** 2)), rel=1e-4)
    assert (noise.height, noise.width, noise.protocol) == (196, 196, "middle-v1 196 px")
    assert noise.niqe_sharp is not None
    assert flat.niqe is flat.niqe_sharp is None
    assert (flat.psnr_db, flat.st_lpips) == (float("inf"), 0)


def test_the_middle_is_never_larger_than_the_photograph() -> None:
    photo = torch.arange(3 * 5 * 8).reshape(3, 5, 8)
    assert torch.equal(crop_middle(photo, 4), photo[:, 0:4, 2:6])
    assert torch.equal(crop_middle(photo, 99), photo)


def test_tables_have_the_worst_tenth_and_count_missing_values() -> None:
    rows = [row(20.0 + number, None if number == 3 else 4.0) for number in range(20)]
    lines = make_reconstruction_table(rows).markdown().splitlines()
    assert lines[2].startswith("| all | 20 | 29.50 | 0.5000 | 0.1000 | 3.00 | 4.00 (1 too flat) |")
    assert lines[3].startswith("| worst tenth | 2 | 20.50 |")
    assert lines[4].startswith("| best tenth | 2 | 38.50 |")
    (first, *_) = csv.DictReader(io.StringIO(make_reconstruction_csv([row(20.0, None)])))
    assert (first["psnr_db"], first["niqe"], first["decoder"]) == ("20.00000", "", "d")


def test_photographs_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UnblurError):
        list(measure_reconstruction([tmp_path / "broken.png"], FOUND, MeanDifference(), 64))


@pytest.mark.slow
def test_the_command_measures_taef2(
    published: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")

    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    (tmp_path / "photos").mkdir()
    write_photo(Photo(pixels=pixels), tmp_path / "photos" / "a.png")
    files = ["--latent-encoder", str(published("taef2_encoder.pth")), "--decoder", str(published("taef2_decoder.pth"))]
    command = [str(tmp_path / "photos"), "--device", "cpu"]
    assert run(reconstruction, [*command, *files, "--size", "64", "--csv", str(tmp_path / "rows.csv")]) == 0
    assert "| all | 1 |" in capsys.readouterr().out
    (measured,) = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    assert measured["latents"] == "TAEF2"
    assert float(measured["psnr_db"]) > 15


def test_what_does_not_go_together_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")

    def said(*arguments: str) -> str:
        assert run(reconstruction, [str(tmp_path), "--device", "cpu", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "needs a checkpoint" in said()
    assert "needs a checkpoint" in said("--latent-encoder", "e.pth")
    assert "not both" in said("--checkpoint", "run", "--decoder", "d.pth")
    assert "No checkpoint at" in said("--checkpoint", str(tmp_path / "run"))
    assert "No weights at" in said("--latent-encoder", "e.pth", "--decoder", "d.pth")
    assert "too small" in said("--size", "8")
