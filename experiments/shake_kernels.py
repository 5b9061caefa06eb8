"""Kernels of the examples of `experiments.shake_examples` as `unblur.estimate_shake` estimates them on photographs.

`python -m experiments.shake_kernels FOLDER --estimator CHECKPOINT` writes them beside the examples. An interrupted run
continues.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

from experiments.harness import run
from experiments.shake_examples import ShakeExamples, count_finished_rows, open_examples, to_image
from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.deconvolution.kernel_features import WINDOW_PX
from unblur.deconvolution.light_streaks import estimate_kernel_by_streaks
from unblur.errors import UnblurError
from unblur.models import KernelEstimator
from unblur.photos.color import luminance, srgb_to_linear
from unblur.restoration.shake import STREAKS_ERROR, refine_kernel


@dataclass(frozen=True, kw_only=True)
class EstimatedKernels:
    """Arrays on disk, one row an example."""

    kernel: NDArray[np.float32]
    """(N, 65, 65), sum 1; zeros where none was estimated yet."""
    error: NDArray[np.float32]
    """(N,): the expected relative error, 0 to 1."""

    @property
    def finished(self) -> int:
        """Return the number of complete rows from the first on."""
        return count_finished_rows(self.kernel)


def open_kernels(folder: Path, count: int | None = None) -> EstimatedKernels:
    """Open the arrays in `folder`; with `count`, make them there. Raises UnblurError when there are none."""
    paths = folder / "estimated_kernel.npy", folder / "estimated_error.npy"
    if count is not None and not all(path.exists() for path in paths):
        for path, shape in zip(paths, ((count, WINDOW_PX, WINDOW_PX), (count,)), strict=True):
            np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if not all(path.exists() for path in paths):
        raise UnblurError(f"{folder} holds no estimated kernels; run python -m experiments.shake_kernels {folder}.")
    kernel, error = (np.load(path, mmap_mode="r+") for path in paths)
    return EstimatedKernels(kernel=kernel, error=error)


def estimate(
    folder: tyro.conf.Positional[Path],
    *,
    estimator: Path = BUNDLED_KERNEL_ESTIMATOR,
    threads: int = 1,
) -> int:
    """Estimate the kernels of examples.

    Args:
        folder: Folder of examples.
        estimator: Folder of the kernel estimator.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    network = load_checkpoint(estimator).model
    if not isinstance(network, KernelEstimator):
        raise UnblurError(f"{estimator} holds no kernel estimator; give the folder of one.")
    examples = open_examples(folder)
    kernels = open_kernels(folder, len(examples.kernel))
    for index in range(kernels.finished, examples.finished):
        kernel, kernels.error[index] = _estimate(network, examples, index)
        kernels.kernel[index] = torch.nn.functional.pad(kernel, ((WINDOW_PX - len(kernel)) // 2,) * 4).numpy()
        if index % 100 == 99:
            sys.stderr.write(f"{index + 1} of {examples.finished}\n")
    return 0


@torch.inference_mode()
def _estimate(network: KernelEstimator, examples: ShakeExamples, index: int) -> tuple[Tensor, float]:
    blurry, restored = to_image(examples.blurry[index]), to_image(examples.restored[index])
    light = srgb_to_linear(blurry)
    by_streaks = estimate_kernel_by_streaks(light)
    if by_streaks is not None:
        return by_streaks, STREAKS_ERROR
    edges = torch.from_numpy(np.array(examples.edges[index]))
    kernel, error = refine_kernel(network, blurry, restored, edges, luminance(light))
    return kernel, min(1.0, error)


if __name__ == "__main__":
    sys.exit(run(estimate))
