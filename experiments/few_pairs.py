"""Measure blur pattern pretraining (BPP) where real pairs are few, as in GLOWDeblur's setting (arXiv 2601.06525).

`python -m experiments.few_pairs TARGET... --photos PHOTOS --held-out PHOTOS -o FOLDER` trains one network on 4, 20 and
100 pairs of each target and on those of all targets mixed. It starts from random weights, from a pretraining on one
narrow camera, from a pretraining on the full range of the simulator with as many updates, and from bundled weights.
Each network is measured on other pictures of its own target and on the other targets.

A target is a preset of the simulator, or two folders of pairs, `TRAINING:MEASURED`. The pretrainings are made once.
With each seed the pairs, the order of the patches and random weights are others. Several processes share the work:
`--start 0 --every 2` and `--start 1 --every 2`; then the command without both prints the tables.
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import tyro

from experiments.data_sets import BenchmarkSet, find_training_source, open_benchmark_sets, write_simulated_pairs
from experiments.dataset_rows import Cell, NetworkName, RowContext, make_row_recipe, measure_row, train_row
from experiments.harness import ProgressBars, format_mean, run, write_table
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_FAITHFUL
from unblur.datasets import DataSource, PairSet, SimulatedBlur
from unblur.errors import UnblurError
from unblur.evaluation.measured_pictures import find_pictures
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, encode_figure
from unblur.evaluation.tables import Table
from unblur.names import PresetName
from unblur.training.allocator import keep_freed_memory

Beginning = Literal["random", "narrow", "full", "bundled"]
"""Weights that the training on few pairs starts from."""

MIXED, PRETRAINED_ONLY, OWN = "all mixed", "none", "its training pairs"

EMA_DECAY = 0.98
"""Runs are short."""

MEASURED_OF_TRAINING = 12
"""Training pairs of each network that are measured too, at most."""

CSV_HEADER = ("trained_on", "pairs", "beginning", "seed", "measured_on", "images", "psnr_before_db", "psnr_after_db")


@dataclass(frozen=True, kw_only=True)
class FewPairsRow:
    """Measurements of one network, with its training set and its initial weights."""

    trained_on: str
    pairs: int
    beginning: Beginning
    seed: int
    cells: Mapping[str, Cell]
    """Measurements by target."""
    own: Cell | None
    """The same of its training pairs; None for the pretrained networks."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The settings of the training."""

    steps: int
    random_steps: int
    pretraining_steps: int
    peak_rate: float
    """Peak learning rate from random weights."""
    tuning_rate: float
    """Peak learning rate from pretrained weights."""


class FewPairsStudy:
    """Trains and measures the networks of all rows; finished ones are not made again."""

    def __init__(
        self,
        targets: Sequence[BenchmarkSet],
        context: RowContext,
        budget: Budget,
        narrow: str,
        bundled: Path,
        size_px: int,
    ) -> None:
        self._targets, self._context, self._budget = targets, context, budget
        self._narrow, self._size_px = narrow, size_px
        self._pretrained: dict[Beginning, Path | None] = {"random": None, "bundled": bundled}

    def pretrain(self, beginning: Beginning) -> Path | None:
        """Return the checkpoint that a beginning starts from, after training it if necessary; None for random."""
        if beginning not in self._pretrained:
            source = find_training_source(self._narrow if beginning == "narrow" else "full")
            assert source is not None
            context = self._with_rate(self._budget.peak_rate, seed=1)
            name, steps = f"pretrained-{beginning}", self._budget.pretraining_steps
            self._pretrained[beginning] = train_row(context, name, [source], steps)
        return self._pretrained[beginning]

    def measure_pretrained(self, beginning: Beginning) -> FewPairsRow:
        """Measure a beginning without any pairs of the targets."""
        checkpoint = self.pretrain(beginning)
        assert checkpoint is not None
        cells = measure_row(self._context, f"pretrained-{beginning}", checkpoint, self._targets)
        return FewPairsRow(trained_on=PRETRAINED_ONLY, pairs=0, beginning=beginning, seed=1, cells=cells, own=None)

    def train(self, trained_on: str, count: int, beginning: Beginning, seed: int) -> FewPairsRow:
        """Train on `count` pairs of one target, or of each of all targets, and measure."""
        chosen = [one for one in self._targets if trained_on in (MIXED, one.name)]
        sources = [self._open_pairs(one, count, seed) for one in chosen]
        init = self.pretrain(beginning)
        budget = self._budget
        steps, rate = (budget.random_steps, budget.peak_rate) if init is None else (budget.steps, budget.tuning_rate)
        name = f"{beginning}-{trained_on.replace(' ', '-')}-{count}-seed{seed}"
        context = self._with_rate(rate, seed)
        checkpoint = train_row(context, name, sources, steps, init)
        cells = measure_row(context, name, checkpoint, self._targets)
        own = None
        if trained_on != MIXED:
            pictures = find_pictures(Path(cast(PairSet, sources[0]).folder)).evenly(MEASURED_OF_TRAINING)
            training = BenchmarkSet(name="its-training-pairs", source=None, measured=pictures)
            own = measure_row(context, name, checkpoint, [training])[training.name]
        return FewPairsRow(trained_on=trained_on, pairs=count, beginning=beginning, seed=seed, cells=cells, own=own)

    def _with_rate(self, rate: float, seed: int) -> RowContext:
        recipe = self._context.recipe
        return replace(
            self._context,
            recipe=replace(recipe, seed=seed, schedule=replace(recipe.schedule, peak_learning_rate=rate)),
        )

    def _open_pairs(self, target: BenchmarkSet, count: int, seed: int) -> DataSource:
        source = target.source
        assert source is not None
        if not isinstance(source, SimulatedBlur):
            return source
        folder = self._context.output / "pairs" / f"{target.name}-{count}-seed{seed}"
        assert self._context.photos is not None
        write_simulated_pairs(
            folder, source.camera, self._context.photos, pairs=count, size_px=self._size_px, seed=seed
        )
        return PairSet(folder=str(folder), share=1.0)


