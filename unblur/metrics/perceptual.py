"""The distance of deep features that LPIPS and ST-LPIPS share, and how their weights are read.

Source: Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, equation 1, version 0.1 of the authors' code: images are scaled to ImageNet's statistics; features of five
layers are divided by their length at every point; squared differences are weighted by a learned head and averaged.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.metrics.checks import check_pair
from unblur.regular_files import read_regular
from unblur.torch_files import read_torch_file

SMALLEST_PX = 32
"""The coarsest layer of every network here still has pixels."""

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Scale of RGB in [-1, 1], per channel, from the authors' code."""
SHORTEST = 1e-10
"""Added to the length of a feature vector, as in the authors' code, so that zeros stay zeros."""

State = dict[str, Tensor]


class PerceptualDistance(nn.Module):
    """Distance per image, 0 for equal ones, lower is better: (B, 3, H, W) twice, RGB in [0, 1] -> (B,).

    Frozen, in float32; gradients reach the images, so it serves as a loss. Raises UnblurError for unequal or other
    shapes, sides below 32 pixels, and NaN.
    """

    def __init__(self, features: nn.Sequential, taps: Sequence[int], heads: Sequence[Tensor]) -> None:
        """Compare outputs of `features` at the indices `taps`, weighted by `heads` of shape (channels,)."""
        super().__init__()
        self.features = features
        self.taps = tuple(taps)
        self.heads = nn.ParameterList(heads)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        check_pair(restored, sharp, metric="A perceptual distance", smallest_px=SMALLEST_PX)
        pairs = zip(self._compute_directions(restored), self._compute_directions(sharp), self.heads, strict=True)
        layers = [((a - b).square() * head.view(1, -1, 1, 1)).sum(1).mean(dim=(1, 2)) for a, b, head in pairs]
        return torch.stack(layers).sum(0)

    def _compute_directions(self, image: Tensor) -> list[Tensor]:
        """Return features of unit length at every point, for every tap."""
        values = (2 * image.float() - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        found = []
        for place, layer in enumerate(self.features):
            values = layer(values)
            if place in self.taps:
                found.append(values / (values.square().sum(1, keepdim=True).sqrt() + SHORTEST))
        return found


def read_weights(path: Path, whose: str) -> State:
    """Read the tensors of a .safetensors or .pth file. Without one, `whose` ends the UnblurError's sentence."""
    try:
        if path.suffix == ".safetensors":
            return load(read_regular(path))
        state = read_torch_file(path)
    except OSError as error:
        raise UnblurError(f"No weights at {path}: {error.strerror or error}; {whose}.") from error
    except Exception as error:  # A damaged pickle can raise anything.
        raise UnblurError(f"{path} holds no weights that can be read; {whose}.") from error
    if not isinstance(state, dict):
        raise UnblurError(f"{path} holds a {type(state).__name__}, no weights by name; {whose}.")
    return state


def take_features(features: nn.Sequential, state: State, place_of: Callable[[str], str | None], path: Path) -> None:
    """Load into `features` the entries of `state` whose names `place_of` maps to "0.weight" and the like.

    Raises UnblurError when one is missing or of another shape.
    """
    wanted = features.state_dict()
    taken = {place: tensor for name, tensor in state.items() if (place := place_of(name)) in wanted}
    try:
        features.load_state_dict(taken)
    except RuntimeError as error:
        raise UnblurError(
            f"The weights in {path} are of another network ({str(error).splitlines()[1].strip()}); "
            "give those of the network that was asked for."
        ) from error


def take_heads(state: State, channels: Sequence[int], path: Path) -> list[Tensor]:
    """Return the heads "lin0.model.1.weight" to "lin4...", (channels,) each.

    Raises UnblurError when they are not there.
    """
    heads = [state.get(f"lin{place}.model.1.weight") for place in range(len(channels))]
    found = [None if head is None else tuple(head.shape) for head in heads]
    if found != [(1, count, 1, 1) for count in channels]:
        raise UnblurError(
            f"The heads in {path} have shapes {found}, where this network needs {list(channels)} channels; "
            "give the file that is named after the network."
        )
    return [head.flatten().float() for head in heads if head is not None]
