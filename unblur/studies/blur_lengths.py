"""How long the blur of every picture of a data set is: true lengths where they are known, estimates elsewhere."""

from collections.abc import Iterable

from torch import Tensor, nn

from unblur.blur.undirected import directed
from unblur.datasets.pair_files import read_picture
from unblur.evaluation.estimated_motion import estimate_motion
from unblur.evaluation.measure import NamedFiles
from unblur.evaluation.motion_sources import SeenMotion


def known_lengths_px(motions: Iterable[SeenMotion]) -> dict[str, float]:
    """Mean distance between start and end over the picture, by the picture's name without suffix."""
    return {seen.image: _length_px(seen.start, seen.end) for seen in motions}


def estimated_lengths_px(pictures: Iterable[NamedFiles], estimator: nn.Module) -> dict[str, float]:
    """The same as `estimator` sees it. Raises UnblurError for a picture that cannot be read."""
    lengths = {}
    for named in pictures:
        blurry = read_picture(named.files.blurry).float() / 255
        lengths[named.image.rpartition(".")[0] or named.image] = _length_px(
            *directed(estimate_motion(estimator, blurry))
        )
    return lengths


def _length_px(start: Tensor, end: Tensor) -> float:
    return float((end - start).norm(dim=0).mean())
