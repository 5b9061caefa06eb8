"""`unblur export`: write a restoring network as a file that other programs run."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.options import CheckpointName
from unblur.names import ExportFormat, ExportMode


def export(
    format: Annotated[tyro.conf.Positional[ExportFormat], tyro.conf.arg(metavar="FORMAT")],  # noqa: A002 - the name of the argument in the help
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")],
    checkpoint: CheckpointName = None,
    mode: Annotated[ExportMode, tyro.conf.arg(metavar="faithful|fast")] = "faithful",
) -> int:
    """Write a restoring network as a file that other programs run: ONNX, OpenVINO, darktable.

    Only the network is exported. The file has no deconvolution of camera shake, no tiles, no check for implausible
    results and no generative mode.

    Args:
        format: The file format: onnx, for photographs of any size; openvino, the same network as .xml and .bin; or
            dtmodel, an archive for darktable's denoising, with tiles of 768 px.
        output: File to write: FILE.onnx, FILE.xml or FILE.dtmodel. An existing file is an error.
        checkpoint: Weights instead of the bundled ones: a folder, or a repository on the Hugging Face hub.
        mode: fast is the network at half the size only: several times faster, but fine blur stays.
    """
    suffix = _SUFFIXES[format]
    targets = [output.with_suffix(".bin"), output] if format == "openvino" else [output]
    _check_output(format, output, targets)

    from unblur.app.output_file import write_output
    from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
    from unblur.errors import UnblurError
    from unblur.models import GlowConfig
    from unblur.restoration.exported_files import (
        build_darktable_archive,
        build_openvino_files,
        check_darktable_id,
        choose_darktable_window_px,
        describe_network,
        read_model_card,
    )
    from unblur.restoration.loading import load
    from unblur.restoration.onnx_export import build_onnx_model

    if suffix == ".dtmodel":
        check_darktable_id(output.stem)
    loaded = load_checkpoint(BUNDLED_RESTORER if checkpoint is None else checkpoint)
    if isinstance(loaded.config, GlowConfig):
        raise UnblurError(
            f"{loaded.folder} holds a generative network, which cannot be exported; give another checkpoint."
        )
    window_px = choose_darktable_window_px(loaded.train_patch_px) if format == "dtmodel" else None
    network = load(loaded.folder, "cpu", "float32", window_px, mode=mode, shake="off", runtime="torch").network
    description = describe_network(loaded, fast=mode == "fast")
    if format == "dtmodel":
        contents = [build_darktable_archive(network, description, output.stem, read_model_card(loaded))]
    elif format == "openvino":
        # The weights come first, so that an .xml is never without them.
        contents = list(reversed(build_openvino_files(build_onnx_model(network, description), description)))
    else:
        contents = [build_onnx_model(network, description)]
    for path, data in zip(targets, contents, strict=True):
        write_output(path, data)
    sys.stdout.write(
        f"Wrote {output}: {description.name}, weights {description.checkpoint_sha256[:12]}, "
        f"{sum(map(len, contents)) / 1e6:.1f} MB. "
        f"Licence of the weights: {description.licence}.\n"
    )
    return 0


def _check_output(format: ExportFormat, output: Path, targets: list[Path]) -> None:  # noqa: A002
    """Raise UnblurError for a wrong suffix and for files that exist."""
    from unblur.errors import UnblurError

    if output.suffix != _SUFFIXES[format]:
        raise UnblurError(f"{output} is not a name for {format}; give a name that ends in {_SUFFIXES[format]}.")
    for path in targets:
        if path.exists() or path.is_symlink():
            raise UnblurError(f"{path} exists already; give another name.")


_SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "openvino": ".xml", "dtmodel": ".dtmodel"}
