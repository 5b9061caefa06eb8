"""Names to choose from on the command line, which must be available without loading PyTorch.

Each docstring gives the file that defines the meaning of the names, where a `match` over all names fails to type-check
when one is missing.
"""

from typing import Literal

Mode = Literal["faithful", "fast", "generative"]
"""Modes of restoration, `unblur/app/restore_command.py`."""

FrameChoice = Literal["blurred", "all"]
"""Frames of a video to restore, `unblur/restoration/video.py`."""

ExportMode = Literal["faithful", "fast"]
"""Modes whose network can be exported, `unblur/app/export_command.py`."""

Runtime = Literal["auto", "torch", "onnx", "openvino"]
"""Programs that run a restoring network; "auto" depends on the processor, `unblur/restoration/runtimes.py`."""

ExportFormat = Literal["onnx", "openvino", "dtmodel"]
"""File formats of exported networks, `unblur/restoration/exported_files.py`."""

ShakeChoice = Literal["auto", "off", "always"]
"""Choices of when camera shake is solved: where it pays, never, or wherever a kernel is found,
`unblur/restoration/shake_solver.py`."""

PresetName = Literal["full", "gopro", "realblur", "rsblur"]
"""Cameras of the simulator, `unblur/blur/presets.py`."""

PublishedName = Literal["mimo-unet", "mimo-unet+", "mprnet", "nafnet", "nafnet-64", "restormer"]
"""Networks whose authors published weights for motion blur, `unblur/checkpoints/published.py`."""

Precision = Literal["auto", "float32", "bfloat16"]
"""Precision that networks compute in; "auto" depends on the processor, `unblur/restoration/device.py`."""

GlowSize = Literal["small", "0.6b", "1.6b"]
"""Sizes of GLOWDeblur, `unblur/models/glow_sizes.py`."""

RecipeName = Literal[
    "autoencoder",
    "decoder",
    "faithful",
    "glow",
    "glow-0.6b",
    "glow-1.6b",
    "glow-captions",
    "glow-joint",
    "motion",
    "multiscale",
    "multiscale-finish",
    "plain",
    "pre-reconstruction",
    "prior",
    "smoke",
    "unet",
    "unet-prior",
    "mimo-unet",
    "mimo-unet-prior",
    "mimo-unet+",
    "mimo-unet+-prior",
    "mprnet",
    "mprnet-prior",
    "nafnet",
    "nafnet-prior",
    "nafnet-64",
    "nafnet-64-prior",
    "restormer",
    "restormer-prior",
]
"""Training runs, `unblur/recipes`."""
