"""The plan of training on many accelerators: counts of small networks by hand, and the arithmetic of a step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.harness import run
from experiments.scaling_plan import (
    STATE_BYTES,
    Hardware,
    StepCost,
    count_saved_bytes,
    count_step_cost,
    describe_supply,
    plan_run,
    scaling_plan,
)
from unblur.errors import UnblurError
from unblur.evaluation.benchmark import Benchmark, Measurement, write_benchmark
from unblur.models.glow import GlowDeblur
from unblur.models.glow_sizes import glow
from unblur.models.operations import count_macs, count_parameters

HARDWARE = Hardware(devices=1, peak_tflops=100.0, utilisation=0.5, network_gb_s=10.0, dollars_per_hour=2.0)
COST = StepCost(trained_parameters=10**9, macs=10**12, activation_bytes=10**9)


def test_a_linear_layer_and_a_relu_save_their_input_and_their_output() -> None:
    layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
    x = torch.zeros(4, 8)
    assert count_saved_bytes(layers, lambda: layers(x)) == 4 * 8 * 4 + 4 * 16 * 4


def test_a_step_on_one_device_is_arithmetic_alone() -> None:
    plan = plan_run(COST, HARDWARE, batch=5, steps=3600)
    assert plan.compute_s == pytest.approx(2 * 5e12 / 50e12)
    assert plan.all_reduce_s == 0
    assert plan.hours == pytest.approx(plan.compute_s)
    assert plan.dollars == pytest.approx(2 * plan.hours)
    assert plan.pairs_per_s == pytest.approx(25)
    assert plan.state_gb == sum(STATE_BYTES.values())


def test_devices_add_traffic_of_twice_the_gradients_at_most() -> None:
    plans = [plan_run(COST, replace(HARDWARE, devices=devices), 5, 10) for devices in (2, 8, 1000)]
    assert [plan.all_reduce_s for plan in plans] == pytest.approx([0.4, 0.7, 0.7992])
    assert len({plan.compute_s for plan in plans}) == 1
    assert plans[0].pairs_per_s < plans[1].pairs_per_s < plans[2].pairs_per_s


def test_trained_parts_cost_three_times_their_forward_pass_and_frozen_ones_once() -> None:
    pytest.importorskip("diffusers")
    frozen, trained = (count_step_cost("small", 64, train_restoration=trains) for trains in (False, True))
    with torch.device("meta"):
        network = GlowDeblur(glow("small"))
        blurry = torch.zeros(1, 3, 64, 64)
    first = network.pre_reconstruction
    assert first is not None
    assert trained.macs - frozen.macs == 2 * count_macs(lambda: first(blurry))
    assert trained.trained_parameters - frozen.trained_parameters == count_parameters(first)
    assert frozen.trained_parameters == count_parameters(network.denoiser)
    assert trained.activation_bytes > frozen.activation_bytes > 0


def test_supply_follows_from_measurements(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    speeds = (
        Measurement(name="256 x 256, simulation", value=5.0, unit="pairs/core-s"),
        Measurement(name="faithful, torch float32, 12 MP", value=90.0, unit="core-s"),
        Measurement(name="faithful, onnx float32, 12 MP", value=36.0, unit="core-s"),
        Measurement(name="fast, onnx float32, 12 MP", value=9.0, unit="core-s"),
    )
    file.write_bytes(write_benchmark(Benchmark(machine="machine", versions={}, measurements=speeds)))
    simulating, restoring = describe_supply(file, None, 100.0, 1e9)
    assert "needs 20 cores; 1e+09 pairs need 55,556 core-hours" in simulating
    assert "10,000,000 core-hours" in restoring
    file.write_bytes(write_benchmark(Benchmark(machine="machine", versions={}, measurements=())))
    with pytest.raises(UnblurError, match="no speed of simulation"):
        describe_supply(file, None, 100.0, 1e9)


def test_the_command_prints_each_size_and_refuses_other_sides(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers")
    # Counting the large sizes takes ten seconds.
    monkeypatch.setattr("experiments.scaling_plan.SIZES", ("small",))
    assert run(scaling_plan, ["--sides", "64"]) == 0
    printed = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in printed.splitlines()[2:]] == [
        f"| small, 64 px, restoration {state}" for state in ("frozen", "trained")
    ]
    assert run(scaling_plan, ["--sides", "100"]) == 2
