"""The device and the precision of computations."""

from typing import Any, Literal

import numpy as np
import torch

from unblur.errors import UnblurError
from unblur.names import Precision

ChosenPrecision = Literal["float32", "bfloat16"]


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" selects the first available of cuda, xpu, mps and cpu.

    Raises UnblurError when it is not available.
    """
    if name == "auto":
        accelerators = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.mps}
        name = next((kind for kind, module in accelerators.items() if module.is_available()), "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # PyTorch's device "meta" holds no values.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UnblurError(f'This machine or this PyTorch has no device "{name}"; use "auto" or "cpu".') from error
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether bfloat16 arithmetic is native on `device`, not emulated in float32 at a loss."""
    match device.type:
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "xpu":
            return bool(torch.xpu.is_bf16_supported())
        case "cpu":
            # These names are not public in PyTorch yet; a missing one counts as no support.
            names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            return any(getattr(torch.cpu, name, bool)() for name in names)
        case _:
            return False


def choose_precision(precision: Precision, device: torch.device) -> ChosenPrecision:
    """Return the precision to compute in: "auto" selects bfloat16 where it is native, and float32 elsewhere."""
    if precision == "auto":
        return "bfloat16" if has_fast_bfloat16(device) else "float32"
    return precision


def uses_bfloat16(precision: Precision, device: torch.device, dtype: np.dtype[Any]) -> bool:
    """Return whether photographs of this dtype are restored in bfloat16 instead of float32."""
    if precision == "auto" and dtype != np.uint8:
        return False
    return choose_precision(precision, device) == "bfloat16"
