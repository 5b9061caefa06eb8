"""The options of generated detail, which `unblur restore` accepts with `--mode generative` only."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from unblur.app.jobs import UsageError
from unblur.names import ShakeChoice

if TYPE_CHECKING:
    from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings

FEWEST_COMPARED = 2


@dataclass(frozen=True, kw_only=True)
class GenerativeOptions:
    """These options need --mode generative. Invented detail looks plausible and may be wrong."""

    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 4)")] = None
    """Number of denoising steps; more steps invent more detail and take longer."""
    seed: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 0)")] = None
    """Another number invents other detail; the same number gives the same photograph."""
    solver: Annotated[Literal["dpm", "euler"] | None, arg(metavar="dpm|euler", help_behavior_hint="(default: dpm)")] = (
        None
    )
    """Solver of the denoising steps; dpm needs fewer steps."""
    fidelity: Annotated[float | None, arg(metavar="0..1", help_behavior_hint="(default: 0.5)")] = None
    """Balance between inventing detail (0) and staying faithful (1)."""
    caption: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """Description of the photograph, for a --checkpoint that was trained with captions; the bundled network was not."""
    text_encoder: Annotated[str | None, arg(metavar="FOLDER|OWNER/NAME", help_behavior_hint="")] = None
    """Model of the library transformers that reads the caption instead of MiniLM."""
    uncertainty: Annotated[int | None, arg(metavar="K", help_behavior_hint="")] = None
    """Also write a grey map of where the results of K seeds differ, which takes K times as long."""
    decoder: Annotated[str | None, arg(metavar="FOLDER|OWNER/NAME", help_behavior_hint="")] = None
    """Decoder that the network of --checkpoint was trained with, if it is not the bundled one."""
    no_mark: Annotated[bool, arg(help_behavior_hint="")] = False
    """Do not record in the metadata that detail was generated. For research."""

    def refuse(self) -> None:
        """Raise UsageError for the first of these options that was given."""
        given = [field.name for field in fields(self) if getattr(self, field.name) is not field.default]
        if given:
            name = given[0].replace("_", "-")
            raise UsageError(f"--{name} has a meaning only with --mode generative; add that, or leave it out.")

    def check(self) -> None:
        """Raise UnblurError for values out of range, before any time is spent."""
        if self.uncertainty is not None and self.uncertainty < FEWEST_COMPARED:
            raise UsageError(f"--uncertainty {self.uncertainty} compares nothing; use {FEWEST_COMPARED} seeds or more.")
        if self.text_encoder is not None and self.caption is None:
            raise UsageError("--text-encoder reads a caption, and there is none; add --caption, or leave it out.")
        if self.caption is not None and not self.caption.strip():
            raise UsageError("The caption is empty; say what the photograph shows, or leave out --caption.")
        self._make_settings()

    def load(self, checkpoint: str | None, device: str, shake: ShakeChoice) -> "GenerativeRestorer":
        """Load the restorer with these options. Raises UnblurError when something is missing or does not fit."""
        from unblur.restoration.loading import load

        return load(
            checkpoint,
            device,
            mode="generative",
            shake=shake,
            generative=self._make_settings(),
            decoder=self.decoder,
            caption=self.caption,
            text_encoder=self.text_encoder,
        )

    def _make_settings(self) -> "GenerativeSettings":
        from unblur.restoration.generative import GenerativeSettings

        chosen: dict[str, Any] = {
            "seed": self.seed,
            "steps": self.steps,
            "solver": self.solver,
            "fidelity": self.fidelity,
            "samples": self.uncertainty,
            "mark": not self.no_mark,
        }
        return GenerativeSettings(**{name: value for name, value in chosen.items() if value is not None})
