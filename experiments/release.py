"""Decide whether weights are good enough to be bundled: measure them by fixed criteria on photographs not trained on.

Simulated sets are the validation set, cameras that imitate data sets, and camera shake that our simulator does not
know; real ones are folders with pairs, as they are. Two criteria concern sharp photographs and random crops of any
size. A peer is measured on some images of every set, and the weights are compared with it on the same images.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn

from experiments.data_sets import open_benchmark_sets
from experiments.harness import ProgressBars, Report, run, write_table
from experiments.measuring import measure_rows
from experiments.shaken_pairs import ShakenSet, simulate_shaken_pairs
from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
from unblur.datasets import PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.datasets.written_pairs import write_set
from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures, find_pictures
from unblur.evaluation.method import Method, MethodSpec, open_method
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table, compare_runs
from unblur.models import RestorerConfig
from unblur.restoration.guard import is_sane_detail
from unblur.seeds import make_generator

VALIDATION, SHAKEN = "validation", "shaken"
CAMERAS = ("gopro", "realblur", "rsblur")

LEAST_GAIN_DB = 2.5
WORST_SEVERITY_DB = -0.1
LEAST_SHARP_DB = 42.0
MOST_OF_PEERS_TIME = 1 / 20
MOST_SECONDS_OF_FAST = 1.0
"""The largest number of seconds for a megapixel."""

SMALLEST_CROP_PX, LARGEST_CROP_PX = 17, 160


@dataclass(frozen=True, kw_only=True)
class ReleaseSet:
    """A set of images that is measured."""

    name: str
    simulated: bool
    pictures: MeasuredPictures


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A requirement, its bound, and the value that was measured."""

    demand: str
    bound: str
    found: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class SetSettings:
    """Settings of a simulated set; stored in its folder."""

    made_by: ValidationSet | ShakenSet
    photos: str
    """Fingerprint of the sharp photographs."""


def open_release_sets(
    photos: Path, real: Sequence[Path], folder: Path, *, pairs: int, size_px: int
) -> list[ReleaseSet]:
    """Open all sets; simulated ones are made of the sharp `photos` and stored in `folder`. Raises UnblurError."""
    validation, shaken = ValidationSet(size_px=size_px), ShakenSet(size_px=size_px)
    made_of = compute_photos_fingerprint(photos)
    write_set(
        folder / VALIDATION,
        SetSettings(made_by=validation, photos=made_of),
        lambda: simulate_validation_pairs(PhotoFolder(photos), validation),
    )
    write_set(
        folder / SHAKEN,
        SetSettings(made_by=shaken, photos=made_of),
        lambda: simulate_shaken_pairs(PhotoFolder(photos), shaken),
    )
    cameras = open_benchmark_sets(CAMERAS, held_out=photos, written_to=folder, pairs=pairs, size_px=size_px)
    found = [ReleaseSet(name=VALIDATION, simulated=True, pictures=find_pictures(folder / VALIDATION))]
    found += [ReleaseSet(name=one.name, simulated=True, pictures=one.measured) for one in cameras]
    found.append(ReleaseSet(name=SHAKEN, simulated=True, pictures=find_pictures(folder / SHAKEN)))
    found += [ReleaseSet(name=place.absolute().name, simulated=False, pictures=find_pictures(place)) for place in real]
    if len({one.name for one in found}) < len(found):
        raise UnblurError("Two of the sets have one name; rename a folder of real pairs.")
    return found


def sample_set(one: ReleaseSet, pictures: int) -> ReleaseSet:
    """Return at most `pictures` images of a set, evenly spread."""
    return replace(one, pictures=one.pictures.evenly(pictures))


def measure_set(one: ReleaseSet, choice: MethodSpec, method: Method, table: Path, report: Report) -> list[Row]:
    """Measure PSNR, SSIM and ST-LPIPS of every image and store the rows in `table`. Raises UnblurError."""
    return measure_rows(one.name, one.pictures, choice, method, table, MetricChoice(names=("st-lpips",)), report)


