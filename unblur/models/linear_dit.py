"""The denoiser: a diffusion transformer whose cost is linear in the number of pixels.

One idea: attention without softmax is a product of three matrices, and multiplying the last two first makes one small
table for the whole image instead of one large row for every position. A convolution of 3 x 3 in every feed-forward
layer compensates for the lost selectivity.

Sources: GLOWDeblur (arXiv 2601.06525) draws N blocks of linear attention, cross attention and Mix-FFN; its 1.6 billion
parameters are those of SANA (Xie et al. 2024, arXiv 2410.10629), whose transformer this is, so that SANA's weights can
be loaded. Its parts: attention by kernels (Katharopoulos et al. 2020, arXiv 2006.16236), shift, scale and gate from
the noise, one table for each block (AdaLN-single: Chen et al. 2023, PixArt-alpha, arXiv 2310.00426), Mix-FFN (Xie et
al. 2021, SegFormer, arXiv 2105.15203; with a gate in SANA). Differences from SANA: channels that are concatenated to
the noisy latents as conditions, and no normalisation of queries and keys, which only its later versions have.

There is no positional embedding: the zero padding of the convolutions marks positions, and any size fits.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unblur.models.tokens import Tokens

TIME_CHANNELS = 256
"""Number of sines and cosines that embed the noise level."""

TIME_SCALE = 1000.0
"""Factor from a noise level in [0, 1] to the time of the embedding."""

SLOWEST_PERIOD = 10_000.0
"""The longest period of the sines and cosines in radians of time (Vaswani et al. 2017)."""

TOKEN_SCALE = 0.01
"""Initial RMSNorm gain for text tokens. A small value stabilises early training (SANA)."""

PADDING_SCORE = -10_000.0
"""Score of padding, whose weight after softmax is zero."""

TINY = 1e-15
"""Lower bound of the sum of weights, which prevents a division by zero."""


@dataclass(frozen=True, kw_only=True)
class LinearDiTConfig:
    """Sizes of a linear diffusion transformer."""

    width: int
    """Channels of every position."""
    blocks: int
    self_heads: int
    """Heads of linear attention."""
    cross_heads: int
    """Heads of cross attention."""
    token_channels: int
    """Channels of the tokens for cross attention."""
    ffn_ratio: float = 2.5
    """Ratio of hidden channels of a feed-forward layer to its width."""
    latent_channels: int = 32
    """Channels of the noisy latents, and of the predicted velocity."""
    condition_channels: int = 0
    """Channels of conditions that are concatenated to the noisy latents."""

    def __post_init__(self) -> None:
        if min(self.width, self.blocks, self.self_heads, self.cross_heads, self.token_channels) < 1:
            raise ValueError(f"widths, blocks and heads must be positive: {self}")
        if self.width % self.self_heads or self.width % self.cross_heads:
            raise ValueError(f"the width must divide among the heads: {self}")


class LinearAttention(nn.Module):
    """Linear attention: global aggregation with weights relu(q) . relu(k). Shape: (B, N, D) -> same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        mixed: Tensor = self.project(_join_heads(attend_linearly(query, key, value).to(x.dtype)))
        return mixed


