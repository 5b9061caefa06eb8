import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from unblur.config import from_json, to_json
from unblur.errors import UnblurError


@dataclass(frozen=True, kw_only=True)
class Lens:
    focal_mm: float
    coating: Literal["none", "multi"] = "multi"


@dataclass(frozen=True, kw_only=True)
class Handheld:
    shake_px: tuple[float, float] = (1.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Tripod:
    """Its entries are also Handheld's and all have defaults: only `kind` tells them apart."""

    shake_px: tuple[float, float] = (0.0, 0.1)


@dataclass(frozen=True, kw_only=True)
class Shoot:
    lens: Lens
    support: Handheld | Tripod
    spare: Lens | None = None
    exposures_ms: tuple[int, ...] = ()
    lenses: tuple[Lens, ...] = ()
    raw: bool = False
    name: str = "shoot"
    folder: Path = Path("photos")


SHOOT = Shoot(
    lens=Lens(focal_mm=35.5, coating="none"),
    support=Tripod(),
    spare=Lens(focal_mm=50.0),
    exposures_ms=(8, 125),
    lenses=(Lens(focal_mm=24.0),),
    raw=True,
    name="Schärfe",
    folder=Path("a b/c"),
)


def test_everything_survives_the_round_trip() -> None:
    assert from_json(to_json(SHOOT), Shoot) == SHOOT


def test_defaults_survive_the_round_trip() -> None:
    shoot = Shoot(lens=Lens(focal_mm=1.0), support=Handheld())
    assert from_json(to_json(shoot), Shoot) == shoot


def test_the_text_is_plain_json_for_people() -> None:
    assert json.loads(to_json(SHOOT)) == {
        "lens": {"focal_mm": 35.5, "coating": "none"},
        "support": {"kind": "Tripod", "shake_px": [0.0, 0.1]},
        "spare": {"focal_mm": 50.0, "coating": "multi"},
        "exposures_ms": [8, 125],
        "lenses": [{"focal_mm": 24.0, "coating": "multi"}],
        "raw": True,
        "name": "Schärfe",
        "folder": "a b/c",
    }
    assert to_json(SHOOT).count("\n") > 10


@pytest.mark.parametrize("support", [Handheld(shake_px=(2.0, 3.0)), Tripod(shake_px=(2.0, 3.0))])
def test_the_kind_selects_the_class_of_a_union_at_the_top_too(support: Handheld | Tripod) -> None:
    text = to_json(support, Handheld | Tripod)
    assert json.loads(text)["kind"] == type(support).__name__
    assert from_json(text, Handheld | Tripod) == support


def test_absent_entries_take_their_defaults() -> None:
    text = '{"lens": {"focal_mm": 35}, "support": {"kind": "Handheld"}}'
    shoot = from_json(text, Shoot)
    assert shoot == Shoot(lens=Lens(focal_mm=35.0), support=Handheld())
    assert isinstance(shoot.lens.focal_mm, float)


def entries(**changed: object) -> str:
    return json.dumps({"lens": {"focal_mm": 35.0}, "support": {"kind": "Tripod"}} | changed)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (entries(nmae="x"), ["nmae"]),
        (entries(lens={"focal_mm": 35.0, "focal_inch": 1}), ["focal_inch", "$.lens"]),
        (entries(support={"kind": "Tripod", "legs": 3}), ["legs", "$.support"]),
        (entries(lenses=[{"focal_mm": 1.0}, {"focal_mm": 1.0, "aperture": 2}]), ["aperture", "$.lenses[1]"]),
        (entries(lens={}), ["missing", "$.lens.focal_mm"]),
        ("{}", ["missing", "$.lens", "$.support"]),
        (entries(support={"kind": "Drone"}), ["Drone", "Handheld, Tripod"]),
        (entries(support={}), ["kind", "Handheld, Tripod"]),
        (entries(support="Tripod"), ["'Tripod'", "$.support"]),
        (entries(lens=[]), ["[]", "$.lens"]),
        (entries(spare=3), ["3", "$.spare"]),
        (entries(lens={"focal_mm": "35"}), ["'35'", "float"]),
        (entries(lens={"focal_mm": True}), ["True", "float"]),
        (entries(lens={"focal_mm": 1.0, "coating": "gold"}), ["gold", "multi"]),
        (entries(exposures_ms=[8, 12.5]), ["12.5", "int", "$.exposures_ms[1]"]),
        (entries(exposures_ms=8), ["$.exposures_ms"]),
        (entries(support={"kind": "Tripod", "shake_px": [1.0]}), ["shake_px"]),
        (entries(support={"kind": "Tripod", "shake_px": [1.0, 2.0, 3.0]}), ["shake_px"]),
        (entries(raw="false"), ["'false'", "bool", "$.raw"]),
        (entries(raw=0), ["0", "bool"]),
        (entries(name=None), ["None", "str", "$.name"]),
        (entries(folder=7), ["$.folder"]),
        ("[]", ["[]"]),
        ("null", ["None"]),
    ],
)
def test_whatever_does_not_fit_is_named_with_its_place(text: str, named: list[str]) -> None:
    with pytest.raises(UnblurError) as raised:
        from_json(text, Shoot, source="shoot.json")
    message = str(raised.value)
    assert message.startswith("shoot.json does not fit Shoot: ")
    assert [name for name in named if name not in message] == []


def test_all_mistakes_are_named_at_once() -> None:
    text = entries(raw=3, nmae="x", exposures_ms=["y"])
    with pytest.raises(UnblurError, match=r"(?s)(?=.*\$\.raw)(?=.*nmae)(?=.*\$\.exposures_ms\[0\])"):
        from_json(text, Shoot)


@pytest.mark.parametrize("text", ["", "{", '{"lens": }', "lens: 3"])
def test_invalid_json_is_named(text: str) -> None:
    with pytest.raises(UnblurError, match=r"shoot\.json is not valid JSON"):
        from_json(text, Shoot, source=Path("shoot.json"))


@pytest.mark.parametrize(
    "text",
    ['{"steps": ' + "9" * 5000 + "}", "[" * 100_000, '"' + "x" * 1_000_000 + '"', json.dumps({"x" * 1_000_000: 1})],
    ids=["digits", "deep", "long", "long name"],
)
def test_errors_are_short_sentences(text: str) -> None:
    with pytest.raises(UnblurError) as caught:
        from_json(text, Shoot)
    assert len(str(caught.value)) < 3000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [["x"], {"x": 1}, 5, None])
def test_kinds_that_are_no_names(kind: object) -> None:
    with pytest.raises(UnblurError, match="`kind` is"):
        from_json(json.dumps({"support": {"kind": kind}}), Shoot)
