"""The protocols of benchmarks as versioned constants; docs/reference/protocols.md describes them for people.

All protocols measure what an eight-bit file would keep, image by image; tables quote the mean over images. A change
that can move a number by more than 0.005 dB is a new version.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from unblur.errors import UnblurError
from unblur.evaluation.alignment import Aligned, align_by_homography, align_by_shift, align_by_whole_pixels
from unblur.evaluation.metric import (
    BRISQUE,
    LUMA_PSNR,
    MSSIM,
    NIQE,
    PIQE,
    PSNR,
    SSIM,
    SSIM_3D,
    UNALIGNED_PSNR,
    FullReferenceMetric,
    Metric,
    When,
)

Pictures = TypeVar("Pictures", Tensor, Aligned)


@dataclass(frozen=True, kw_only=True)
class Homography:
    """Alignment by a homography, brightness matched, measured inside the valid mask; see `alignment`."""

    clip: bool
    """Whether the aligned picture is limited to [0, 1] before it is measured."""


@dataclass(frozen=True, kw_only=True)
class ShiftSearch:
    """Alignment by the best of all shifts, measured without the borders; see `alignment`."""

    farthest_px: int
    step_px: float
    border_px: int


@dataclass(frozen=True, kw_only=True)
class WholePixels:
    """Alignment by the shift at which the pictures correlate best, brightness matched; see `alignment`."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A protocol: the alignment of a restored image with its sharp twin, and the metrics."""

    name: str
    """The name that `--protocol` takes."""
    version: int
    source: str
    """The authors of the protocol, and our source for it."""
    alignment: Homography | ShiftSearch | WholePixels | None = None
    best_of_frames: bool = False
    """Whether a picture is compared with every moment of the exposure of which the truth is known, or with one."""
    metrics: tuple[Metric, ...] = (PSNR, SSIM)
    """The metrics; full-reference ones are measured after alignment."""

    @property
    def title(self) -> str:
        """Name and version, as tables and CSV quote it."""
        return f"{self.name}-v{self.version}"

    @property
    def needs_sharp(self) -> bool:
        """True if pictures without sharp twins cannot be measured."""
        return any(isinstance(metric, FullReferenceMetric) for metric in self.metrics)

    def scores(
        self, picture: Tensor, sharp: Tensor | None, when: When, also: Sequence[Metric] = ()
    ) -> tuple[dict[str, float], str]:
        """Return the numbers by their columns, and whether the pictures were aligned: "no", "yes" or "failed".

        Both are (3, H, W) sRGB in [0, 1], rounded to eight bits; `sharp` may be None where nothing compares. `also` is
        measured beside the protocol's own. A number is NaN where its metric cannot measure such a picture.
        """
        aligned = None if sharp is None else self._aligned(picture, sharp)

        def numbers(metrics: Sequence[Metric]) -> dict[str, float]:
            return {metric.column(when): _measure(metric, picture, aligned) for metric in metrics}

        found = numbers(self.metrics)
        if self.alignment is None or aligned is None or sharp is None:
            return found | numbers(also), "no"
        found[UNALIGNED_PSNR.column(when)] = UNALIGNED_PSNR.measure(_leave_unaligned(picture, sharp))
        return found | numbers(also), "failed" if aligned.failed else "yes"

    def best_scores(
        self, picture: Tensor, frames: Iterable[Tensor], when: When, also: Sequence[Metric] = ()
    ) -> tuple[dict[str, float], str]:
        """Return the best of `scores` over the frames of an exposure; none where the truth is unknown."""
        found = [self.scores(picture, frame, when, also) for frame in frames]
        if not found:
            return self.scores(picture, None, when, also)
        lower_is_better = {
            metric.column(when)
            for metric in (*self.metrics, *also)
            if isinstance(metric, FullReferenceMetric) and metric.lower_is_better
        }

        def best(column: str) -> float:
            measured = [numbers[column] for numbers, _ in found if not math.isnan(numbers[column])]
            return (min if column in lower_is_better else max)(measured, default=math.nan)

        return {column: best(column) for column in found[0][0]}, found[0][1]

    def _aligned(self, picture: Tensor, sharp: Tensor) -> Aligned:
        match self.alignment:
            case None:
                return _leave_unaligned(picture, sharp)
            case WholePixels():
                return align_by_whole_pixels(picture, sharp)
            case Homography(clip=clip):
                return align_by_homography(picture, sharp, clip=clip)
            case ShiftSearch() as search:
                if min(sharp.shape[1:]) <= 2 * search.border_px + 11:
                    raise UnblurError(
                        f"The protocol {self.title} leaves out borders of {search.border_px} px, and a picture of "
                        f"{sharp.shape[2]} x {sharp.shape[1]} has too little left; measure it with --protocol pairs."
                    )
                return align_by_shift(
                    picture,
                    sharp,
                    farthest_px=search.farthest_px,
                    step_px=search.step_px,
                    border_px=search.border_px,
                )


