"""How near a semantic prior comes to what its teacher sees in the sharp photograph, and how near the teacher was.

The claim that this measures: in the features of a network of another task, a blurry photograph is close to the sharp
one (Wang et al. 2023, arXiv 2302.06898), and a student that learnt across levels comes closer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.checkpoints.folder import load_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import Pair
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.metrics import psnr
from unblur.models import SemanticPrior, SemanticPriorConfig
from unblur.models.features import FeatureLevel
from unblur.models.semantic_prior import features_of


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One pair at one level. Cosines with what the teacher sees in the sharp photograph, mean over places."""

    image: str
    psnr_db: float
    """Of the blurry photograph: the severity of its blur."""
    stride_px: int
    teacher: float
    """Of what the teacher sees in the blurry photograph."""
    student: float
    """Of what the student answers."""
    checkpoint: str
    """SHA-256 of the weights."""


def load_prior(source: str | Path, device: torch.device) -> tuple[SemanticPrior, nn.Module, str]:
    """A checkpoint of `unblur train prior`, its teacher, and the checkpoint's SHA-256. Raises UnblurError."""
    checkpoint = load_checkpoint(source)
    if not isinstance(checkpoint.config, SemanticPriorConfig) or not isinstance(checkpoint.model, SemanticPrior):
        raise UnblurError(f"{checkpoint.folder} holds no semantic prior; give a checkpoint of `unblur train prior`.")
    return checkpoint.model.to(device), load_teacher(checkpoint.config.backbone).to(device), checkpoint.sha256


@torch.inference_mode()
def feature_similarity(
    pairs: Iterable[Pair], student: SemanticPrior, teacher: nn.Module, checkpoint: str
) -> Iterator[FeatureRow]:
    """One row for each pair and level, finest first."""
    device = next(student.parameters()).device
    for pair in pairs:
        blurry, sharp = (side[None].to(device) for side in (pair.blurry, pair.sharp))
        taught = features_of(teacher, sharp)
        seen = similarities(features_of(teacher, blurry), taught)
        answered = similarities(student(blurry), taught)
        for level, before, after in zip(student.levels, seen, answered, strict=True):
            yield FeatureRow(
                image=pair.name,
                psnr_db=float(psnr(blurry, sharp)),
                stride_px=level.stride_px,
                teacher=before.item(),
                student=after.item(),
                checkpoint=checkpoint,
            )


def similarities(features: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """Cosine of the angle between the features of every place, mean over places, one scalar for each level."""
    pairs = zip(features, others, strict=True)
    return [F.cosine_similarity(one.float(), other.float(), dim=1).mean() for one, other in pairs]


def similarity_csv(rows: Iterable[FeatureRow]) -> str:
    """The rows with a header line."""
    lines = tuple(
        (
            row.image,
            f"{row.psnr_db:.3f}",
            str(row.stride_px),
            f"{row.teacher:.5f}",
            f"{row.student:.5f}",
            row.checkpoint,
        )
        for row in rows
    )
    return Table(header=("image", "psnr_db", "stride_px", "teacher", "student", "checkpoint"), lines=lines).csv()


def similarity_table(rows: list[FeatureRow], levels: tuple[FeatureLevel, ...]) -> Table:
    """Fifths of the pairs by the severity of blur, least blurry first; teacher -> student."""
    per_pair = [rows[start : start + len(levels)] for start in range(0, len(rows), len(levels))]
    per_pair.sort(key=lambda members: -members[0].psnr_db)
    count = min(5, len(per_pair))
    lines = []
    for part in range(count):
        members = per_pair[part * len(per_pair) // count : (part + 1) * len(per_pair) // count]
        cells = [
            f"{fmean(pair[place].teacher for pair in members):.3f} -> "
            f"{fmean(pair[place].student for pair in members):.3f}"
            for place in range(len(levels))
        ]
        lines.append((str(len(members)), f"{fmean(pair[0].psnr_db for pair in members):.2f}", *cells))
    heads = [f"{place}: stride {level.stride_px}" for place, level in enumerate(levels, start=1)]
    return Table(header=("pairs", "PSNR", *heads), lines=tuple(lines))
