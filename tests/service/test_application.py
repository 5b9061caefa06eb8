"""A photograph in, the restored photograph out, as the command line makes it; and a sentence for everything else."""

import base64
import io
import json
import random
import re
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.fuzz import mutated
from tests.service.held_engine import MOST_PIXELS, HeldEngine, MakeClient, encode_photo, read_pixels
from unblur.app.cli import main
from unblur.app.serve_engine import RestoringEngine
from unblur.photos import writing
from unblur.service.options import MEDIA_TYPES

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def client(restoring: RestoringEngine, make_client: MakeClient) -> TestClient:
    return make_client(restoring, megabytes=0.1)[0]


@pytest.fixture
def held_client(held: HeldEngine, make_client: MakeClient) -> TestClient:
    return make_client(held, megabytes=0.1)[0]


@pytest.mark.usefixtures("remembered_shakes")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "query", "options"),
    [
        ("jpeg", "", []),
        ("jpeg", "?mode=fast", ["--mode", "fast"]),
        ("jpeg", "?mode=fast&quality=60&strength=0.5", ["--mode", "fast", "--quality", "60", "--strength", "0.5"]),
        ("png", "?shake=off", ["--shake", "off"]),
        ("webp", "?mode=fast&format=avif", ["--mode", "fast", "--format", "avif"]),
        ("tiff", "?mode=fast&restore_sharp=true", ["--mode", "fast", "--restore-sharp"]),
    ],
)
def test_the_answer_is_the_file_of_the_command_line(
    kind: str, query: str, options: list[str], client: TestClient, tmp_path: Path
) -> None:
    photo = tmp_path / f"photo.{kind}"
    photo.write_bytes(encode_photo(kind))
    assert main([str(photo), "--device", "cpu", "--quiet", "--suffix", "", "-o", str(tmp_path / "out"), *options]) == 0
    (written,) = (tmp_path / "out").iterdir()
    answer = client.post(f"/restore{query}", content=photo.read_bytes(), headers={"content-type": "image/any"})
    assert answer.status_code == 200
    assert answer.content == written.read_bytes()
    assert answer.headers["content-type"] == {".tiff": "image/tiff", ".jpeg": "image/jpeg"}.get(
        written.suffix, f"image/{written.suffix[1:]}"
    )


def test_a_form_and_a_body_and_json_hold_the_same_photograph(client: TestClient) -> None:
    photo = encode_photo()
    direct = client.post("/restore?mode=fast", content=photo, headers=JPEG)
    form = client.post("/restore?mode=fast", files={"photograph": ("any name.gif", photo, "image/gif")})
    both = client.post("/restore?mode=fast", content=photo, headers=JPEG | {"accept": "application/json"}).json()
    assert direct.content == form.content == base64.b64decode(both["photograph"])
    assert both["media_type"] == "image/jpeg"


def test_the_report_is_that_of_the_command_line(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode_photo())
    assert main([str(photo), "--device", "cpu", "--json", "--mode", "fast"]) == 0
    printed = json.loads(capsys.readouterr().out)
    answer = client.post(
        "/restore?mode=fast", content=photo.read_bytes(), headers=JPEG | {"accept": "application/json"}
    )
    report = answer.json()["report"]
    del report["summary"], report["seconds"]
    assert report == {name: printed[name] for name in report}
    in_header = json.loads(answer.headers["unblur-report"])
    assert {name: report[name] for name in in_header if name != "seconds"} == {
        name: value for name, value in in_header.items() if name != "seconds"
    }
    assert answer.headers["unblur-summary"].startswith("96x80")


def test_an_unchanged_photograph_comes_with_the_reason(held_client: TestClient) -> None:
    answer = held_client.post("/restore", content=b"photo", headers=JPEG)
    assert answer.headers["unblur-unchanged"] == "it is sharp"
    assert "left_behind" not in json.loads(answer.headers["unblur-report"])
    answer = held_client.post("/restore", content=b"photo", headers=JPEG | {"accept": "application/json"})
    assert answer.json()["report"]["left_behind"] == ["the video"]


