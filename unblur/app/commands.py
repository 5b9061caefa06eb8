"""The commands of `unblur`: their purposes, their examples, and where their functions are.

A new command is a function, typed and documented, that returns the exit code, in a file `NAME_command.py`, and an entry
in GROUPS. The function is imported only when it is run, so that `unblur --help` answers at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Command:
    """One command, in the words of `unblur --help`."""

    name: str
    summary: str
    """Purpose of the command on one line."""
    examples: tuple[tuple[str, str], ...]
    """Command lines, and what each of them does."""
    ends_at_once: bool = False
    """True if the process may exit without Python's shutdown, which takes time and is needed only by commands that
    start other processes."""

    def load(self) -> Callable[..., int]:
        """Import the function of the command."""
        function: Callable[..., int] = getattr(import_module(f"unblur.app.{self.name}_command"), self.name)
        return function


GROUPS: dict[str, tuple[Command, ...]] = {
    "photographs and videos": (
        Command(
            "restore",
            "Make motion-blurred photographs sharper (what `unblur PHOTO` does).",
            (
                ("unblur photo.jpg", "writes photo_unblurred.jpg beside the photograph"),
                ("unblur photo.jpg --mode fast", "takes a fraction of the time; writes photo_unblurred_fast.jpg"),
                ("unblur photo.jpg --strength 0.5 -o gentler.jpg", "applies half of the restoration"),
                ("unblur holiday -o restored --recursive", "restores a folder with its subfolders"),
                ('unblur "holiday/*.jpg" -o restored --skip-existing', "continues an interrupted batch"),
                ("unblur holiday -o restored --report report.html", "also writes a page with thumbnails"),
                ("unblur camera -o restored --watch", "restores photographs as they arrive in a folder"),
                ("unblur s3://museum/scans -o s3://museum/restored --ray auto", "distributes a batch on a Ray cluster"),
                ("unblur - < photo.jpg > sharper.jpg", "reads stdin and writes stdout"),
            ),
            ends_at_once=True,
        ),
        Command(
            "inspect",
            "Report whether photographs are sharp, shaken or out of focus, and where.",
            (
                ("unblur inspect photo.jpg", "prints the kind, length and direction of the blur"),
                ("unblur inspect holiday -r --overlay overlays", "also draws where each photograph is blurred"),
            ),
        ),
        Command(
            "video",
            "Restore the blurred frames of a video.",
            (
                ("unblur video clip.mp4 sharper.mp4", "restores the frames that are blurrier than their neighbours"),
                ("unblur video clip.mp4 all.mp4 --frames all --crf 14", "restores all frames, in higher quality"),
            ),
            ends_at_once=True,
        ),
        Command(
            "web",
            "Restore photographs on a page in the browser; nothing leaves this computer.",
            (
                ("unblur web", "opens the page in your browser"),
                ("unblur web --host 0.0.0.0 --password TEXT", "also serves other computers that know the password"),
            ),
        ),
        Command(
            "serve",
            "Restore photographs for other programs over HTTP.",
            (
                ("unblur serve", "serves this computer at http://127.0.0.1:8000"),
                ("unblur serve --host 0.0.0.0 --key-file keys.txt", "also serves other computers that have a key"),
            ),
            ends_at_once=True,
        ),
    ),
    "training and measuring": (
        Command(
            "train",
            "Train a network on your own photographs.",
            (
                ("unblur train faithful --photos photos --run runs/faithful", "trains the restoring network"),
                ("unblur train smoke --photos photos --run runs/smoke", "tries the whole procedure in minutes"),
            ),
        ),
        Command(
            "evaluate",
            "Measure how much a network or another method improves test pictures.",
            (
                ("unblur evaluate validation", "measures the bundled network on a folder of pairs"),
                (
                    "unblur evaluate validation --method identity --csv tables",
                    "measures the blurry pictures",
                ),
            ),
        ),
        Command(
            "tables",
            "Make tables and figures of the measurements of `unblur evaluate`.",
            (("unblur tables tables/validation.csv", "prints one line for each group of pictures"),),
        ),
        Command(
            "bench",
            "Measure how fast this computer restores, simulates and trains.",
            (
                ("unblur bench photos", "takes some minutes"),
                ("unblur bench photos --megapixels 2 12 --json new.json", "also restores large photographs"),
                ("unblur bench --compare old.json new.json", "prints the ratios between two runs"),
            ),
        ),
    ),
    "data sets": (
        Command(
            "simulate",
            "Simulate pairs of blurry and sharp pictures.",
            (("unblur simulate photos -o pairs --pairs 1000", "writes 1,000 pairs in tar files"),),
        ),
        Command(
            "validation",
            "Build the fixed validation set from sharp photographs.",
            (("unblur validation photos -o validation", "blurs every photograph with four severities"),),
        ),
        Command(
            "datasets",
            "List the data sets that can be read, and where to get each.",
            (("unblur datasets", "prints size, ground truth, licence and source of each"),),
        ),
        Command(
            "check",
            "Check that a data set is complete and that its pairs fit together.",
            (("unblur check validation", "opens every picture and compares every pair"),),
        ),
        Command(
            "patterns",
            "Measure which kinds of blur a data set contains.",
            (("unblur patterns pairs --json patterns.json", "writes all numbers to a file"),),
        ),
    ),
    "checkpoints": (
        Command(
            "models",
            "List, pull, push and verify checkpoints, here and on the Hugging Face hub.",
            (
                ("unblur models list", "prints the bundled and the pulled checkpoints"),
                ("unblur models pull owner/name", "fetches a checkpoint for --checkpoint owner/name"),
                ("unblur models push runs/faithful owner/name", "publishes a checkpoint of yours"),
                ("unblur models verify", "compares all files with the hashes that are stated"),
            ),
        ),
        Command(
            "convert",
            "Convert weights that the authors of a network published.",
            (
                (
                    "unblur convert MIMO-UNetPlus.pkl -o weights/mimo --network mimo-unet+",
                    "writes a checkpoint folder for --checkpoint",
                ),
            ),
        ),
        Command(
            "export",
            "Write the restoring network for ONNX Runtime, OpenVINO or darktable.",
            (("unblur export onnx -o unblur.onnx", "writes a file that other programs run"),),
        ),
        Command(
            "bundle",
            "Make a small copy of a checkpoint.",
            (("unblur bundle runs/faithful -o small", "stores the weights in half precision"),),
        ),
    ),
}
"""Commands by purpose, in the order of the help."""

COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
