"""Scores of the runs of an ablation: PSNR and ST-LPIPS, over all images and over the hardest quintile.

The hardest quintile are the images whose blurry photograph has the lowest PSNR. The same images are measured for every
run, so runs of one host and seed differ by the prior alone; such differences are given with their spread over seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from experiments.harness import format_mean
from experiments.severity import split_in_quintiles
from unblur.datasets import Pair
from unblur.evaluation.chosen_metrics import MetricChoice, open_metrics
from unblur.evaluation.measure import measure
from unblur.evaluation.metric import PSNR
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table
from unblur.restoration.loading import load


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over images."""

    psnr_db: float
    st_lpips: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """Scores of one run."""

    host: str
    variant: str
    seed: int
    weights: str
    """SHA-256 of the weights."""
    pictures: int
    severe_pictures: int
    blurry: Score
    blurry_severe: Score
    restored: Score
    restored_severe: Score


def load_prior_protocol() -> Protocol:
    """Return the protocol: PSNR and ST-LPIPS of whole images in eight bits.

    Raises UnblurError when the weights of ST-LPIPS are missing.
    """
    protocol = Protocol(
        name="prior-study", version=1, source="Ours: no paper says how it measures the prior.", metrics=(PSNR,)
    )
    also = open_metrics(MetricChoice(names=("st-lpips",)), protocol)
    return replace(protocol, metrics=(*protocol.metrics, *also.metrics))


def measure_pairs(checkpoint: Path, pairs: list[Pair], protocol: Protocol, device: str) -> list[Row]:
    """Measure one row per pair, restored by the network in `checkpoint`."""
    restorer = load(checkpoint, device)
    return list(measure(pairs, restorer.restore, restorer.checkpoint_sha256 or "", protocol))


def summarize_run(rows: Sequence[Row], *, host: str, variant: str, seed: int) -> Result:
    """Average the rows of a run."""
    images = set(split_in_quintiles({row.image: -row.scores["psnr_before_db"] for row in rows})[-1])
    severe = [row for row in rows if row.image in images]
    return Result(
        host=host,
        variant=variant,
        seed=seed,
        weights=rows[0].conditions.checkpoint,
        pictures=len(rows),
        severe_pictures=len(severe),
        blurry=_compute_score(rows, "before"),
        blurry_severe=_compute_score(severe, "before"),
        restored=_compute_score(rows, "after"),
        restored_severe=_compute_score(severe, "after"),
    )


def make_result_csv(results: Sequence[Result]) -> str:
    """Make a CSV with a line for each run, and one for the blurry photographs."""
    lines = [("blurry", "", "", *_format_numbers(results[0].blurry, results[0].blurry_severe), "")]
    for one in results:
        numbers = _format_numbers(one.restored, one.restored_severe)
        lines.append((one.host, one.variant, str(one.seed), *numbers, one.weights))
    numbers_header = ("psnr_db", "psnr_severe_db", "st_lpips", "st_lpips_severe")
    return Table(header=("host", "variant", "seed", *numbers_header, "weights"), lines=tuple(lines)).csv()


def make_result_table(results: Sequence[Result], reference: str) -> Table:
    """Make a table of means over seeds, and of what each variant gains over `reference` at the same seed.

    Standard deviations are those of samples (divided by n - 1), and are left out where there is one seed.
    """
    first = results[0]
    blurry = ("blurry", "", "", *(format_mean([n], 2) for n in (first.blurry.psnr_db, first.blurry_severe.psnr_db)))
    lines = [(*blurry, "", "", *(format_mean([n], 4) for n in (first.blurry.st_lpips, first.blurry_severe.st_lpips)))]
    for host, variant in dict.fromkeys((one.host, one.variant) for one in results):
        ours = [one for one in results if (one.host, one.variant) == (host, variant)]
        without = {one.seed: one for one in results if (one.host, one.variant) == (host, reference)}
        paired = [(one, without[one.seed]) for one in ours if one.seed in without and variant != reference]

        def gained(psnr_db: Callable[[Result], float], pairs: Sequence[tuple[Result, Result]]) -> str:
            return format_mean([psnr_db(one) - psnr_db(other) for one, other in pairs], 3, sign="+") if pairs else ""

        lines.append(
            (
                host,
                variant,
                str(len(ours)),
                format_mean([one.restored.psnr_db for one in ours], 2),
                format_mean([one.restored_severe.psnr_db for one in ours], 2),
                gained(lambda one: one.restored.psnr_db, paired),
                gained(lambda one: one.restored_severe.psnr_db, paired),
                format_mean([one.restored.st_lpips for one in ours], 4),
                format_mean([one.restored_severe.st_lpips for one in ours], 4),
            )
        )
    header = ("host", "variant", "seeds", "PSNR", "PSNR severe", f"over {reference}, dB", "severe, dB")
    return Table(header=(*header, "ST-LPIPS", "ST-LPIPS severe"), lines=tuple(lines))


def _compute_score(rows: Sequence[Row], when: str) -> Score:
    return Score(
        psnr_db=fmean(row.scores[f"psnr_{when}_db"] for row in rows),
        st_lpips=fmean(row.scores[f"st_lpips_{when}"] for row in rows),
    )


def _format_numbers(score: Score, severe: Score) -> tuple[str, ...]:
    decibels = (f"{score.psnr_db:.4f}", f"{severe.psnr_db:.4f}")
    return (*decibels, f"{score.st_lpips:.5f}", f"{severe.st_lpips:.5f}")
