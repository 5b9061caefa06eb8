"""The weights that networks begin with which are built around an hourglass that was trained before."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from unblur.checkpoints.folder import BUNDLED_HOURGLASS, Checkpoint, load_checkpoint
from unblur.checkpoints.sizes import at_sizes
from unblur.errors import UnblurError
from unblur.models import MultiScale, MultiScaleConfig, NAFNetConfig, PreReconstruction


def begin_around_hourglass(network: PreReconstruction | MultiScale, start: Checkpoint | None) -> None:
    """Begin as `start`: a run of the same, or of the hourglass alone; without one, as the bundled hourglass.

    A network at several sizes may begin as one at fewer or more, whose weights are the same at every size, and as one
    whose hourglass was told less: telling begins at zero. Where the bundled hourglass has another shape, the weights
    stay random. Raises UnblurError when `start` is of another network.
    """
    found = load_checkpoint(BUNDLED_HOURGLASS) if start is None else start
    if isinstance(found.config, MultiScaleConfig) and isinstance(network.config, MultiScaleConfig):
        found = at_sizes(found, network.config.scales)
    if found.config == network.config or _told_less(found, network):
        network.load_state_dict(network.state_dict() | found.model.state_dict())
    elif found.config == network.config.hourglass:
        network.hourglass.load_state_dict(found.model.state_dict())
    elif start is not None:
        raise misfit(start, str(network.config))


def _told_less(found: Checkpoint, network: PreReconstruction | MultiScale) -> bool:
    return isinstance(network, MultiScale) and found.config == replace(network.config, told_coarser=False)


def replace_hourglass(network: PreReconstruction | MultiScale, hourglass_from: Path) -> None:
    """Take another hourglass than the one it began with. Raises UnblurError when there is none of its shape."""
    found = _hourglass(load_checkpoint(hourglass_from), network.config.hourglass)
    network.hourglass.load_state_dict(found.state_dict())


def _hourglass(found: Checkpoint, expected: NAFNetConfig) -> nn.Module:
    """Of a checkpoint of the hourglass alone, or of it at several sizes."""
    if found.config == expected:
        return found.model
    if isinstance(found.model, MultiScale) and found.model.config.hourglass == expected:
        return found.model.hourglass
    raise misfit(found, str(expected))


def misfit(start: Checkpoint, trained: str) -> UnblurError:
    """That `start` is not of the network that is `trained`."""
    return UnblurError(
        f"{start.folder} holds {start.config}, but the recipe trains {trained}; give a checkpoint of that."
    )
