"""Flow matching and its solvers, on velocities whose solution is known."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from unblur.models.flow import SHIFT, add_noise, sample_sigmas, shift_sigma, velocity_target
from unblur.models.samplers import Sampling, compute_noise_schedule, sample
from unblur.seeds import make_generator

pytestmark = pytest.mark.slow  # Loading diffusers alone takes seconds.

SOLVERS = ("dpm", "euler")


def test_velocity_leads_from_clean_to_noise() -> None:
    clean, noise, sigma = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([0.0, 0.4, 1.0])
    noisy = add_noise(clean, noise, sigma)
    assert torch.equal(noisy[0], clean[0])
    assert torch.equal(noisy[2], noise[2])
    share = sigma.view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy - share * velocity_target(clean, noise), clean)
    torch.testing.assert_close(noisy + (1 - share) * velocity_target(clean, noise), noise)


@given(st.floats(0, 1), st.floats(0.5, 8))
def test_shifting_keeps_the_ends_and_can_be_undone(sigma: float, shift: float) -> None:
    moved = shift_sigma(torch.tensor(sigma, dtype=torch.float64), shift).item()
    assert 0 <= moved <= 1
    assert shift_sigma(torch.tensor(moved, dtype=torch.float64), 1 / shift).item() == pytest.approx(sigma, abs=1e-9)


def test_drawn_shares_are_logit_normal_before_the_shift() -> None:
    drawn = sample_sigmas(20_000, make_generator(1, "sigmas"))
    logits = shift_sigma(drawn.double(), 1 / SHIFT).logit()
    assert abs(logits.mean()) < 0.03
    assert abs(logits.std() - 1) < 0.03
    assert torch.equal(drawn, sample_sigmas(20_000, make_generator(1, "sigmas")))
    assert drawn.median() == pytest.approx(0.75, abs=0.01)  # 3 * 0.5 / (1 + 2 * 0.5)


def test_the_schedule_is_that_of_diffusers_from_pure_noise() -> None:
    diffusers = pytest.importorskip("diffusers", reason="needs the extra `generative`")
    solver = diffusers.DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
    )
    solver.set_timesteps(20)
    # Theirs begins a thousandth before pure noise.
    torch.testing.assert_close(compute_noise_schedule(20), solver.sigmas[:-1], atol=1e-3, rtol=0)


def test_the_schedule_begins_with_noise_and_falls() -> None:
    sigmas = compute_noise_schedule(7)
    assert len(sigmas) == 7
    assert sigmas[0] == 1
    assert bool((sigmas.diff() < 0).all())
    assert sigmas[-1] > 0


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_where_there_is_one_photograph_every_solver_reaches_it(solver: str, steps: int) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    clean, start = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    sampling = Sampling(solver=solver, steps=steps)  # type: ignore[arg-type]
    reached = sample(lambda noisy, sigma: (noisy - clean) / sigma.view(-1, 1, 1, 1), start, sampling)
    torch.testing.assert_close(reached, clean, atol=1e-4, rtol=1e-4)


def gaussian_error(solver: str, steps: int) -> float:
    """Return the error of sampling photographs N(1, 0.5^2) from the noise 0.8, whose exact trajectory is known."""
    mean, deviation, noise = 1.0, 0.5, torch.full((1, 1, 1, 1), 0.8)

    def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
        share = sigma.view(-1, 1, 1, 1)
        variance = (1 - share) ** 2 * deviation**2 + share**2
        off = noisy - (1 - share) * mean
        expected_clean = mean + (1 - share) * deviation**2 / variance * off
        expected_noise = share / variance * off
        return expected_noise - expected_clean

    reached = sample(velocity, noise, Sampling(solver=solver, steps=steps))  # type: ignore[arg-type]
    # Quantiles stay quantiles: 0.8 deviations above the mean.
    return abs(reached.item() - (mean + deviation * 0.8))


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_steps_come_nearer(solver: str) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    errors = [gaussian_error(solver, steps) for steps in (4, 16, 64)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02


def test_the_second_order_is_worth_it() -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    assert gaussian_error("dpm", 20) < gaussian_error("euler", 20) / 2


def test_sampling_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Sampling(steps=0)