def open_targets(
    texts: Sequence[str], *, held_out: Path, written_to: Path, test_pairs: int, size_px: int
) -> list[BenchmarkSet]:
    """Open presets of the simulator, and pairs of folders, `TRAINING:MEASURED`. Raises UnblurError."""
    for text in texts:
        if text not in get_args(PresetName) and ":" not in text:
            raise UnblurError(
                f"{text} is no preset of the simulator ({', '.join(get_args(PresetName))}) and names no two folders; "
                "give TRAINING:MEASURED."
            )
    return open_benchmark_sets(texts, held_out=held_out, written_to=written_to, pairs=test_pairs, size_px=size_px)


def list_rows(
    targets: Sequence[BenchmarkSet], counts: Sequence[int], seeds: int
) -> list[tuple[str, int, Beginning, int]]:
    """Return the networks to train as (target, pairs, beginning, seed); those with random initial weights come first.

    Targets on disk have one number of pairs, listed as the smallest of `counts`. Networks for all targets mixed start
    from random and from bundled weights.
    """
    rows: list[tuple[str, int, Beginning, int]] = []
    for beginning in get_args(Beginning):
        for seed in range(1, seeds + 1):
            for target in targets:
                own_counts = counts if isinstance(target.source, SimulatedBlur) else counts[:1]
                rows += [(target.name, count, beginning, seed) for count in own_counts]
            if beginning in ("random", "bundled") and len(targets) > 1:
                rows += [(MIXED, count, beginning, seed) for count in counts]
    return rows


def make_table(rows: Sequence[FewPairsRow], targets: Sequence[str]) -> Table:
    """Make the table of gains over the blurry pictures: mean and standard deviation over the seeds."""
    keys = list(dict.fromkeys((row.trained_on, row.pairs, row.beginning) for row in rows))
    lines = []
    for trained_on, pairs, beginning in keys:
        found = [row for row in rows if (row.trained_on, row.pairs, row.beginning) == (trained_on, pairs, beginning)]
        own = [compute_gain_db(row.own) for row in found if row.own is not None]
        cells = [format_mean([compute_gain_db(row.cells[name]) for row in found], 2, sign="+") for name in targets]
        lines.append((trained_on, str(pairs), beginning, *cells, format_mean(own, 2, sign="+") if own else ""))
    return Table(header=("trained on", "pairs", "started from", *targets, OWN), lines=tuple(lines))


def make_csv(rows: Sequence[FewPairsRow]) -> str:
    """Make a CSV with one line for each network and set."""
    lines = []
    for row in rows:
        cells = {**row.cells, **({OWN: row.own} if row.own is not None else {})}
        lines += [
            (
                row.trained_on,
                str(row.pairs),
                row.beginning,
                str(row.seed),
                name,
                str(cell.images),
                f"{cell.psnr_before_db:.4f}",
                f"{cell.psnr_after_db:.4f}",
            )
            for name, cell in cells.items()
        ]
    return Table(header=CSV_HEADER, lines=tuple(lines)).csv()


def compute_gain_db(cell: Cell) -> float:
    """Return the gain over the blurry pictures in dB of PSNR."""
    return cell.psnr_after_db - cell.psnr_before_db


