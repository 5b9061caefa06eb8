"""Weights that the authors of a network published, loaded into ours: the same numbers under other names.

Every parameter of ours has exactly one counterpart in the original, of the same shape, so a key map is nothing but
a list of renamings. The names are those of the authors' repositories: megvii-research/NAFNet, chosj95/MIMO-UNet,
swz30/MPRNet and swz30/Restormer. Weights keep their own licence, whatever reads them: NAFNet's repository is under
MIT, those of MPRNet and Restormer are for non-commercial use, MIMO-UNet's says nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from unblur.checkpoints.mismatch import state_dict_mismatch
from unblur.errors import UnblurError
from unblur.models import MIMOUNetConfig, MPRNetConfig, NAFNetConfig, RestormerConfig, build
from unblur.regular_files import read_regular
from unblur.torch_files import read_torch_file

ForeignConfig = NAFNetConfig | MIMOUNetConfig | MPRNetConfig | RestormerConfig
"""Networks of which the authors published weights."""

WRAPPERS = ("params_ema", "params", "state_dict", "model")
"""Entries under which training programs keep the weights beside other things; averaged weights come first."""


@dataclass(frozen=True, kw_only=True)
class KeyMap:
    """A map from an original's parameter names to ours."""

    origin: str
    """The repository whose names these are."""
    renamings: tuple[tuple[str, str], ...]
    """Regular expressions and their replacements, applied one after the other."""

    def rename(self, name: str) -> str:
        """Return our name of the original's parameter `name`."""
        for pattern, replacement in self.renamings:
            name = re.sub(pattern, replacement, name)
        return name


NAFNET_KEYS = KeyMap(
    origin="megvii-research/NAFNet",
    renamings=(
        (r"^middle_blks\.", "middle."),
        (r"\.conv1\.", ".expand1."),
        (r"\.conv2\.", ".depthwise."),
        (r"\.sca\.1\.", ".attention.project."),
        (r"\.conv3\.", ".project1."),
        (r"\.conv4\.", ".expand2."),
        (r"\.conv5\.", ".project2."),
    ),
)

MIMO_UNET_KEYS = KeyMap(
    origin="chosj95/MIMO-UNet",
    renamings=(
        # Each convolution is wrapped in a sequence called `main`.
        (r"\.main\.0\.(weight|bias)$", r".\1"),
        (r"^Encoder\.(\d)\.layers\.", r"encoders.\1."),
        (r"^Decoder\.(\d)\.layers\.", r"decoders.\1."),
        (r"^(encoders\.\d\.\d+|decoders\.\d\.\d+)\.main\.0\.", r"\1.first."),
        (r"^(encoders\.\d\.\d+|decoders\.\d\.\d+)\.main\.1\.", r"\1.second."),
        (r"^feat_extract\.0\.", "intro."),
        (r"^feat_extract\.1\.", "downs.0."),
        (r"^feat_extract\.2\.", "downs.1."),
        (r"^feat_extract\.3\.", "ups.0."),
        (r"^feat_extract\.4\.", "ups.1."),
        (r"^feat_extract\.5\.", "endings.2."),
        (r"^ConvsOut\.", "endings."),
        (r"^Convs\.", "merges."),
        (r"^AFFs\.(\d)\.conv\.0\.", r"fusions.\1.reduce."),
        (r"^AFFs\.(\d)\.conv\.1\.", r"fusions.\1.mix."),
        # The authors number these from the smallest photograph.
        (r"^FAM2\.", "attentions.0."),
        (r"^FAM1\.", "attentions.1."),
        (r"^SCM2\.", "shallow.0."),
        (r"^SCM1\.", "shallow.1."),
        (r"^(shallow\.\d)\.main\.0\.", r"\1.expand1."),
        (r"^(shallow\.\d)\.main\.1\.", r"\1.expand2."),
        (r"^(shallow\.\d)\.main\.2\.", r"\1.expand3."),
        (r"^(shallow\.\d)\.main\.3\.", r"\1.expand4."),
        (r"^(shallow\.\d)\.conv\.", r"\1.merge."),
    ),
)

MPRNET_KEYS = KeyMap(
    origin="swz30/MPRNet",
    renamings=(
        # Groups of the third stage: blocks, and a last convolution that is numbered like one of them.
        *((rf"^stage3_orsnet\.orb{k}\.body\.\d+\.weight$", f"details.{k - 1}.mix.weight") for k in (1, 2, 3)),
        *((rf"^stage3_orsnet\.orb{k}\.body\.", f"details.{k - 1}.blocks.") for k in (1, 2, 3)),
        *((rf"^stage3_orsnet\.conv_enc{k}\.", f"details.{k - 1}.from_encoder.") for k in (1, 2, 3)),
        *((rf"^stage3_orsnet\.conv_dec{k}\.", f"details.{k - 1}.from_decoder.") for k in (1, 2, 3)),
        (r"^stage3_orsnet\.up_enc1\.up\.1\.", "details.1.ups_encoded.0."),
        (r"^stage3_orsnet\.up_dec1\.up\.1\.", "details.1.ups_decoded.0."),
        (r"^stage3_orsnet\.up_enc2\.(\d)\.up\.1\.", r"details.2.ups_encoded.\1."),
        (r"^stage3_orsnet\.up_dec2\.(\d)\.up\.1\.", r"details.2.ups_decoded.\1."),
        (r"^stage(\d)_(encoder|decoder)\.", r"\2\1."),
        *((rf"\.encoder_level{level}\.", f".levels.{level - 1}.") for level in (1, 2, 3)),
        *((rf"\.csff_enc{level}\.", f".from_encoder.{level - 1}.") for level in (1, 2, 3)),
        *((rf"\.csff_dec{level}\.", f".from_decoder.{level - 1}.") for level in (1, 2, 3)),
        (r"\.down12\.down\.1\.", ".downs.0."),
        (r"\.down23\.down\.1\.", ".downs.1."),
        *((rf"\.decoder_level{level}\.", f".levels.{3 - level}.") for level in (1, 2, 3)),
        (r"\.skip_attn2\.", ".skips.0.0."),
        (r"\.skip_attn1\.", ".skips.1.0."),
        (r"\.up32\.up\.1\.", ".ups.0."),
        (r"\.up21\.up\.1\.", ".ups.1."),
        *((rf"^shallow_feat{stage}\.", f"intros.{stage - 1}.") for stage in (1, 2, 3)),
        (r"^sam12\.", "attention1."),
        (r"^sam23\.", "attention2."),
        (r"^(attention\d)\.conv1\.", r"\1.mix."),
        (r"^(attention\d)\.conv2\.", r"\1.ending."),
        (r"^(attention\d)\.conv3\.", r"\1.attend."),
        (r"^concat12\.", "merge2."),
        (r"^concat23\.", "merge3."),
        (r"^tail\.", "ending."),
        # Inside a channel attention block.
        (r"\.body\.0\.", ".first."),
        (r"\.body\.1\.", ".activation."),
        (r"\.body\.2\.", ".second."),
        (r"\.CA\.conv_du\.0\.", ".attention.reduce."),
        (r"\.CA\.conv_du\.2\.", ".attention.expand."),
    ),
)

