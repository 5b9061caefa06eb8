"""Whether weights are good enough to be bundled: bars over several sets, some of them unlike what was trained on.

Simulated sets are the validation set, cameras that imitate data sets, and hands that our simulator does not know; real
ones are folders with pairs, as they are. What sharp photographs become and what random crops of any size become are
bars of their own. A peer is measured on some pictures of every set, and the weights are held against it on the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
from unblur.datasets import PhotoFolder
from unblur.datasets.photo_folder import photos_fingerprint
from unblur.datasets.shaken import ShakenSet, shaken_pairs
from unblur.datasets.validation import ValidationSet, validation_pairs
from unblur.datasets.written_pairs import write_set
from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures, find_pictures
from unblur.evaluation.method import Method, MethodChoice
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table
from unblur.models import RestorerConfig
from unblur.restoration.guard import is_plausible_detail
from unblur.seeds import generator_for
from unblur.studies.data_sets import study_sets
from unblur.studies.measuring import measured_rows
from unblur.studies.rows import Report

VALIDATION, SHAKEN = "validation", "shaken"
CAMERAS = ("gopro", "realblur", "rsblur")

LEAST_GAIN_DB = 2.5
WORST_SEVERITY_DB = -0.1
LEAST_SHARP_DB = 42.0
MOST_OF_PEERS_TIME = 1 / 20
MOST_SECONDS_OF_FAST = 1.0
"""For a megapixel."""

SMALLEST_CROP_PX, LARGEST_CROP_PX = 17, 160


@dataclass(frozen=True, kw_only=True)
class ReleaseSet:
    """Pictures that are measured."""

    name: str
    simulated: bool
    pictures: MeasuredPictures


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A demand, and what was found."""

    demand: str
    bound: str
    found: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class SetSettings:
    """What a written set was made of; beside it."""

    made_by: ValidationSet | ShakenSet
    photos: str
    """Fingerprint of the sharp photographs."""


def release_sets(photos: Path, real: Sequence[Path], folder: Path, *, pairs: int, size_px: int) -> list[ReleaseSet]:
    """The sets, simulated ones made of the sharp `photos` and kept in `folder`. Raises UnblurError."""
    validation, shaken = ValidationSet(size_px=size_px), ShakenSet(size_px=size_px)
    made_of = photos_fingerprint(photos)
    write_set(
        folder / VALIDATION,
        SetSettings(made_by=validation, photos=made_of),
        lambda: validation_pairs(PhotoFolder(photos), validation),
    )
    write_set(
        folder / SHAKEN, SetSettings(made_by=shaken, photos=made_of), lambda: shaken_pairs(PhotoFolder(photos), shaken)
    )
    cameras = study_sets(CAMERAS, held_out=photos, written_to=folder, pairs=pairs, size_px=size_px)
    found = [ReleaseSet(name=VALIDATION, simulated=True, pictures=find_pictures(folder / VALIDATION))]
    found += [ReleaseSet(name=one.name, simulated=True, pictures=one.measured) for one in cameras]
    found.append(ReleaseSet(name=SHAKEN, simulated=True, pictures=find_pictures(folder / SHAKEN)))
    found += [ReleaseSet(name=place.absolute().name, simulated=False, pictures=find_pictures(place)) for place in real]
    if len({one.name for one in found}) < len(found):
        raise UnblurError("Two of the sets have one name; rename a folder of real pairs.")
    return found


def part_of(one: ReleaseSet, pictures: int) -> ReleaseSet:
    """At most `pictures` of them, evenly spread."""
    return replace(one, pictures=one.pictures.evenly(pictures))


def measured(one: ReleaseSet, choice: MethodChoice, method: Method, table: Path, report: Report) -> list[Row]:
    """PSNR, SSIM and ST-LPIPS of every picture, kept in `table`. Raises UnblurError."""
    return measured_rows(one.name, one.pictures, choice, method, table, MetricChoice(names=("st-lpips",)), report)


def sharp_psnr_db(photos: Path, choice: MethodChoice, method: Method, table: Path, report: Report) -> float:
    """Mean PSNR of what is made of sharp photographs to the photographs themselves. Raises UnblurError."""
    rows = measured_rows("sharp", find_pictures(photos), choice, method, table, MetricChoice(), report)
    return fmean(row.scores["psnr_after_db"] for row in rows)


def broken_crops(checkpoint: str | None, photos: Path, crops: int, seed: int, report: Report) -> int:
    """How many of so many random crops of odd and even sizes, blurred or noisy, the bare network answers with garbage.

    Raises UnblurError when there is no such checkpoint.
    """
    found = load_checkpoint(BUNDLED_RESTORER if checkpoint is None else checkpoint)
    if not isinstance(found.config, RestorerConfig):
        raise UnblurError(f"{found.folder} holds a network that does not restore; give another checkpoint.")
    sources, broken = PhotoFolder(photos).photos, 0
    for number in range(crops):
        blurry = random_crop(sources, generator_for(seed, "crop", number))
        broken += not is_sound(found.model, blurry)
        report("random crops", number + 1, crops)
    return broken