def test_a_format_that_cannot_be_written_here_is_refused_in_a_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "can_write_jpeg_xl", lambda: False)
    for query, accept in (("&format=jxl", "*/*"), ("", "image/jxl")):
        answer = client.post(f"/restore?mode=fast{query}", content=encode_photo(), headers=JPEG | {"accept": accept})
        assert answer.status_code == 422
        assert "cannot write JPEG XL" in answer.json()["detail"]


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_the_accept_header_asks_for_another_format(name: Any, client: TestClient) -> None:
    wanted = MEDIA_TYPES[name]
    if name == "jxl" and not writing.can_write_jpeg_xl():
        pytest.skip("this libvips was built without libjxl")
    answer = client.post("/restore?mode=fast", content=encode_photo(), headers=JPEG | {"accept": wanted})
    assert answer.headers["content-type"] == wanted
    if name not in ("avif", "jxl"):
        assert read_pixels(answer.content).shape == (80, 96, 3)


def test_metadata_come_back(client: TestClient) -> None:
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.fromarray(read_pixels(encode_photo("png"))).save(data, "jpeg", exif=exif)
    answer = client.post("/restore?mode=fast", content=data.getvalue(), headers=JPEG)
    with Image.open(io.BytesIO(answer.content)) as restored:
        assert restored.getexif()[0x010F] == "Maker"


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG that claims a huge picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "media_type", "query", "status", "sentence"),
    [
        (b"GIF89a" + bytes(50), "image/gif", "", 415, "GIF file"),
        (b"%PDF-1.7", "application/octet-stream", "", 415, "PDF document"),
        (b"text", "text/plain", "", 415, "text/plain"),
        (b"a=b", "application/x-www-form-urlencoded", "", 415, "multipart/form-data"),
        (b"", "image/jpeg", "", 422, "empty"),
        (encode_photo()[:900], "image/jpeg", "", 422, "damaged or cut short"),
        (encode_photo()[:-50], "image/jpeg", "", 422, "damaged or cut short"),
        (bomb(), "image/png", "", 413, "60000 x 60000"),
        (encode_photo(width=160, height=126), "image/jpeg", "", 413, f"more than {MOST_PIXELS:,}"),
        (bytes(100_001), "image/jpeg", "", 413, "0.1 MB"),
        (encode_photo(), "image/jpeg", "?strength=2", 422, "strength: "),
        (encode_photo(), "image/jpeg", "?strength=nan", 422, "strength: "),
        (encode_photo(), "image/jpeg", "?quality=0", 422, "quality: "),
        (encode_photo(), "image/jpeg", "?format=png&quality=5", 422, "Quality has no meaning with format=png"),
        (encode_photo(), "image/jpeg", "?mode=slow", 422, "'faithful', 'fast' or 'generative'"),
        (encode_photo(), "image/jpeg", "?strenght=1", 422, "no option 'strenght'"),
        (encode_photo(), "image/jpeg", "?fidelity=1", 422, "only with mode=generative"),
        (b"x", "multipart/form-data", "", 422, "boundary"),
        (b"x", "multipart/form-data; boundary=y", "", 422, "photograph"),
    ],
)
def test_what_cannot_be_restored_is_refused_in_a_sentence(
    content: bytes, media_type: str, query: str, status: int, sentence: str, client: TestClient
) -> None:
    answer = client.post(f"/restore{query}", content=content, headers={"content-type": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    (detail,) = answer.json().values()
    assert sentence in detail
    assert re.fullmatch(r"[A-Za-z].*[^.]\.", detail)


def test_hostile_files_are_restored_or_refused(client: TestClient) -> None:
    statuses = set()
    for name, content in mutated(random.Random(11), 60):
        answer = client.post("/restore?mode=fast&format=png", content=content, headers={"content-type": "image/any"})
        assert answer.status_code in (200, 413, 415, 422), (name, answer.text)
        assert answer.status_code == 200 or set(answer.json()) == {"detail"}
        statuses.add(answer.status_code)
    assert {200, 415, 422} <= statuses


def test_transparency_that_a_format_cannot_hold_is_refused(client: TestClient) -> None:
    data = io.BytesIO()
    Image.fromarray(np.full((40, 40, 4), 100, np.uint8)).save(data, "png")
    answer = client.post("/restore?format=jpg", content=data.getvalue(), headers={"content-type": "image/png"})
    assert answer.status_code == 422
    assert "transparency" in answer.json()["detail"]


def test_a_form_holds_one_file(held_client: TestClient) -> None:
    for files in ({"photo": b"photo"}, [("photograph", b"a"), ("photograph", b"b")]):
        answer = held_client.post("/restore", files=files)
        assert answer.status_code == 422
        assert "field photograph" in answer.json()["detail"]
    answer = held_client.post("/restore", data={"photograph": "text"}, files={"x": b""})
    assert answer.status_code == 422


def test_uploads_never_lie_on_disk(
    held: HeldEngine, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, _ = make_client(held, megabytes=4)
    # Forms of more than a megabyte would otherwise be written there.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    photo = b"photo" * 600_000
    assert client.post("/restore", files={"photograph": photo}).content == photo
    with pytest.raises(FileNotFoundError), tempfile.TemporaryFile():
        pass


@pytest.mark.parametrize("form", [True, False])
def test_an_upload_of_unknown_length_ends_at_the_limit(form: bool, held_client: TestClient) -> None:
    def chunks() -> Any:
        if form:
            yield b'--x\r\ncontent-disposition: form-data; name="photograph"; filename="a"\r\n\r\n'
        yield from (bytes(10_000) for _ in range(12))

    media_type = "multipart/form-data; boundary=x" if form else "image/jpeg"
    answer = held_client.post("/restore", content=chunks(), headers={"content-type": media_type})
    assert answer.status_code == 413


def test_other_addresses_and_methods_are_refused(held_client: TestClient) -> None:
    assert held_client.get("/").status_code == 404
    assert held_client.get("/docs").status_code == 404
    assert held_client.get("/restore").status_code == 405
    assert held_client.get("/restore").headers["allow"] == "POST"


def test_answers_are_not_stored_by_anybody(held_client: TestClient) -> None:
    answer = held_client.post("/restore", content=b"photo", headers=JPEG)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_measurements_have_the_stages_and_the_megapixels(client: TestClient) -> None:
    client.post("/restore?mode=fast", content=encode_photo(), headers=JPEG)
    measured = client.get("/metrics")
    assert measured.headers["content-type"].startswith("text/plain; version=0.0.4")
    for stage in ("upload", "decode", "wait", "restore", "encode"):
        assert f'unblur_stage_seconds_count{{stage="{stage}"}} 1.0' in measured.text
    assert "unblur_megapixels_total 0.00768" in measured.text
    assert "unblur_ready 1.0" in measured.text


def test_the_description_names_every_answer(held_client: TestClient) -> None:
    description = held_client.get("/openapi.json").json()
    restore = description["paths"]["/restore"]["post"]
    assert {"200", "401", "413", "415", "422", "429", "503"} <= set(restore["responses"])
    assert set(MEDIA_TYPES.values()) < set(restore["responses"]["200"]["content"])
    assert {option["name"] for option in restore["parameters"]} >= {"mode", "strength", "quality", "shake", "format"}
    examples = {
        option["name"]: option["schema"].get("examples", option.get("examples")) for option in restore["parameters"]
    }
    assert examples["strength"] == [1.0, 0.5]
    assert restore["responses"]["503"]["headers"]["Retry-After"]
    assert restore["responses"]["413"]["content"]["application/json"]["example"]["detail"]
