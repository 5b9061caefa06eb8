"""The semantic prior: it begins as its teacher, and each level depends on the deeper ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.config import from_json, to_json
from unblur.models import SemanticPrior, SemanticPriorConfig
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.semantic_prior import AttentionFusion, compute_features

TINY = SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), fusion_channels=8)


TWICE = replace(TINY, two_pass=True)


def awake(config: SemanticPriorConfig = TINY) -> SemanticPrior:
    torch.manual_seed(0)
    prior = SemanticPrior(config)
    for layer in (*prior.correct, *prior.delta_proj):
        torch.nn.init.normal_(layer.weight, std=0.1)
    for delta_gate in prior.delta_gate:
        torch.nn.init.constant_(delta_gate, 0.5)
    return prior


@pytest.mark.parametrize("size", [(1, 1), (45, 70)])
def test_an_untrained_student_equals_its_teacher_at_any_size(size: tuple[int, int]) -> None:
    prior = SemanticPrior(TINY)
    blurry = torch.rand(2, 3, *size)
    with torch.no_grad():
        answers, features = prior(blurry), compute_features(prior.backbone, blurry)
    assert [level.stride_px for level in prior.levels] == [4, 8, 16, 32]
    for level, answer, feature in zip(prior.levels, answers, features, strict=True):
        rows, columns = (-(-side // 32) * 32 // level.stride_px for side in size)
        assert answer.shape == (2, level.channels, rows, columns)
        assert torch.equal(answer, feature)


def test_levels_depend_on_deeper_levels_only() -> None:
    prior = awake()
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = prior(blurry)
        prior.reduce[2].weight.add_(0.1)
        after = prior(blurry)
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [False, False, False, True]


def test_fusion_is_a_sum_weighted_at_each_place() -> None:
    fusion = AttentionFusion(3)
    x, deeper = torch.rand(1, 3, 5, 7), torch.rand(1, 3, 2, 3)
    with torch.no_grad():
        fused = fusion(x, deeper)
        for row, column in ((0, 0), (4, 6), (2, 3)):
            there = deeper[0, :, row * 2 // 5, column * 3 // 7]
            here = x[0, :, row, column]
            weights = fusion.weigh.weight[:, :, 0, 0] @ torch.cat((here, there)) + fusion.weigh.bias
            torch.testing.assert_close(
                fused[0, :, row, column], here * weights.sigmoid()[0] + there * weights.sigmoid()[1]
            )


def test_a_loss_over_all_levels_reaches_every_parameter() -> None:
    prior = awake()
    torch.stack([answer.square().mean() for answer in prior(torch.rand(2, 3, 64, 64))]).sum().backward()
    # Blocks may be silent behind ReLU6; whole layers may not.
    without = [name for name, p in prior.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not without


def test_an_untrained_second_pass_changes_nothing() -> None:
    prior = SemanticPrior(TWICE)
    blurry, restored = torch.rand(2, 1, 3, 64, 96)
    with torch.no_grad():
        for once, twice in zip(prior(blurry), prior(blurry, restored), strict=True):
            assert torch.equal(once, twice)


def test_without_a_restored_image_the_second_pass_changes_nothing() -> None:
    prior, single = awake(TWICE), SemanticPrior(TINY)
    single.load_state_dict({name: prior.state_dict()[name] for name in single.state_dict()})
    blurry, restored = torch.rand(2, 1, 3, 45, 70)
    with torch.no_grad():
        alone = single(blurry)
        for answers in (prior(blurry), prior(blurry, blurry), single(blurry, restored)):
            assert all(torch.equal(one, other) for one, other in zip(answers, alone, strict=True))
        assert not any(torch.equal(one, other) for one, other in zip(prior(blurry, restored), alone, strict=True))


def test_the_output_adds_a_gated_share_of_the_difference_of_the_passes() -> None:
    prior = SemanticPrior(TWICE)
    blurry, restored = torch.rand(2, 1, 3, 64, 64)
    with torch.no_grad():
        prior.delta_gate[1].fill_(0.25)
        first, second = compute_features(prior.backbone, blurry), compute_features(prior.backbone, restored)
        answers = prior(blurry, restored)
    torch.testing.assert_close(answers[1], 0.75 * first[1] + 0.25 * second[1])
    assert torch.equal(answers[2], first[2])


def test_a_loss_reaches_every_parameter_of_a_two_pass_student() -> None:
    prior = awake(TWICE)
    blurry, restored = torch.rand(2, 2, 3, 64, 64)
    torch.stack([answer.square().mean() for answer in prior(blurry, restored)]).sum().backward()
    assert not [name for name, p in prior.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]


def test_saved_and_loaded_equal(tmp_path: Path) -> None:
    prior = awake()
    save_checkpoint(tmp_path, prior, TINY, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.config == TINY == from_json(to_json(TINY), SemanticPriorConfig)
    blurry = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        for one, other in zip(checkpoint.model(blurry), prior(blurry), strict=True):
            assert torch.equal(one, other)


def test_fusion_needs_channels() -> None:
    with pytest.raises(ValueError, match="channels"):
        SemanticPriorConfig(fusion_channels=0)
