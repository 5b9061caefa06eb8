"""SANA's transformer, as the library diffusers keeps it, loaded into our denoiser.

The names are those of diffusers' SanaTransformer2DModel; diffusers itself is not needed. Published weights keep their
own licence, whatever reads them.
"""

from pathlib import Path

import torch

from unblur.checkpoints.diffusers_folder import find_network
from unblur.checkpoints.import_weights import KeyMap
from unblur.checkpoints.mismatch import state_dict_mismatch
from unblur.errors import UnblurError
from unblur.models.linear_dit import LinearDiT, LinearDiTConfig

EXPECTED = {
    "patch_size": 1,
    "attention_bias": False,
    "qk_norm": None,
    "guidance_embeds": False,
    "interpolation_scale": None,
    "norm_elementwise_affine": False,
    "norm_eps": 1e-6,
    "timestep_scale": 1.0,
}
"""Options of SANA that our denoiser does not have: normalised queries, an embedding of guidance, of positions, ..."""

SANA_KEYS = KeyMap(
    origin="diffusers' SanaTransformer2DModel",
    renamings=(
        (r"^patch_embed\.proj\.", "intro."),
        (r"^time_embed\.emb\.timestep_embedder\.linear_1\.", "time.first."),
        (r"^time_embed\.emb\.timestep_embedder\.linear_2\.", "time.second."),
        (r"^time_embed\.linear\.", "time.modulate."),
        (r"^caption_projection\.linear_1\.", "tokens.first."),
        (r"^caption_projection\.linear_2\.", "tokens.second."),
        (r"^caption_norm\.", "tokens.norm."),
        (r"^transformer_blocks\.", "blocks."),
        (r"\.attn1\.", ".attention."),
        (r"\.attn2\.", ".cross_attention."),
        (r"\.to_q\.", ".query."),
        (r"\.to_k\.", ".key."),
        (r"\.to_v\.", ".value."),
        (r"\.to_out\.0\.", ".project."),
        (r"\.ff\.conv_inverted\.", ".feed_forward.expand."),
        (r"\.ff\.conv_depth\.", ".feed_forward.depthwise."),
        (r"\.ff\.conv_point\.", ".feed_forward.project."),
        (r"(^|\.)scale_shift_table$", r"\1modulation"),
        (r"^proj_out\.", "ending."),
    ),
)


def load_sana(source: str | Path, condition_channels: int = 0) -> LinearDiT:
    """Load the denoiser with SANA's weights, float32, from a folder or hub id of the transformer or of its pipeline.

    `condition_channels` more channels can be concatenated to the latents; their weights are zero, so at first they
    change nothing. Raises UnblurError when it is not there, damaged, or of a kind that our denoiser is not.
    """
    found = find_network(source, kind="SanaTransformer2DModel", part="transformer")
    config = _convert_config(found.arguments, condition_channels, found.folder)
    # Without random weights, which for a billion parameters take longer than reading the file.
    with torch.device("meta"):
        model = LinearDiT(config)
    weights = {SANA_KEYS.rename(name): value.float() for name, value in found.weights().items()}
    if (intro := weights.get("intro.weight")) is not None:
        weights["intro.weight"] = torch.cat((intro, intro.new_zeros(len(intro), condition_channels, 1, 1)), dim=1)
    if problems := state_dict_mismatch(model.state_dict(), weights):
        raise UnblurError(f"Weights in {found.folder} do not fit its config.json: {problems}; get them again.")
    model.load_state_dict(weights, assign=True)
    return model


def _convert_config(arguments: dict[str, object], condition_channels: int, folder: Path) -> LinearDiTConfig:
    """Return our configuration for the library's `arguments`."""
    other = [f"{name} {arguments[name]}" for name, value in EXPECTED.items() if arguments.get(name, value) != value]
    if other:
        raise UnblurError(f"{folder} holds a SANA of another kind ({', '.join(other)}); give one of SANA 1.0.")

    def number(name: str) -> int:
        value = arguments.get(name)
        if not isinstance(value, int):
            raise UnblurError(f"{name} in {folder / 'config.json'} is {value!r}, not a whole number; get it again.")
        return value

    width = number("num_attention_heads") * number("attention_head_dim")
    ratio = arguments.get("mlp_ratio", 2.5)
    crossed = number("num_cross_attention_heads") * number("cross_attention_head_dim")
    channels = number("in_channels")
    if not crossed == width == number("cross_attention_dim") or arguments.get("out_channels", channels) != channels:
        raise UnblurError(f"{folder} holds a SANA whose widths differ within; give one of SANA 1.0.")
    if not isinstance(ratio, (int, float)):
        raise UnblurError(f"mlp_ratio in {folder / 'config.json'} is {ratio!r}, not a number; get it again.")
    return LinearDiTConfig(
        width=width,
        blocks=number("num_layers"),
        self_heads=number("num_attention_heads"),
        cross_heads=number("num_cross_attention_heads"),
        token_channels=number("caption_channels"),
        ffn_ratio=float(ratio),
        latent_channels=channels,
        condition_channels=condition_channels,
    )
