"""The denoiser: SANA's transformer, and what its attention promises."""

import pytest
import torch
from torch import Tensor

from unblur.checkpoints.sana import SANA_KEYS
from unblur.models.glow_sizes import denoiser
from unblur.models.linear_dit import (
    LinearAttention,
    LinearDiT,
    LinearDiTBlock,
    LinearDiTConfig,
    attend_linearly,
)
from unblur.models.tokens import Tokens
from unblur.names import GlowSize

TINY = LinearDiTConfig(
    width=24, blocks=2, self_heads=3, cross_heads=2, token_channels=10, latent_channels=4, condition_channels=0
)


def lively(config: LinearDiTConfig = TINY) -> LinearDiT:
    """Return a network with random weights where training begins with zeros or nearly so."""
    torch.manual_seed(0)
    network = LinearDiT(config)
    torch.nn.init.normal_(network.ending.weight, std=0.5)
    torch.nn.init.normal_(network.tokens.norm.weight, std=1.0)
    return network.eval()


def words(count: int = 5, padding: int = 0, batch: int = 2) -> Tokens:
    mask = torch.arange(count + padding) < count
    return Tokens(torch.randn(batch, count + padding, 10), mask.expand(batch, -1))


def latents(height: int = 3, width: int = 4, batch: int = 2) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 4, height, width), torch.rand(batch)


def test_a_block_is_that_of_diffusers() -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    from diffusers.models.transformers.sana_transformer import SanaTransformerBlock

    torch.manual_seed(0)
    theirs = SanaTransformerBlock(
        dim=24,
        num_attention_heads=3,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=12,
        cross_attention_dim=24,
        attention_bias=False,
    ).eval()
    ours = LinearDiTBlock(TINY).eval()
    names = {name: SANA_KEYS.rename(f"transformer_blocks.0.{name}") for name in theirs.state_dict()}
    ours.load_state_dict({names[name].removeprefix("blocks.0."): v for name, v in theirs.state_dict().items()})
    x, tokens, noise = torch.randn(2, 3 * 4, 24), torch.randn(2, 5, 24), torch.randn(2, 6, 24)
    bias = torch.where(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]) > 0, 0.0, -10000.0)
    with torch.no_grad():
        expected = theirs(x, None, tokens, bias[:, None], noise.flatten(1), 3, 4)
        answer = ours(x, (3, 4), noise, tokens, bias[:, None, None])
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=1e-5)


# Published counts, rounded: 0.6 and 1.6 billion. These were counted with diffusers' SanaTransformer2DModel of the
# published sizes; ours have as many without conditions.
@pytest.mark.parametrize(("size", "millions"), [("0.6b", 591.7), ("1.6b", 1604.5)])
def test_named_sizes_have_the_published_numbers_of_parameters(size: GlowSize, millions: float) -> None:
    diffusers = pytest.importorskip("diffusers", reason="needs the extra `generative`")
    config = denoiser(size)
    with torch.device("meta"):
        ours, guided = LinearDiT(config), LinearDiT(denoiser(size, condition_channels=38))
        theirs = diffusers.SanaTransformer2DModel(
            num_attention_heads=config.self_heads,
            attention_head_dim=32,
            num_layers=config.blocks,
            num_cross_attention_heads=config.cross_heads,
            cross_attention_head_dim=config.width // config.cross_heads,
            cross_attention_dim=config.width,
        )
    count = sum(parameter.numel() for parameter in ours.parameters())
    assert count == sum(parameter.numel() for parameter in theirs.parameters())
    assert round(count / 1e6, 1) == millions
    # Conditions cost a column of the first layer for each channel, nothing else.
    assert sum(parameter.numel() for parameter in guided.parameters()) == count + 38 * config.width


def test_linear_attention_is_the_quadratic_form_that_it_avoids() -> None:
    query, key, value = (torch.randn(2, 3, 20, 8) for _ in range(3))
    weights = query.relu() @ key.relu().transpose(2, 3)
    expected = weights @ value / weights.sum(dim=3, keepdim=True)
    torch.testing.assert_close(attend_linearly(query, key, value), expected, atol=1e-5, rtol=1e-5)


def test_positions_without_similar_keys_get_zero() -> None:
    query, key, value = -torch.rand(1, 1, 4, 8), torch.randn(1, 1, 4, 8), torch.randn(1, 1, 4, 8)
    assert attend_linearly(query, key, value).abs().max() == 0


def test_attention_is_equivariant_to_permutations() -> None:
    torch.manual_seed(0)
    attention, x, order = LinearAttention(24, 3), torch.randn(1, 20, 24), torch.randperm(20)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order], atol=1e-5, rtol=1e-5)


def test_padding_has_no_effect() -> None:
    network, (noisy, sigma), condition = lively(), latents(), words(padding=3)
    short = Tokens(condition.values[:, :5], condition.mask[:, :5])
    with torch.no_grad():
        torch.testing.assert_close(network(noisy, sigma, condition), network(noisy, sigma, short), atol=1e-5, rtol=1e-5)
        other = Tokens(condition.values.clone(), condition.mask)
        other.values[:, 0] += 1
        assert not torch.allclose(network(noisy, sigma, condition), network(noisy, sigma, other), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (16, 3)])
def test_any_size_and_the_share_of_noise_matters(height: int, width: int) -> None:
    network, (noisy, _) = lively(), latents(height, width)
    with torch.no_grad():
        answers = [network(noisy, torch.full((2,), sigma), words()) for sigma in (0.1, 0.9)]
    assert answers[0].shape == noisy.shape
    assert not torch.allclose(*answers, atol=1e-4)


def test_begins_without_velocity() -> None:
    assert LinearDiT(TINY)(*latents(), words()).abs().max() == 0


def test_every_parameter_has_a_gradient() -> None:
    network = lively()
    network(*latents(), words(padding=1)).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    # A bias of all keys shifts all scores of a place alike, which softmax does not notice.
    assert [name for name in without if not name.endswith("cross_attention.key.bias")] == []


def test_bfloat16_is_near_float32() -> None:
    network, (noisy, sigma), condition = lively(), latents(8, 8), words()
    with torch.no_grad():
        exact = network(noisy, sigma, condition)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(noisy, sigma, condition)
        halved = network.bfloat16()(noisy.bfloat16(), sigma, condition)
    for rounded in (mixed, halved):
        assert (rounded.float() - exact).square().mean().sqrt() < 0.03 * exact.std()


def test_sums_over_the_photograph_stay_in_float32_under_autocast() -> None:
    query, key, value = (torch.randn(1, 2, 300, 8).bfloat16() for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        answer = attend_linearly(query, key, value)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, attend_linearly(query, key, value))


@pytest.mark.parametrize("wrong", [{"width": 25}, {"blocks": 0}, {"cross_heads": 5}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    sizes = {"width": 24, "blocks": 2, "self_heads": 3, "cross_heads": 2, "token_channels": 10}
    with pytest.raises(ValueError, match="must"):
        LinearDiTConfig(**sizes | wrong)
