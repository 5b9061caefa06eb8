"""Costs: counted as by hand, and measured as far as a test may."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.generation_cost import (
    count_run_macs,
    generation_cost,
    make_softmax_twin,
    measure_growth,
    measure_part_costs,
    measure_run_cost,
)
from experiments.harness import run
from unblur.errors import UnblurError
from unblur.models import LatentDecoder, LatentDecoderConfig
from unblur.models.dc_autoencoder import build_sana_autoencoder
from unblur.models.glow_sizes import denoiser
from unblur.models.linear_dit import LinearDiT
from unblur.models.operations import count_macs, count_parameters


def test_multiplications_are_those_counted_by_hand() -> None:
    with torch.device("meta"):
        conv, x = nn.Conv2d(3, 8, 5, padding=2), torch.zeros(1, 3, 20, 30)
    assert count_macs(lambda: conv(x)) == 20 * 30 * 8 * 3 * 25


def test_the_denoiser_costs_what_its_layers_add_up_to() -> None:
    config, side = denoiser("small"), 16
    (row,) = measure_growth("small", [32 * side])
    places, width, words = side**2, config.width, 64
    hidden, head = int(config.ffn_ratio * width), width // config.self_heads
    attention = 4 * places * width**2 + 2 * places * config.self_heads * head * (head + 1)
    cross = 2 * places * width**2 + 2 * words * width**2 + 2 * places * words * width
    feed_forward = places * (3 * hidden * width + 2 * hidden * 9)
    ends = 2 * places * 32 * width + words * (384 * width + width**2) + 256 * width + 7 * width**2
    assert row.linear_macs == config.blocks * (attention + cross + feed_forward) + ends
    softmax = 4 * places * width**2 + 2 * places**2 * width
    assert row.softmax_macs == row.linear_macs + config.blocks * (softmax - attention)


def test_linear_attention_grows_with_pixels_and_softmax_with_their_square() -> None:
    rows = measure_growth("small", [1024, 2048, 4096, 8192])
    linear = [row.linear_macs for row in rows]
    assert linear[3] / linear[2] == pytest.approx(4, rel=0.01)
    assert rows[3].softmax_macs / rows[2].softmax_macs > 12
    config = denoiser("small")
    assert count_parameters(make_softmax_twin(config)) == count_parameters(LinearDiT(config))


def test_steps_multiply_the_denoiser_alone() -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    parts = measure_part_costs("small", 100, 60)
    assert [part.part for part in parts][3] == "denoiser, a step"
    assert all(part.macs > 0 and part.parameters > 0 for part in parts)
    assert count_run_macs(parts, 5) - count_run_macs(parts, 1) == 4 * parts[3].macs
    # Photographs are continued to multiples of 32 first.
    assert measure_part_costs("small", 128, 64) == parts


def test_the_small_network_has_our_decoder_and_the_others_that_of_sana() -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    with torch.device("meta"):
        decoders = LatentDecoder(LatentDecoderConfig()), build_sana_autoencoder()[1]
    counted = [measure_part_costs(size, 32, 32)[-1].parameters for size in ("small", "0.6b")]
    assert counted == [count_parameters(decoder) for decoder in decoders]


@pytest.mark.slow
def test_the_study_prints_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    table = tmp_path / "cost.csv"
    arguments = ["--sizes", "64x32", "--steps", "1", "--sides", "64", "--timed-up-to", "64", "--csv", str(table)]
    arguments += ["--plot", str(tmp_path / "growth.png")]
    assert run(generation_cost, ["small", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "| denoiser, a step |" in printed
    assert "| 64 x 32 | 1 |" in printed
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert float(row["seconds"]) > 0
    weights = sum(part.parameters for part in measure_part_costs("small", 32, 64)) * 4 / 2**20
    assert float(row["peak_mib"]) > weights
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_process_that_ends_early_is_one_sentence() -> None:
    with pytest.raises(UnblurError, match="ended early"):
        measure_run_cost("small", 32, 32, steps=0)


def test_what_cannot_be_measured_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(generation_cost, ["--sizes", "large"]) == 2
    assert run(generation_cost, ["--steps", "0"]) == 2
    assert run(generation_cost, ["--sides", "50"]) == 2
    assert run(generation_cost, ["--steps", "--sides", "--plot", "growth.png"]) == 2
    assert "large is not a size of a photograph" in capsys.readouterr().err