def _measure(metric: Metric, picture: Tensor, aligned: Aligned | None) -> float:
    if isinstance(metric, FullReferenceMetric):
        return math.nan if aligned is None else _measure_or_nan(metric.measure, aligned)
    return _measure_or_nan(metric.measure, picture)


def _measure_or_nan(measure: Callable[[Pictures], float], pictures: Pictures) -> float:
    # One picture that is too small or too flat for a metric must not cost the other metrics, nor the other pictures.
    try:
        return measure(pictures)
    except UnblurError:
        return math.nan


def _leave_unaligned(picture: Tensor, sharp: Tensor) -> Aligned:
    return Aligned(picture=picture, sharp=sharp, valid=sharp.new_ones(sharp.shape[1:]).bool())


PAIRS = Protocol(
    name="pairs",
    version=1,
    source="Ours: whole images as they lie; PSNR over the three channels, SSIM of Wang et al. channel by channel.",
)

GOPRO = Protocol(
    name="gopro",
    version=1,
    source="Whole images as they lie, as in the tables since Nah et al. (CVPR 2017). The SSIM is MATLAB's ssim() of "
    "the RGB array, as in the tables since MPRNet (CVPR 2021).",
    metrics=(PSNR, SSIM_3D),
)

HIDE = Protocol(
    name="hide",
    version=1,
    source="As gopro: MPRNet's evaluate_gopro_hide.m measures both alike.",
    metrics=(PSNR, SSIM_3D),
)

REDS = Protocol(
    name="reds",
    version=1,
    source="Whole frames as they lie, the split val; as NTIRE's challenges, whose script is not public.",
)

REDS_JPEG = Protocol(
    name="reds-jpeg",
    version=1,
    source="As reds, on the frames with JPEG; NAFNet (ECCV 2022) reports val-jpeg-300, with MATLAB's kind of SSIM.",
    metrics=(PSNR, SSIM_3D),
)

REALBLUR = Protocol(
    name="realblur",
    version=1,
    source="evaluate_RealBlur.py of Rim et al. (ECCV 2020), for RealBlur-J and -R: brightness matched, ECC homography, "
    "mask. Theirs is pinned to OpenCV 4.2 and scikit-image 0.17; ours is measured against OpenCV 4.5 and 5.0.",
    alignment=Homography(clip=False),
)

RSBLUR = Protocol(
    name="rsblur",
    version=1,
    source="The evaluation of Rim et al. (ECCV 2022): as realblur, and the aligned picture is limited to [0, 1].",
    alignment=Homography(clip=True),
)

BSD = Protocol(
    name="bsd",
    version=1,
    source="As rsblur, whose repository measures BSD too. The set's own authors (ESTRNN, ECCV 2020) measure video; "
    "whether they align is not verified, so compare with the unaligned PSNR as well.",
    alignment=Homography(clip=True),
)

LEVIN = Protocol(
    name="levin",
    version=1,
    source="comp_upto_shift.m of Levin et al. (CVPR 2009), known from other people's ports alone.",
    alignment=ShiftSearch(farthest_px=5, step_px=0.25, border_px=15),
)

KOEHLER = Protocol(
    name="koehler",
    version=1,
    source="eval_image.m of Koehler et al. (ECCV 2012), in the copy that PVDNet's repository keeps: of every moment of "
    "the exposure, brightness matched, shifted by whole pixels, the best PSNR of the luma and the best MSSIM.",
    alignment=WholePixels(),
    best_of_frames=True,
    metrics=(LUMA_PSNR, MSSIM),
)

NO_REFERENCE = Protocol(
    name="no-reference",
    version=2,
    source="Ours, for photographs without sharp twins: how much was changed, as a share of full scale, which is no "
    "measure of quality, and three guesses at quality, which invented detail can please.",
    metrics=(NIQE, BRISQUE, PIQE),
)

PROTOCOLS = (PAIRS, GOPRO, HIDE, REDS, REDS_JPEG, REALBLUR, RSBLUR, BSD, LEVIN, KOEHLER, NO_REFERENCE)


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name. Raises UnblurError when there is none."""
    for protocol in PROTOCOLS:
        if name in (protocol.name, protocol.title):
            return protocol
    raise UnblurError(f"There is no protocol {name}; the names are {', '.join(p.name for p in PROTOCOLS)}.")


def choose_protocol(data_set: str, splits: Iterable[str], *, has_sharp: bool) -> Protocol:
    """Return the protocol by which results on a data set of the catalogue are published."""
    if not has_sharp:
        return NO_REFERENCE
    match data_set:
        case "gopro":
            return GOPRO
        case "hide":
            return HIDE
        case "reds":
            return REDS_JPEG if all("-jpeg" in split for split in splits) else REDS
        case "realblur-j" | "realblur-r":
            return REALBLUR
        case "rsblur":
            return RSBLUR
        case "bsd":
            return BSD
        case "levin":
            return LEVIN
        case "koehler":
            return KOEHLER
        case _:
            return PAIRS
