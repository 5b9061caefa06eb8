"""The mean of the weights of several runs, which is often better than each of them and costs no more to use.

Source: "Model soups" (Wortsman et al. 2022, arXiv 2203.05482), whose uniform soup this is. The runs have to have begun
with the same weights: networks that learnt from different beginnings do the same in different places.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from unblur.checkpoints.folder import Checkpoint
from unblur.errors import UnblurError
from unblur.models import build


def average_checkpoints(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Average the weights of checkpoints; one that is given twice counts twice. The result has the first one's folder.

    Raises UnblurError when there is none, and when they are not all of one network.
    """
    if not checkpoints:
        raise UnblurError("There is no checkpoint to copy; give the folder of one.")
    first = checkpoints[0]
    for one in checkpoints[1:]:
        if one.config != first.config:
            raise UnblurError(
                f"{one.folder} holds {one.config}, but {first.folder} holds {first.config}; "
                "there is a mean of runs of one network only."
            )
    # In double precision: the mean of equal weights is those weights.
    weights = [one.model.state_dict() for one in checkpoints]
    mean = {name: torch.stack([each[name].double() for each in weights]).mean(dim=0) for name in weights[0]}
    model = build(first.config)
    model.load_state_dict({name: value.to(weights[0][name].dtype) for name, value in mean.items()})
    return replace(first, model=model.eval().requires_grad_(False))
