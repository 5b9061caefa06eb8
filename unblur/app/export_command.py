"""`unblur export`: a restoring network as a file that other programs run without this one."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.names import ExportFormat, ExportMode


def export(
    format: tyro.conf.Positional[ExportFormat],  # noqa: A002 - what people see in the help
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: str | None = None,
    mode: ExportMode = "faithful",
) -> int:
    """Write a restoring network as a file that other programs run: ONNX, OpenVINO, darktable.

    The network alone is exported. Solved camera shake, tiles, the guard against garbage and the generative mode are
    parts of unblur, and stay here.

    Args:
        format: onnx takes photographs of any size; openvino is the same as .xml and .bin; dtmodel is an archive that
            darktable imports, for its denoising, in tiles of 768 px.
        output: File that is written: FILE.onnx, FILE.xml or FILE.dtmodel. A file that is there already is an error.
        checkpoint: Other weights: a folder here, or a repository on the Hugging Face hub.
        mode: fast looks at half the size alone, in a fraction of the time; fine blur stays.
    """
    suffix = _SUFFIXES[format]
    targets = [output.with_suffix(".bin"), output] if format == "openvino" else [output]
    _check_output(format, output, targets)

    from unblur.app.output_file import write_output
    from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
    from unblur.errors import UnblurError
    from unblur.models import GlowConfig
    from unblur.restoration.exported_files import (
        card_of,
        check_darktable_id,
        darktable_archive,
        darktable_window_px,
        facts_of,
        openvino_files,
    )
    from unblur.restoration.onnx_export import onnx_model
    from unblur.restoration.restorer import load

    if suffix == ".dtmodel":
        check_darktable_id(output.stem)
    held = load_checkpoint(BUNDLED_RESTORER if checkpoint is None else checkpoint)
    if isinstance(held.config, GlowConfig):
        raise UnblurError(f"{held.folder} holds a generative network, which is not exported; give another checkpoint.")
    window_px = darktable_window_px(held.train_patch_px) if format == "dtmodel" else None
    network = load(held.folder, "cpu", "float32", window_px, fast=mode == "fast", shake="off").network
    facts = facts_of(held, fast=mode == "fast")
    if format == "dtmodel":
        contents = [darktable_archive(network, facts, output.stem, card_of(held))]
    elif format == "openvino":
        # The weights first: who opens the .xml finds them.
        contents = list(reversed(openvino_files(onnx_model(network, facts), facts)))
    else:
        contents = [onnx_model(network, facts)]
    for path, data in zip(targets, contents, strict=True):
        write_output(path, data)
    sys.stdout.write(
        f"{output} holds {facts.name}, weights {facts.checkpoint_sha256[:12]}, {sum(map(len, contents)) / 1e6:.1f} MB. "
        f"Licence of the weights: {facts.licence}.\n"
    )
    return 0


def _check_output(format: ExportFormat, output: Path, targets: list[Path]) -> None:  # noqa: A002
    """Raises UnblurError for a name that does not fit, and for files that are there already."""
    from unblur.errors import UnblurError

    if output.suffix != _SUFFIXES[format]:
        raise UnblurError(f"{output} is no name for {format}; give one that ends in {_SUFFIXES[format]}.")
    for path in targets:
        if path.exists() or path.is_symlink():
            raise UnblurError(f"{path} is there already; give another name.")


_SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "openvino": ".xml", "dtmodel": ".dtmodel"}
