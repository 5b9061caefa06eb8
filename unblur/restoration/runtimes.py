"""Runs a restoring network in PyTorch, ONNX Runtime or OpenVINO, which give equal results at different speeds.

ONNX Runtime and OpenVINO run the exported graph on the processor (docs/guide/export.md has the measurements).
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.checkpoints.folder import Checkpoint
from unblur.config import to_json
from unblur.errors import UnblurError
from unblur.models import ModelConfig
from unblur.models.pooling import use_local_pooling
from unblur.names import Precision, Runtime
from unblur.restoration.device import choose_device, choose_precision
from unblur.restoration.exported_files import describe_network
from unblur.restoration.graph_cache import load_or_build
from unblur.restoration.onnx_export import INPUT, build_onnx_model

Array = NDArray[np.float32]


class NetworkRuntime(Protocol):
    """A network that can be run. Threads may share it."""

    def __call__(self, blurry: Tensor, *, bfloat16: bool) -> Tensor:
        """Restore (B, 3, H, W) float32 in [0, 1] -> same, not limited to [0, 1], of any height and width.

        `bfloat16` permits to compute in bfloat16. Raises MemoryError or a RuntimeError of PyTorch without memory.
        """


class TorchRuntime:
    """A network run by PyTorch."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        """Take over `network`, which is on `device` and in evaluation mode."""
        self._network, self._device = network, device

    def __call__(self, blurry: Tensor, *, bfloat16: bool) -> Tensor:
        """Restore images on `device`; see `NetworkRuntime`."""
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=bfloat16):
            restored: Tensor = self._network(blurry)
        return restored.float()


class OnnxRuntime:
    """An exported graph run by ONNX Runtime on the processor, always in float32."""

    def __init__(self, graph: bytes) -> None:
        """Load `graph`, an ONNX model. Raises UnblurError if onnxruntime is not installed."""
        try:
            import onnxruntime
        except ImportError:
            raise _describe_missing("onnxruntime", "onnx") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Errors are reported by us, in one sentence.
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, blurry: Tensor, *, bfloat16: bool) -> Tensor:
        """Restore images; see `NetworkRuntime`."""
        del bfloat16
        return _run_each(blurry, "ONNX Runtime", lambda image: self._session.run(None, {INPUT: image})[0])


class OpenVinoRuntime:
    """An exported graph run by OpenVINO on the processor."""

    def __init__(self, graph: bytes) -> None:
        """Load `graph`, an ONNX model. Raises UnblurError if openvino is not installed."""
        try:
            import openvino
        except ImportError:
            raise _describe_missing("openvino", "openvino") from None
        self._core = openvino.Core()
        self._model = self._core.read_model(graph)
        self._compiled: dict[bool, Any] = {}
        self._compiling = threading.Lock()

    def __call__(self, blurry: Tensor, *, bfloat16: bool) -> Tensor:
        """Restore images; see `NetworkRuntime`. The first call in each precision compiles the graph."""
        with self._compiling:
            if bfloat16 not in self._compiled:
                settings = {
                    "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
                    "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                }
                self._compiled[bfloat16] = self._core.compile_model(self._model, "CPU", settings)
            # A request of its own for each call, because threads may not share one.
            request = self._compiled[bfloat16].create_infer_request()
        return _run_each(blurry, "OpenVINO", lambda image: request.infer([image])[0].copy())


_EXPORTED: Mapping[Runtime, tuple[str, Callable[[bytes], NetworkRuntime]]] = {
    "onnx": ("ONNX Runtime", OnnxRuntime),
    "openvino": ("OpenVINO", OpenVinoRuntime),
}


def choose_runtime_device(runtime: Runtime, device: str) -> torch.device:
    """Return the device called `device` that `runtime` runs on.

    Raises UnblurError for a device that is not there or that the runtime does not use.
    """
    if runtime not in _EXPORTED:
        return choose_device(device)
    if device not in ("auto", "cpu"):
        raise UnblurError(
            f'{_EXPORTED[runtime][0]} restores on the CPU only, not on "{device}"; use that device with the runtime '
            "torch, or the CPU."
        )
    return choose_device("cpu")


def choose_runtime(runtime: Runtime, device: torch.device, precision: Precision) -> Runtime:
    """Return `runtime`; for "auto", ONNX Runtime where a processor computes in float32, else PyTorch."""
    if runtime != "auto":
        return runtime
    return "onnx" if device.type == "cpu" and choose_precision(precision, device) == "float32" else "torch"


def load_runtime(
    runtime: Runtime,
    checkpoint: Checkpoint,
    network: nn.Module,
    window_px: int | None,
    device: torch.device,
    precision: Precision,
    *,
    fast: bool,
) -> NetworkRuntime | None:
    """Return the network of `checkpoint`, exported for a runtime; None where PyTorch runs it.

    Args:
        runtime: The runtime; "auto" is PyTorch where the fastest one is not installed or cannot run the network.
        checkpoint: The checkpoint of the network.
        network: The network itself, or its `HalfResolution` with `fast`.
        window_px: Window of local pooling; None pools over the whole image.
        device: The device of the restorer.
        precision: The precision of the restorer.
        fast: Whether the network restores at half the size only.

    Raises:
        UnblurError: The runtime is not installed, or the network cannot be exported.
    """
    chosen = choose_runtime(runtime, device, precision)
    if chosen not in _EXPORTED:
        return None

    def build() -> bytes:
        use_local_pooling(network, window_px)
        return build_onnx_model(network, describe_network(checkpoint, fast=fast), limit=False)

    settings = f"{checkpoint.sha256} {window_px} {fast}\n{to_json(checkpoint.config, ModelConfig)}"
    try:
        graph = load_or_build(hashlib.sha256(settings.encode()).hexdigest()[:32], build)
        return _EXPORTED[chosen][1](graph)
    except UnblurError:
        if runtime == "auto":
            return None
        raise


def _describe_missing(package: str, extra: str) -> UnblurError:
    return UnblurError(
        f"The runtime {extra} needs {package}, which is not installed; run: pip install 'unblur[{extra}]'"
    )


def _run_each(blurry: Tensor, runtime: str, restore: Callable[[Array], Array]) -> Tensor:
    """Restore a batch image by image, because the graph has a batch size of 1. Shape: (B, 3, H, W) -> same."""
    images = blurry.contiguous().numpy()
    try:
        return torch.cat([torch.from_numpy(restore(image[None])) for image in images])
    except Exception as error:  # Both runtimes have exceptions without a common parent.
        reason = str(error).strip().split("\n")[0]
        if "alloc" in reason.lower() or "out of memory" in reason.lower():
            raise MemoryError(reason) from error
        raise UnblurError(f"{runtime} cannot run the network ({reason}); use the runtime torch.") from error
