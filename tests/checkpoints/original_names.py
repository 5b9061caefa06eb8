"""Names and shapes of the weights of the authors' networks, and weights made by a formula to go with them.

Written down from the authors' programs, and compared with the dictionaries that these make: megvii-research/NAFNet
2b4af71, chosj95/MIMO-UNet 5c58013, swz30/MPRNet 43feb2a, swz30/Restormer df766d5.
"""

import math

import torch
from torch import Tensor

from unblur.checkpoints.import_weights import ForeignConfig
from unblur.models import MIMOUNetConfig, MPRNetConfig, NAFNetConfig, RestormerConfig

Shapes = dict[str, tuple[int, ...]]

NAF = NAFNetConfig(width=4, encoder_blocks=(1, 2), middle_blocks=1, decoder_blocks=(2, 1))
MIMO = MIMOUNetConfig(width=4, blocks=2)
MPR = MPRNetConfig(width=8, widening=4, detail_widening=4, detail_blocks=2)
RESTORMER = RestormerConfig(width=8, blocks=(1, 2, 1, 1), heads=(1, 2, 2, 4), refinement_blocks=1)
NAF_GOPRO = NAFNetConfig(width=32, encoder_blocks=(1, 1, 1, 28), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))


def convolution(name: str, channels_in: int, channels: int, side: int, *, bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (channels, channels_in, side, side)}
    return shapes | ({f"{name}.bias": (channels,)} if bias else {})