def measure_sharp_psnr_db(photos: Path, choice: MethodSpec, method: Method, table: Path, report: Report) -> float:
    """Return the mean PSNR between restored sharp photographs and the photographs themselves. Raises UnblurError."""
    rows = measure_rows("sharp", find_pictures(photos), choice, method, table, MetricChoice(), report)
    return fmean(row.scores["psnr_after_db"] for row in rows)


def count_broken_crops(checkpoint: str | None, photos: Path, crops: int, seed: int, report: Report) -> int:
    """Count the random crops, of odd and even sizes, blurred or noisy, for which the bare network returns garbage.

    Raises UnblurError when there is no such checkpoint.
    """
    found = load_checkpoint(BUNDLED_RESTORER if checkpoint is None else checkpoint)
    if not isinstance(found.config, RestorerConfig):
        raise UnblurError(f"{found.folder} holds a network that does not restore; give another checkpoint.")
    sources, broken = PhotoFolder(photos).photos, 0
    for number in range(crops):
        blurry = draw_random_crop(sources, make_generator(seed, "crop", number))
        broken += not is_sound(found.model, blurry)
        report("random crops", number + 1, crops)
    return broken


def draw_random_crop(photos: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Draw a crop of a photograph, perhaps smoothed or noisy, (1, 3, h, w) sRGB in [0, 1]; sides are independent."""

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
    """Return whether the output has the size of the input, is finite, and is no mosaic (`unblur.restoration.guard`).

    Shape: (1, 3, h, w).
    """
    restored: Tensor = network(blurry)
    return restored.shape == blurry.shape and is_sane_detail(restored, blurry)


def check_release_criteria(
    rows: Mapping[str, Sequence[Row]], simulated: Sequence[str], sharp_db: float, broken: int
) -> list[Criterion]:
    """Check the criteria that need no peer. `rows` maps the name of a set to its measurements."""
    gain_db = fmean(fmean(row.gain_db for row in rows[name]) for name in simulated)
    severities: dict[str, list[float]] = {}
    for row in rows[VALIDATION]:
        severities.setdefault(row.group, []).append(row.gain_db)
    worst = min(severities, key=lambda name: fmean(severities[name]))
    worst_db = fmean(severities[worst])
    return [
        _make_lower_bound("mean gain over the simulated sets, dB", gain_db, LEAST_GAIN_DB),
        _make_lower_bound(f"gain on the severity that gains least ({worst}), dB", worst_db, WORST_SEVERITY_DB),
        _make_lower_bound("sharp photographs to themselves, dB", sharp_db, LEAST_SHARP_DB),
        Criterion(demand="random crops answered with garbage", bound="0", found=str(broken), holds=broken == 0),
    ]


def check_speed(sets: Sequence[Sequence[Row]]) -> Criterion:
    """Check the time of restoration at half size, on the machine that measured."""
    rows = [row for of_set in sets for row in of_set]
    seconds = sum(row.seconds for row in rows) / (sum(row.height * row.width for row in rows) / 1e6)
    return Criterion(
        demand="seconds for a megapixel, of the method fast",
        bound=f"<= {MOST_SECONDS_OF_FAST:.2f}",
        found=f"{seconds:.2f}",
        holds=seconds <= MOST_SECONDS_OF_FAST,
    )


def check_against_peer(
    ours: Mapping[str, Sequence[Row]], peers: Mapping[str, Sequence[Row]], name: str
) -> list[Criterion]:
    """Check the criteria against a peer, over the same images of the simulated sets."""

    def mean(of: Mapping[str, Sequence[Row]], column: str) -> float:
        return fmean(fmean(row.scores[column] for row in rows) for rows in of.values())

    def seconds(of: Mapping[str, Sequence[Row]]) -> float:
        return sum(row.seconds for rows in of.values() for row in rows)

    psnr_db, perceived = mean(peers, "psnr_after_db"), mean(peers, "st_lpips_after")
    found = mean(ours, "st_lpips_after")
    share = seconds(ours) / seconds(peers)
    return [
        _make_lower_bound(f"mean PSNR, above {name}'s, dB", mean(ours, "psnr_after_db"), psnr_db),
        Criterion(
            demand=f"mean ST-LPIPS, below {name}'s",
            bound=f"< {perceived:.4f}",
            found=f"{found:.4f}",
            holds=found < perceived,
        ),
        Criterion(
            demand=f"time, of {name}'s",
            bound=f"<= {MOST_OF_PEERS_TIME:.3f}",
            found=f"{share:.3f}",
            holds=share <= MOST_OF_PEERS_TIME,
        ),
    ]


def make_criteria_table(found: Sequence[Criterion]) -> Table:
    """Make the table of criteria."""
    lines = tuple((bar.demand, bar.bound, bar.found, "holds" if bar.holds else "does not hold") for bar in found)
    return Table(header=("bar", "bound", "found", ""), lines=lines)


def _make_lower_bound(demand: str, found: float, bound: float) -> Criterion:
    return Criterion(demand=demand, bound=f">= {bound:.2f}", found=f"{found:.2f}", holds=found >= bound)


def release(
    photos: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    real: tuple[Path, ...] = (),
    checkpoint: str | None = None,
    peer: str | None = None,
    peer_checkpoint: str | None = None,
    peer_pictures: int = 12,
    pairs: int = 60,
    size: int = 384,
    crops: int = 2000,
    seed: int = 1,
    device: str = "auto",
) -> int:
    """Measure weights, at full and at half size, and say which of the release criteria hold.

    Simulated sets are made of the photographs: the validation set, three cameras that imitate data sets, and camera
    shake that the simulator does not know. An interrupted command continues.

    Args:
        photos: Folder of sharp photographs that were not trained on.
        output: Folder for the sets, every image's numbers and the tables.
        real: Folders with real pairs, blurry/ and sharp/.
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        peer: Method of `unblur evaluate` to compare with, for example experiments.baselines.maxim:load.
        peer_checkpoint: Its weights, where it takes any.
        peer_pictures: How many pictures of every simulated set the peer is measured on.
        pairs: How many pairs each of the imitating cameras takes.
        size: Side of the simulated pictures in pixels.
        crops: How many random crops are tried.
        seed: Random seed of the crops.
        device: auto, cpu, cuda, ...
    """
    if min(pairs, crops, peer_pictures) < 1:
        raise UnblurError("--pairs, --crops and --peer-pictures must be at least 1.")
    choice = MethodSpec(checkpoint=checkpoint, device=device)
    method = open_method(choice)
    fast_choice = replace(choice, method="fast")
    fast = open_method(fast_choice)
    tables = output / "tables"
    sets = open_release_sets(photos, real, output / "sets", pairs=pairs, size_px=size)
    simulated = [one.name for one in sets if one.simulated]
    with closing(ProgressBars()) as report:
        rows = {one.name: measure_set(one, choice, method, tables / f"{one.name}.csv", report) for one in sets}
        fast_rows = [
            measure_set(one, fast_choice, fast, tables / f"{one.name}-{fast.name}.csv", report) for one in sets
        ]
        sharp_db = measure_sharp_psnr_db(photos, choice, method, tables / "sharp.csv", report)
        broken = count_broken_crops(checkpoint, photos, crops, seed, report)
        found = [*check_release_criteria(rows, simulated, sharp_db, broken), check_speed(fast_rows)]
        texts = [compare_runs([*rows.values(), *fast_rows]).markdown()]
        if peer is not None:
            other = replace(choice, method=peer, checkpoint=peer_checkpoint)
            opened = open_method(other)
            parts = [sample_set(one, peer_pictures) for one in sets if one.simulated]
            # Over the pictures that the peer sees, ours are measured once more: at the same time, on the same machine.
            own = {one.name: measure_set(one, choice, method, tables / f"{one.name}-part.csv", report) for one in parts}
            theirs = {
                one.name: measure_set(one, other, opened, tables / f"{one.name}-{opened.name}.csv", report)
                for one in parts
            }
            found += check_against_peer(own, theirs, opened.name)
            texts.append(compare_runs([*own.values(), *theirs.values()]).markdown())
    texts.append(make_criteria_table(found).markdown())
    write_table(
        output, "release", f"Weights {method.checkpoint[:12]}.", "\n".join(texts), make_criteria_table(found).csv()
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(release))