RESTORMER_KEYS = KeyMap(
    origin="swz30/Restormer",
    renamings=(
        (r"^patch_embed\.proj\.", "intro."),
        *((rf"^encoder_level{level}\.", f"encoders.{level - 1}.") for level in (1, 2, 3)),
        *((rf"^down{level}_{level + 1}\.body\.", f"downs.{level - 1}.") for level in (1, 2, 3)),
        (r"^latent\.", "middle."),
        *((rf"^up{level + 1}_{level}\.body\.", f"ups.{3 - level}.") for level in (1, 2, 3)),
        *((rf"^reduce_chan_level{level}\.", f"merges.{3 - level}.") for level in (2, 3)),
        *((rf"^decoder_level{level}\.", f"decoders.{3 - level}.") for level in (1, 2, 3)),
        (r"^output\.", "ending."),
        (r"\.(norm[12])\.body\.", r".\1."),
        (r"\.attn\.qkv\.", ".attention.expand."),
        (r"\.attn\.qkv_dwconv\.", ".attention.depthwise."),
        (r"\.attn\.project_out\.", ".attention.project."),
        (r"\.attn\.temperature$", ".attention.temperature"),
        (r"\.ffn\.project_in\.", ".feed_forward.expand."),
        (r"\.ffn\.dwconv\.", ".feed_forward.depthwise."),
        (r"\.ffn\.project_out\.", ".feed_forward.project."),
    ),
)


def choose_key_map(config: ForeignConfig) -> KeyMap:
    """Return the map of the names that the authors of this network use."""
    match config:
        case NAFNetConfig():
            return NAFNET_KEYS
        case MIMOUNetConfig():
            return MIMO_UNET_KEYS
        case MPRNetConfig():
            return MPRNET_KEYS
        case RestormerConfig():
            return RESTORMER_KEYS
    assert_never(config)


def load_foreign(path: Path, config: ForeignConfig) -> nn.Module:
    """Build the network that `config` describes, with the weights that its authors' program wrote to `path`.

    Takes safetensors, and files of `torch.save` with nothing in them but tensors, numbers and text. Raises
    UnblurError when the file cannot be read or does not hold exactly the weights of this network.
    """
    return from_foreign(_read(path), config, source=path)


def from_foreign(content: Mapping[str, Any], config: ForeignConfig, source: str | Path = "these weights") -> nn.Module:
    """Build the network that `config` describes, with weights under its authors' names. `source` is for errors."""
    key_map = choose_key_map(config)
    model = build(config)
    ours: dict[str, Tensor] = {}
    for name, value in _unwrap(content).items():
        renamed = key_map.rename(name)
        if renamed in ours:
            raise UnblurError(f"{source} holds two entries for {renamed}, the second called {name}; get it again.")
        ours[renamed] = value
    if problems := state_dict_mismatch(model.state_dict(), ours):
        raise UnblurError(
            f"{source} does not hold the weights of {config} under the names of {key_map.origin}: "
            f"{problems}; give the configuration it was trained with."
        )
    model.load_state_dict(ours)
    return model


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_tensors(read_regular(path))
        read = read_torch_file(path)
    except OSError as error:
        raise UnblurError(f"{path} cannot be read: {error.strerror or error}; check the name.") from error
    except Exception as error:  # A damaged pickle can raise anything.
        raise UnblurError(
            f"{path} is damaged or holds more than weights, which may be a program and is not run; get it again or "
            f"save its state_dict alone. ({type(error).__name__})"
        ) from error
    if not isinstance(read, Mapping):
        raise UnblurError(f"{path} holds no named weights but a {type(read).__name__}; save its state_dict.")
    if any(not isinstance(name, str) for name in read):
        raise UnblurError(f"{path} holds entries that have no names; save its state_dict.")
    return read


def _unwrap(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights without the wrappers of training programs and the prefixes of their names."""
    unwrapped: list[Mapping[str, Any]] = []
    # A file may name a wrapper as its own content.
    while not any(content is one for one in unwrapped):
        unwrapped.append(content)
        content = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), content)
    # What PyTorch's parallel wrappers put before every name.
    return {str(name).removeprefix("module."): value for name, value in content.items()}