def nafnet_shapes(config: NAFNetConfig) -> Shapes:
    shapes = convolution("intro", 3, config.width, 3) | convolution("ending", config.width, 3, 3)

    def blocks(name: str, c: int, count: int) -> None:
        for block in (f"{name}.{i}" for i in range(count)):
            shapes.update({f"{block}.beta": (1, c, 1, 1), f"{block}.gamma": (1, c, 1, 1)})
            shapes.update(
                {f"{block}.{norm}.{part}": (c,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
            )
            shapes.update({f"{block}.conv2.weight": (2 * c, 1, 3, 3), f"{block}.conv2.bias": (2 * c,)})
            for conv, channels in (("conv1", 2 * c), ("conv3", c), ("sca.1", c), ("conv4", 2 * c), ("conv5", c)):
                shapes.update(convolution(f"{block}.{conv}", c, channels, 1))

    levels = len(config.encoder_blocks)
    for level, count in enumerate(config.encoder_blocks):
        channels = config.width * 2**level
        blocks(f"encoders.{level}", channels, count)
        shapes.update(convolution(f"downs.{level}", channels, 2 * channels, 2))
    blocks("middle_blks", config.width * 2**levels, config.middle_blocks)
    for level, count in enumerate(config.decoder_blocks):
        channels = config.width * 2 ** (levels - level)
        shapes.update(convolution(f"ups.{level}.0", channels, 2 * channels, 1, bias=False))
        blocks(f"decoders.{level}", channels // 2, count)
    return shapes


def mimo_shapes(config: MIMOUNetConfig) -> Shapes:
    w, shapes = config.width, Shapes()
    for side, widths in (("Encoder", (w, 2 * w, 4 * w)), ("Decoder", (4 * w, 2 * w, w))):
        for level, c in enumerate(widths):
            for block in range(config.blocks):
                for part in (0, 1):
                    shapes |= convolution(f"{side}.{level}.layers.{block}.main.{part}.main.0", c, c, 3)
    for index, (c_in, c_out) in enumerate(((3, w), (w, 2 * w), (2 * w, 4 * w))):
        shapes |= convolution(f"feat_extract.{index}.main.0", c_in, c_out, 3)
    for index, c in ((3, 4 * w), (4, 2 * w)):
        name = f"feat_extract.{index}.main.0"
        shapes |= {f"{name}.weight": (c, c // 2, 4, 4), f"{name}.bias": (c // 2,)}
        shapes |= convolution(f"Convs.{index - 3}.main.0", c, c // 2, 1)
        shapes |= convolution(f"ConvsOut.{index - 3}.main.0", c, 3, 3)
    shapes |= convolution("feat_extract.5.main.0", w, 3, 3)
    for index, c in ((0, w), (1, 2 * w)):
        shapes |= convolution(f"AFFs.{index}.conv.0.main.0", 7 * w, c, 1)
        shapes |= convolution(f"AFFs.{index}.conv.1.main.0", c, c, 3)
    for index, c in ((1, 4 * w), (2, 2 * w)):
        shapes |= convolution(f"FAM{index}.merge.main.0", c, c, 3)
        shapes |= convolution(f"SCM{index}.main.0.main.0", 3, c // 4, 3)
        shapes |= convolution(f"SCM{index}.main.1.main.0", c // 4, c // 2, 1)
        shapes |= convolution(f"SCM{index}.main.2.main.0", c // 2, c // 2, 3)
        shapes |= convolution(f"SCM{index}.main.3.main.0", c // 2, c - 3, 1)
        shapes |= convolution(f"SCM{index}.conv.main.0", c, c, 1)
    return shapes


def mprnet_shapes(config: MPRNetConfig) -> Shapes:
    shapes = Shapes()
    width, detail, channels = config.width, config.width + config.detail_widening, config.channels

    def plain(name: str, channels_in: int, channels_out: int, side: int) -> None:
        shapes.update(convolution(name, channels_in, channels_out, side, bias=False))

    def block(name: str, c: int) -> None:
        plain(f"{name}.body.0", c, c, 3)
        shapes[f"{name}.body.1.weight"] = (1,)
        plain(f"{name}.body.2", c, c, 3)
        plain(f"{name}.CA.conv_du.0", c, c // config.reduction, 1)
        plain(f"{name}.CA.conv_du.2", c // config.reduction, c, 1)

    for stage in (1, 2, 3):
        plain(f"shallow_feat{stage}.0", 3, width, 3)
        block(f"shallow_feat{stage}.1", width)
    for stage in (1, 2):
        for side in ("encoder", "decoder"):
            for level, c in enumerate(channels, 1):
                block(f"stage{stage}_{side}.{side}_level{level}.0", c)
                block(f"stage{stage}_{side}.{side}_level{level}.1", c)
        for level, c, coarser in ((1, channels[0], channels[1]), (2, channels[1], channels[2])):
            plain(f"stage{stage}_encoder.down{level}{level + 1}.down.1", c, coarser, 1)
            plain(f"stage{stage}_decoder.up{level + 1}{level}.up.1", coarser, c, 1)
            block(f"stage{stage}_decoder.skip_attn{level}", c)
    for level, c in enumerate(channels, 1):
        plain(f"stage2_encoder.csff_enc{level}", c, c, 1)
        plain(f"stage2_encoder.csff_dec{level}", c, c, 1)
    for group in (1, 2, 3):
        for index in range(config.detail_blocks):
            block(f"stage3_orsnet.orb{group}.body.{index}", detail)
        plain(f"stage3_orsnet.orb{group}.body.{config.detail_blocks}", detail, detail, 3)
        plain(f"stage3_orsnet.conv_enc{group}", width, detail, 1)
        plain(f"stage3_orsnet.conv_dec{group}", width, detail, 1)
    for side in ("enc", "dec"):
        plain(f"stage3_orsnet.up_{side}1.up.1", channels[1], channels[0], 1)
        plain(f"stage3_orsnet.up_{side}2.0.up.1", channels[2], channels[1], 1)
        plain(f"stage3_orsnet.up_{side}2.1.up.1", channels[1], channels[0], 1)
    for name in ("sam12", "sam23"):
        plain(f"{name}.conv1", width, width, 1)
        plain(f"{name}.conv2", width, 3, 1)
        plain(f"{name}.conv3", 3, width, 1)
    plain("concat12", 2 * width, width, 3)
    plain("concat23", 2 * width, detail, 3)
    plain("tail", detail, 3, 3)
    return shapes


def restormer_shapes(config: RestormerConfig) -> Shapes:
    shapes = Shapes()
    w = config.width

    def plain(name: str, channels_in: int, channels_out: int, side: int) -> None:
        shapes.update(convolution(name, channels_in, channels_out, side, bias=False))

    def blocks(name: str, c: int, level: int, count: int) -> None:
        hidden = int(c * config.expansion)
        for block in (f"{name}.{i}" for i in range(count)):
            for norm in ("norm1", "norm2"):
                shapes.update({f"{block}.{norm}.body.weight": (c,), f"{block}.{norm}.body.bias": (c,)})
            shapes[f"{block}.attn.temperature"] = (config.heads[level - 1], 1, 1)
            plain(f"{block}.attn.qkv", c, 3 * c, 1)
            plain(f"{block}.attn.qkv_dwconv", 1, 3 * c, 3)
            plain(f"{block}.attn.project_out", c, c, 1)
            plain(f"{block}.ffn.project_in", c, 2 * hidden, 1)
            plain(f"{block}.ffn.dwconv", 1, 2 * hidden, 3)
            plain(f"{block}.ffn.project_out", hidden, c, 1)

    plain("patch_embed.proj", 3, w, 3)
    for level, count in enumerate(config.blocks[:3], 1):
        c = w * 2 ** (level - 1)
        blocks(f"encoder_level{level}", c, level, count)
        blocks(f"decoder_level{level}", c if level > 1 else 2 * c, level, count)
        plain(f"down{level}_{level + 1}.body.0", c, c // 2, 3)
        plain(f"up{level + 1}_{level}.body.0", 2 * c, 4 * c, 3)
        if level > 1:
            plain(f"reduce_chan_level{level}", 2 * c, c, 1)
    blocks("latent", 8 * w, 4, config.blocks[3])
    blocks("refinement", 2 * w, 1, config.refinement_blocks)
    plain("output", 2 * w, 3, 3)
    return shapes


def original_shapes(config: ForeignConfig) -> Shapes:
    match config:
        case NAFNetConfig():
            return nafnet_shapes(config)
        case MIMOUNetConfig():
            return mimo_shapes(config)
        case MPRNetConfig():
            return mprnet_shapes(config)
        case RestormerConfig():
            return restormer_shapes(config)


def waves(config: ForeignConfig) -> dict[str, Tensor]:
    """Weights under the original's names by a formula that any program can repeat."""
    weights = {}
    for index, (name, shape) in enumerate(sorted(original_shapes(config).items())):
        wave = torch.sin(0.7 * torch.arange(math.prod(shape), dtype=torch.float64) + index).reshape(shape)
        spread = 0.4 / math.sqrt(math.prod(shape[1:])) if len(shape) == 4 else 0.1
        weights[name] = wave * spread + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        if shape == (1,):
            # MPRNet's slopes, which the original shares among all blocks.
            weights[name] = torch.full(shape, 0.25)
    return {name: value.float() for name, value in weights.items()}


def wave_picture() -> Tensor:
    return (0.5 + 0.5 * torch.sin(0.37 * torch.arange(3 * 16 * 24, dtype=torch.float64))).reshape(1, 3, 16, 24)