def plot_gains(rows: Sequence[FewPairsRow], targets: Sequence[str], path: Path) -> None:
    """Write a figure of the gain on each simulated target against the number of its pairs, as PNG.

    Raises UnblurError where no target has several numbers of pairs.
    """
    from matplotlib.figure import Figure

    drawn = [name for name in targets if len({row.pairs for row in rows if row.trained_on == name}) > 1]
    if not drawn:
        raise UnblurError("A figure needs a simulated target and several --counts.")
    figure = Figure(figsize=(SIDE_INCHES * len(drawn), SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    for panel, name in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        counts = sorted({row.pairs for row in rows if row.trained_on == name})
        for colour, beginning in zip(COLOURS, get_args(Beginning), strict=False):
            gains = [
                [
                    compute_gain_db(row.cells[name])
                    for row in rows
                    if (row.trained_on, row.pairs, row.beginning) == (name, count, beginning)
                ]
                for count in counts
            ]
            means, spreads = [statistics.fmean(of) for of in gains], [_compute_spread(of) for of in gains]
            panel.errorbar(counts, means, spreads, marker="o", markersize=4, color=colour, capsize=3, label=beginning)
        panel.axhline(0, color="#444444", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xticks(counts, [str(count) for count in counts])
        panel.minorticks_off()
        panel.set_xlabel(f"training pairs of {name}")
        panel.set_ylabel("gain on other pairs, dB")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8, title="started from")
    write_atomically(path, encode_figure(figure))


def _compute_spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def few_pairs(
    targets: tyro.conf.Positional[list[str]],
    *,
    photos: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    counts: tuple[int, ...] = (4, 20, 100),
    seeds: int = 3,
    narrow: Literal["gopro", "realblur", "rsblur"] = "gopro",
    network: NetworkName = "bundled",
    checkpoint: Path = BUNDLED_FAITHFUL,
    steps: int = 200,
    random_steps: int = 800,
    pretraining_steps: int = 2500,
    peak_rate: float = 1e-3,
    tuning_rate: float = 2e-4,
    patch: int = 96,
    batch: int = 4,
    test_pairs: int = 16,
    size: int = 192,
    training_size: int = 320,
    plot: Path | None = None,
    start: int | None = None,
    every: int = 1,
) -> int:
    """Compare beginnings of the training on few pairs.

    Args:
        targets: Presets of the simulator, and folders of pairs to train on and to measure, TRAINING:MEASURED.
        photos: Folder of sharp photographs for training.
        held_out: Folder of other sharp photographs, for the simulated pairs that are measured.
        output: Folder of the tables, networks and pairs.
        counts: Numbers of training pairs.
        seeds: Number of random seeds.
        narrow: The camera of the narrow pretraining.
        network: Network to train: small, bundled (the bundled network's shape), restormer (the paper's).
        checkpoint: A network of that shape that was pretrained before.
        steps: Updates from pretrained weights.
        random_steps: Updates from random weights.
        pretraining_steps: Updates of the narrow and of the full pretraining.
        peak_rate: Peak learning rate from random weights.
        tuning_rate: Peak learning rate from pretrained weights.
        patch: Side of the training patches in pixels.
        batch: Patches of each update.
        test_pairs: Pairs of each target that are measured, at most.
        size: Side of the simulated pictures that are measured, in pixels.
        training_size: Side of the simulated training pictures in pixels.
        plot: PNG file for a figure of the gains; needs `pip install 'unblur[plots]'`.
        start: The first row that this process makes, without tables; all rows with tables without it.
        every: Step from one of these rows to the next.
    """
    if plot is not None:
        check_plottable()
    if min(seeds, steps, random_steps, pretraining_steps, patch, batch, test_pairs, every, *counts) < 1:
        raise UnblurError("Numbers of pairs, seeds, steps and sizes must be at least 1.")
    opened = open_targets(targets, held_out=held_out, written_to=output / "sets", test_pairs=test_pairs, size_px=size)
    budget = Budget(
        steps=steps,
        random_steps=random_steps,
        pretraining_steps=pretraining_steps,
        peak_rate=peak_rate,
        tuning_rate=tuning_rate,
    )
    recipe = make_row_recipe(network, steps=steps, patch_px=patch, batch=batch, seed=1)
    recipe = replace(recipe, optimization=replace(recipe.optimization, ema_decay=EMA_DECAY))
    keep_freed_memory()
    planned = list_rows(opened, sorted(counts), seeds)
    beginnings: tuple[Beginning, ...] = ("narrow", "full", "bundled")
    with closing(ProgressBars()) as bars:
        context = RowContext(recipe=recipe, photos=photos, output=output, report=bars)
        study = FewPairsStudy(opened, context, budget, narrow, checkpoint, training_size)
        if start is not None:
            for beginning in beginnings[start % every :: every]:
                study.pretrain(beginning)
            for row in planned[start::every]:
                study.train(*row)
            return 0
        rows = [study.measure_pretrained(beginning) for beginning in beginnings]
        rows += [study.train(*row) for row in planned]
    names = [target.name for target in opened]
    rows.sort(key=lambda row: ([PRETRAINED_ONLY, *names, MIXED].index(row.trained_on), row.pairs))
    cells = rows[0].cells.items()
    blurry = ", ".join(f"{name} {cell.psnr_before_db:.2f} dB ({cell.images} pictures)" for name, cell in cells)
    title = (
        f"Gain over the blurry pictures in dB of PSNR ({blurry}), mean and standard deviation of {seeds} seeds: "
        f"{steps} steps from pretrained and {random_steps} from random weights, {batch} patches of {patch} px; "
        f"{pretraining_steps} steps of pretraining, narrow: {narrow}."
    )
    write_table(output, "few-pairs", title, make_table(rows, names).markdown(), make_csv(rows))
    if plot is not None:
        plot_gains(rows, names, plot)
    return 0


if __name__ == "__main__":
    sys.exit(run(few_pairs))
