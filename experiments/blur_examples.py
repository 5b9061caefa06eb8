"""Simulate and measure photographs of known blur, to train the blur classifier.

`python -m experiments.blur_examples PHOTOS -o FOLDER` blurs the photographs of a folder in every kind of
`experiments.blur_kinds`, and writes them with what the blur classifier measures of them and with the truth: one file
for each photograph. Several processes share the work: `--start 0 --every 2` and `--start 1 --every 2`. An interrupted
run continues with the photographs that the folder lacks; give another folder for other settings.
"""

import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor
from tqdm import tqdm

from experiments.blur_kinds import TRUTH_PX, KnownBlur, simulate
from experiments.harness import run
from unblur.app.output_file import write_output
from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, load_checkpoint
from unblur.datasets.photo_folder import find_photos
from unblur.errors import UnblurError
from unblur.models import BlurClassifier, BlurClassifierConfig, MotionEstimator
from unblur.models.blur_classifier import CELL_PX, DIRECTIONS
from unblur.restoration.blur_report import Kind
from unblur.restoration.inspect import MOTION

LEAST_SHARE = 0.7
"""Share of a place that has to be of one kind for the place to be of it."""

STRAIGHTEST = 0.5
"""Share of a path's length that its ends must be apart for the path to have a direction."""


@dataclass(frozen=True, kw_only=True)
class BlurExample:
    """A simulated photograph, its features, and the truth. (h, w) are the places of the blur classifier."""

    kind: Kind
    image: Tensor
    """(3, 32 h, 32 w): sRGB, uint8."""
    features: Tensor
    """(FEATURES, DIRECTIONS, h, w), float16."""
    places: Tensor
    """(h, w): 0 sharp, 1 motion, 2 out of focus, -1 where no kind covers most of the place."""
    length_px: Tensor
    """(h, w): length of the path of each place."""
    direction: Tensor
    """(h, w): direction of the path, in units of the classifier's directions, from 0 to 8; -1 where there is none."""
    radius_px: float
    """Radius of the disk of photographs out of focus."""


def make(
    photos: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    count: int | None = None,
    seed: int = 1,
    start: int = 0,
    every: int = 1,
    threads: int = 1,
) -> int:
    """Simulate photographs of known blur and measure them.

    Args:
        photos: Folder of sharp photographs.
        output: Folder of the examples.
        count: How many of the photographs, evenly spread, each in four kinds; all without it.
        seed: Names everything that is random.
        start: The first of these photographs.
        every: Step from one of these photographs to the next.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    found = find_photos(photos)
    chosen = found if count is None else found[:: max(1, len(found) // count)][:count]
    network = BlurClassifier(BlurClassifierConfig()).eval()
    network.motion.load_state_dict(load_motion_estimator().state_dict())
    output.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(start, len(chosen), every), unit="photo", disable=not sys.stderr.isatty()):
        file = output / f"{number:05}.pt"
        if file.exists():
            continue
        examples = [_measure(network, known) for known in simulate(chosen, seed, number, len(chosen))]
        data = io.BytesIO()
        torch.save([vars(example) for example in examples], data)
        write_output(file, data.getvalue())
    return 0


def load_motion_estimator() -> MotionEstimator:
    """Load the bundled motion estimator."""
    network = load_checkpoint(BUNDLED_MOTION_ESTIMATOR).model
    assert isinstance(network, MotionEstimator)
    return network


def open_examples(folder: Path) -> list[BlurExample]:
    """Return the examples in a folder. Raises UnblurError where there are none, or a file holds none."""
    examples = []
    for file in sorted(folder.glob("*.pt")):
        try:
            examples += [BlurExample(**row) for row in torch.load(file, weights_only=True)]
        except (OSError, RuntimeError, TypeError, ValueError, EOFError, UnpicklingError) as error:
            raise UnblurError(f"{file} holds no examples; make them by python -m experiments.blur_examples.") from error
    if not examples:
        raise UnblurError(f"{folder} holds no examples; make them by python -m experiments.blur_examples.")
    return examples


@torch.inference_mode()
def _measure(network: BlurClassifier, known: KnownBlur) -> BlurExample:
    features = network.measure(known.image[None])[0]
    side = CELL_PX // TRUTH_PX
    height, width = features.shape[2:]
    cells, length_px = (values[: height * side, : width * side] for values in (known.cells, known.length_px))
    shares = torch.stack([F.avg_pool2d((cells == kind).float()[None], side)[0] for kind in range(3)])
    places = torch.where(shares.amax(dim=0) >= LEAST_SHARE, shares.argmax(dim=0), -1)
    length_px = F.avg_pool2d(length_px[None], side)[0]
    x, y = known.ends[:, side // 2 :: side, side // 2 :: side][:, :height, :width]
    direction = torch.atan2(y, x) % math.pi / math.pi * DIRECTIONS
    is_straight = (places == MOTION) & (torch.hypot(x, y) >= STRAIGHTEST * length_px)
    image = known.image[:, : height * CELL_PX, : width * CELL_PX]
    return BlurExample(
        kind=known.kind,
        image=(image * 255).round().to(torch.uint8),
        features=features.half(),
        places=places,
        length_px=length_px,
        direction=torch.where(is_straight, direction, -1),
        radius_px=known.radius_px,
    )


if __name__ == "__main__":
    sys.exit(run(make))
