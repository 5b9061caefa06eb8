"""Types of options that several commands have, with the names that help texts show for their values.

`help_behavior_hint=""` leaves out "(default: None)" and "(default: False)", which say nothing.
"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

Flag = Annotated[bool, arg(help_behavior_hint="")]
Quiet = Annotated[bool, arg(aliases=["-q"], help_behavior_hint="")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")]
OptionalText = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]
OptionalName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
OptionalNumber = Annotated[int | None, arg(metavar="N", help_behavior_hint="")]
OptionalShare = Annotated[float | None, arg(metavar="0..1", help_behavior_hint="")]
Number = Annotated[int, arg(metavar="N")]
Share = Annotated[float, arg(metavar="0..1")]
CheckpointName = Annotated[str | None, arg(metavar="FOLDER|OWNER/NAME", help_behavior_hint="")]
OutputFolder = Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")]
DeviceName = Annotated[Literal["auto", "cpu", "cuda", "mps", "xpu"], arg(metavar="auto|cpu|cuda|mps|xpu")]
"""Kinds of devices that photographs are restored on."""
AnyDeviceName = Annotated[str, arg(metavar="auto|cpu|cuda|...")]
"""Any device of PyTorch, such as "cuda:1", for measuring and training."""
TilePx = Annotated[Literal["auto"] | int, arg(metavar="auto|PIXELS|0")]
