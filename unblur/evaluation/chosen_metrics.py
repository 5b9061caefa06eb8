"""Metrics that are measured beside a protocol's own, chosen by name, and the weights that some of them need."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from unblur.checkpoints.hub import find_weights
from unblur.errors import UnblurError
from unblur.evaluation.metric import (
    BRISQUE,
    MS_SSIM,
    NIQE,
    PIQE,
    PSNR,
    SSIM,
    SSIM_3D,
    FullReferenceMetric,
    Metric,
    full_reference,
)
from unblur.evaluation.protocol import Protocol
from unblur.metrics.lpips import load_lpips
from unblur.metrics.st_lpips import find_packaged_weights, load_st_lpips

WITHOUT_WEIGHTS: dict[str, Metric] = {
    "psnr": PSNR,
    "ssim": SSIM,
    "ssim-3d": SSIM_3D,
    "ms-ssim": MS_SSIM,
    "niqe": NIQE,
    "brisque": BRISQUE,
    "piqe": PIQE,
}
NAMES = (*WITHOUT_WEIGHTS, "st-lpips", "lpips")
"""The names that `--metrics` takes."""


@dataclass(frozen=True, kw_only=True)
class MetricChoice:
    """The choice of metrics, from which any process can open the same ones."""

    names: tuple[str, ...] = ()
    """Names from NAMES; the metrics of the protocol are measured in any case."""
    lpips_weights: tuple[str, str] | None = None
    """LPIPS needs the files of AlexNet and of the heads, here or on the hub; see `unblur.metrics.lpips`."""


@dataclass(frozen=True, kw_only=True)
class OpenMetrics:
    """The metrics that were chosen and that the protocol does not measure itself."""

    metrics: tuple[Metric, ...] = ()
    summary: str = ""
    """A summary of the metrics, for the conditions of a row."""


def open_metrics(choice: MetricChoice, protocol: Protocol) -> OpenMetrics:
    """Open the chosen metrics.

    Raises UnblurError for an unknown name, one that needs sharp twins where there are none, and missing weights.
    """
    opened, summary = [], []
    for name in dict.fromkeys(choice.names):
        metric, digits = _open(name, choice)
        # By its name: Koehler's PSNR is another one, and the protocol says which is meant.
        if metric.name in [own.name for own in protocol.metrics]:
            continue
        if isinstance(metric, FullReferenceMetric) and not protocol.needs_sharp:
            raise UnblurError(f"{name} compares with sharp twins, which the protocol {protocol.title} does without.")
        opened.append(metric)
        summary.append(f"{name}:{digits}" if digits else name)
    return OpenMetrics(metrics=tuple(opened), summary=" ".join(summary))


def _open(name: str, choice: MetricChoice) -> tuple[Metric, str]:
    """Open a metric, and return it with the first digits of the hash of its weights."""
    match name:
        case "st-lpips":
            path = find_packaged_weights("alex")
            measure = full_reference(load_st_lpips("alex", path))
            return FullReferenceMetric(name="st_lpips", measure=measure, lower_is_better=True), _read_digits(path)
        case "lpips":
            if choice.lpips_weights is None:
                raise UnblurError(
                    "LPIPS needs weights that unblur does not include; name torchvision's alexnet-owt-7be5be79.pth and "
                    "alex.pth of the PyPI package lpips with --lpips-weights, or measure st-lpips."
                )
            backbone, heads = (find_weights(source) for source in choice.lpips_weights)
            measure = full_reference(load_lpips("alex", backbone=backbone, heads=heads))
            return FullReferenceMetric(name="lpips", measure=measure, lower_is_better=True), _read_digits(
                backbone, heads
            )
        case _ if name in WITHOUT_WEIGHTS:
            return WITHOUT_WEIGHTS[name], ""
    raise UnblurError(f"There is no metric {name}; the names are {', '.join(NAMES)}.")


def _read_digits(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]