def attend_linearly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Average values with weights relu(q) . relu(k), in float32. Shape: (B, heads, N, d) each -> same.

    The values are padded with ones, so that the same product also gives the sum of the weights.
    """
    with _disable_autocast(query.device):
        query, key = query.float().relu(), key.float().relu()
        table = key.transpose(2, 3) @ F.pad(value.float(), (0, 1), value=1.0)
        sums = query @ table
        return sums[..., :-1] / (sums[..., -1:] + TINY)


class CrossAttention(nn.Module):
    """Cross attention to tokens. Shape: (B, N, D), tokens (B, M, D), attention mask (B, 1, 1, M) -> (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        query = _split_heads(self.query(x), self.heads)
        key, value = (_split_heads(layer(tokens), self.heads) for layer in (self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask.to(query.dtype))
        context: Tensor = self.project(_join_heads(mixed))
        return context


class MixFFN(nn.Module):
    """Feed-forward layer with a depthwise convolution and a gate (SANA's GLUMBConv). Shape: (B, D, h, w) -> same."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        hidden = int(ratio * width)
        self.expand = nn.Conv2d(width, 2 * hidden, 1)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.project = nn.Conv2d(hidden, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        content, gate = self.depthwise(F.silu(self.expand(x))).chunk(2, dim=1)
        mixed: Tensor = self.project(content * F.silu(gate))
        return mixed


class LinearDiTBlock(nn.Module):
    """Linear attention, cross attention and Mix-FFN with skip connections. Shape: (B, N, D), N = h * w -> same.

    `modulation`, (B, 6, D), depends on the noise level and is shared by all blocks; each block adds its own table.
    """

    def __init__(self, config: LinearDiTConfig) -> None:
        super().__init__()
        self.attention = LinearAttention(config.width, config.self_heads)
        self.cross_attention = CrossAttention(config.width, config.cross_heads)
        self.feed_forward = MixFFN(config.width, config.ffn_ratio)
        self.modulation = nn.Parameter(torch.randn(6, config.width) / config.width**0.5)

    def forward(
        self, x: Tensor, size: tuple[int, int], modulation: Tensor, tokens: Tensor, attention_mask: Tensor
    ) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + modulation).chunk(6, dim=1)
        x = x + gate1 * self.attention(modulate(x, shift1, scale1))
        x = x + self.cross_attention(x, tokens, attention_mask)
        grid = _reshape_to_grid(modulate(x, shift2, scale2), size)
        fed: Tensor = self.feed_forward(grid)
        return x + gate2 * fed.flatten(2).transpose(1, 2)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise without weights, then scale and shift. Shape: (B, N, D), (B, 1, D) each."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class TimeEmbedding(nn.Module):
    """Embedding of the noise level. Shape: (B,) in [0, 1] -> (B, D) and, for all blocks, (B, 6, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(TIME_CHANNELS, width)
        self.second = nn.Linear(width, width)
        self.modulate = nn.Linear(width, 6 * width)

    def forward(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        half = TIME_CHANNELS // 2
        steps = torch.arange(half, device=sigma.device, dtype=torch.float32) / half
        angles = TIME_SCALE * sigma.float()[:, None] * torch.exp(-math.log(SLOWEST_PERIOD) * steps)
        waves = torch.cat((angles.cos(), angles.sin()), dim=1).to(self.first.weight.dtype)
        embedded: Tensor = self.second(F.silu(self.first(waves)))
        return embedded, self.modulate(F.silu(embedded)).unflatten(1, (6, -1))


class TokenEmbedding(nn.Module):
    """Projection of tokens to the denoiser's width, with normalisation. Shape: (B, M, C) -> (B, M, D)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, width)
        self.second = nn.Linear(width, width)
        self.norm = nn.RMSNorm(width, eps=1e-5)
        nn.init.constant_(self.norm.weight, TOKEN_SCALE)

    def forward(self, tokens: Tensor) -> Tensor:
        context = self.second(F.gelu(self.first(tokens.to(self.first.weight.dtype)), approximate="tanh"))
        # Autocast rounds the outputs of layers but not the weights of norms; torch has a fast path for equal types
        # only.
        embedded: Tensor = self.norm(context.to(self.norm.weight.dtype))
        return embedded


class LinearDiT(nn.Module):
    """Denoiser, which predicts the velocity of noisy latents.

    Shape: (B, latents + conditions, h, w) any h and w, (B,) noise level in [0, 1], tokens -> (B, latents, h, w).
    """

    def __init__(self, config: LinearDiTConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes = False
        self.intro = nn.Conv2d(config.latent_channels + config.condition_channels, config.width, 1)
        self.time = TimeEmbedding(config.width)
        self.tokens = TokenEmbedding(config.token_channels, config.width)
        self.blocks = nn.ModuleList(LinearDiTBlock(config) for _ in range(config.blocks))
        self.modulation = nn.Parameter(torch.randn(2, config.width) / config.width**0.5)
        self.ending = nn.Linear(config.width, config.latent_channels)
        # The output layer is zero-initialised: zero is the mean velocity (Peebles & Xie 2023, arXiv 2212.09748).
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(self.ending.bias)

    def forward(self, latents: Tensor, sigma: Tensor, tokens: Tokens) -> Tensor:
        size = (latents.shape[2], latents.shape[3])
        x = self.intro(latents).flatten(2).transpose(1, 2)
        embedded, modulation = self.time(sigma)
        context = self.tokens(tokens.values)
        attention_mask = torch.where(tokens.mask, 0.0, PADDING_SCORE)[:, None, None]
        for block in self.blocks:
            if self.recomputes and torch.is_grad_enabled():
                # Nothing in a block is random.
                x = checkpoint(
                    block, x, size, modulation, context, attention_mask, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x = block(x, size, modulation, context, attention_mask)
        shift, scale = (self.modulation + embedded[:, None]).chunk(2, dim=1)
        return _reshape_to_grid(self.ending(modulate(x, shift, scale)), size)


def use_recomputation(model: nn.Module) -> None:
    """Make every LinearDiT in `model` compute its blocks again in the backward pass instead of storing activations.

    Gradients are the same, memory grows with one block and not with all (Chen et al. 2016, arXiv 1604.06174).
    """
    for part in model.modules():
        if isinstance(part, LinearDiT):
            part.recomputes = True


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """Split channels into heads: (B, N, heads * d) -> (B, heads, N, d)."""
    return x.reshape(len(x), x.shape[1], heads, -1).transpose(1, 2)


def _join_heads(x: Tensor) -> Tensor:
    """Join heads: (B, heads, N, d) -> (B, N, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def _reshape_to_grid(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Reshape positions to a grid: (B, h * w, D) -> (B, D, h, w)."""
    return x.transpose(1, 2).reshape(len(x), x.shape[2], *size)


def _disable_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context without autocast, because sums over a whole image need float32."""
    available = torch.amp.autocast_mode.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()