def random_crop(photos: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """(1, 3, h, w) sRGB in [0, 1], sides drawn apart: a photograph's, perhaps smoothed, perhaps with noise on it."""

    def drawn(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    photo = photos[drawn(len(photos))]
    sides = [min(SMALLEST_CROP_PX + drawn(LARGEST_CROP_PX - SMALLEST_CROP_PX + 1), side) for side in photo.shape[1:]]
    top, left = (drawn(whole - side + 1) for whole, side in zip(photo.shape[1:], sides, strict=True))
    crop = photo[None, :, top : top + sides[0], left : left + sides[1]].float() / 255
    length = 1 + 2 * drawn(8)
    padded = nn.functional.pad(crop, (length // 2, length // 2, 0, 0), mode="replicate")
    blurry = nn.functional.avg_pool2d(padded, (1, length), stride=1)
    noise = 0.2 * float(torch.rand((), generator=generator)) ** 3
    return (blurry + noise * torch.randn(blurry.shape, generator=generator)).clamp(0, 1)


@torch.inference_mode()
def is_sound(network: nn.Module, blurry: Tensor) -> bool:
    """Whether the answer has the size of (1, 3, h, w), is finite, and is no mosaic (see `unblur.restoration.guard`)."""
    restored: Tensor = network(blurry)
    return restored.shape == blurry.shape and is_plausible_detail(restored, blurry)


def bars(rows: Mapping[str, Sequence[Row]], simulated: Sequence[str], sharp_db: float, broken: int) -> list[Bar]:
    """Those that weights are held to by themselves; `rows` by the names of the sets."""
    gain_db = fmean(fmean(row.gain_db for row in rows[name]) for name in simulated)
    severities: dict[str, list[float]] = {}
    for row in rows[VALIDATION]:
        severities.setdefault(row.group, []).append(row.gain_db)
    worst = min(severities, key=lambda name: fmean(severities[name]))
    worst_db = fmean(severities[worst])
    return [
        _at_least("mean gain over the simulated sets, dB", gain_db, LEAST_GAIN_DB),
        _at_least(f"gain on the severity that gains least ({worst}), dB", worst_db, WORST_SEVERITY_DB),
        _at_least("sharp photographs to themselves, dB", sharp_db, LEAST_SHARP_DB),
        Bar(demand="random crops answered with garbage", bound="0", found=str(broken), holds=broken == 0),
    ]


def bar_of_fast(sets: Sequence[Sequence[Row]]) -> Bar:
    """What the restoration at half size is held to, on the machine that measured."""
    rows = [row for of_set in sets for row in of_set]
    seconds = sum(row.seconds for row in rows) / (sum(row.height * row.width for row in rows) / 1e6)
    return Bar(
        demand="seconds for a megapixel, of the method fast",
        bound=f"<= {MOST_SECONDS_OF_FAST:.2f}",
        found=f"{seconds:.2f}",
        holds=seconds <= MOST_SECONDS_OF_FAST,
    )


def bars_beside(ours: Mapping[str, Sequence[Row]], peers: Mapping[str, Sequence[Row]], name: str) -> list[Bar]:
    """Those that weights are held to beside a peer, over the same pictures of the simulated sets."""

    def mean(of: Mapping[str, Sequence[Row]], column: str) -> float:
        return fmean(fmean(row.scores[column] for row in rows) for rows in of.values())

    def seconds(of: Mapping[str, Sequence[Row]]) -> float:
        return sum(row.seconds for rows in of.values() for row in rows)

    psnr_db, perceived = mean(peers, "psnr_after_db"), mean(peers, "st_lpips_after")
    found = mean(ours, "st_lpips_after")
    share = seconds(ours) / seconds(peers)
    return [
        _at_least(f"mean PSNR, above {name}'s, dB", mean(ours, "psnr_after_db"), psnr_db),
        Bar(
            demand=f"mean ST-LPIPS, below {name}'s",
            bound=f"< {perceived:.4f}",
            found=f"{found:.4f}",
            holds=found < perceived,
        ),
        Bar(
            demand=f"time, of {name}'s",
            bound=f"<= {MOST_OF_PEERS_TIME:.3f}",
            found=f"{share:.3f}",
            holds=share <= MOST_OF_PEERS_TIME,
        ),
    ]


def bar_table(found: Sequence[Bar]) -> Table:
    """For people."""
    lines = tuple((bar.demand, bar.bound, bar.found, "holds" if bar.holds else "does not hold") for bar in found)
    return Table(header=("bar", "bound", "found", ""), lines=lines)


def _at_least(demand: str, found: float, bound: float) -> Bar:
    return Bar(demand=demand, bound=f">= {bound:.2f}", found=f"{found:.2f}", holds=found >= bound)
