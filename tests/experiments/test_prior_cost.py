"""The cost of a prior equals counts by hand where these are possible."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from experiments.harness import run
from experiments.prior_cost import (
    Cost,
    HostCost,
    HostName,
    make_cost_table,
    make_host_config,
    measure_host_costs,
    prior_cost,
)
from unblur.models import PriorConfig, RestorerConfig, SemanticPriorConfig, UNetConfig, build
from unblur.models.efficientnet_lite import EfficientNetLiteConfig


def test_multiplications_of_a_unet_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = UNetConfig(channels=(4, 6), blocks=1)
    prior = PriorConfig(
        network=SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), fusion_channels=8),
        channels=8,
        heads=2,
        scales=1,
    )
    monkeypatch.setattr("experiments.prior_cost.make_host_config", lambda _: tiny)
    (counted,) = measure_host_costs(("unet",), prior, side_px=32, repeats=1)
    full, half = 32 * 32, 16 * 16
    by_hand = full * 3 * 4 * 9 + 2 * full * 4 * 4 * 9  # intro, encoder
    by_hand += half * 4 * 6 * 9 + 2 * half * 6 * 6 * 9  # down, middle
    # A transposed convolution multiplies each of its inputs; then merge, decoder, ending.
    by_hand += half * 6 * 4 * 4 + full * 8 * 4 + 2 * full * 4 * 4 * 9 + full * 4 * 3 * 9
    assert counted.without.macs == by_hand
    for one, config in ((counted.without, tiny), (counted.with_prior, replace(tiny, prior=prior))):
        assert one.parameters == sum(p.numel() for p in build(config).parameters())
        assert one.milliseconds is not None
        assert one.milliseconds > 0
    assert counted.with_prior.macs > by_hand
    assert counted.with_prior.milliseconds is not None
    assert counted.without.milliseconds is not None
    assert counted.with_prior.milliseconds > counted.without.milliseconds


def test_counts_of_published_networks_are_those_that_papers_compare() -> None:
    """NAFNet-32 and NAFNet-64: 16 and 63 to 65 thousand million (arXiv 2204.04676, table of GoPro)."""
    counted = measure_host_costs(("nafnet", "nafnet-64"), PriorConfig(), side_px=256, repeats=0)
    assert [round(one.without.macs / 1e9) for one in counted] == [16, 63]


def test_the_command_prints_a_table_and_writes_all_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "cost.csv"
    arguments = ["--hosts", "nafnet", "--size", "64", "--repeats", "0", "--csv", str(table)]
    assert run(prior_cost, [*arguments]) == 0
    printed = capsys.readouterr().out
    assert "| host | million parameters | the prior adds | GMACs | the prior adds |" in printed
    assert "ms" not in printed
    without, with_prior = csv.DictReader(table.read_text().splitlines())
    assert (without["prior"], with_prior["prior"], with_prior["side_px"]) == ("without", "with", "64")
    assert int(with_prior["macs"]) > int(without["macs"]) > 0
    assert without["milliseconds"] == ""
    assert run(prior_cost, ["--size", "0"]) == 2
    assert "at least" in capsys.readouterr().err


@pytest.mark.parametrize("name", get_args(HostName))
def test_a_host_restores(name: HostName) -> None:
    assert isinstance(make_host_config(name), RestorerConfig)


def test_what_the_prior_adds_is_given_as_a_share() -> None:
    without = Cost(parameters=2_000_000, macs=4_000_000_000, milliseconds=100.0)
    with_prior = Cost(parameters=3_000_000, macs=5_000_000_000, milliseconds=150.0)
    table = make_cost_table([HostCost(host="unet", side_px=256, without=without, with_prior=with_prior)])
    assert table.lines == (("unet", "2.00", "+1.00 (50%)", "4.0", "+1.0 (25%)", "100", "+50 (50%)"),)
