"""Report files of batches: JSON and HTML."""

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from unblur.app.cli import main


class Page(HTMLParser):
    """The tags of a page, checked for being closed in order, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path, make_photo) -> Path:
    make_photo(tmp_path / "in" / "a <script>alert(1) & ż.png", 300, 900)
    make_photo(tmp_path / "in" / "c.jpg")
    make_photo(tmp_path / "out" / "c_unblurred.jpg")
    (tmp_path / "in" / 'b "quoted".jpg').write_bytes(b"no photograph")
    return tmp_path


def run(folder: Path, report: Path, tiny_checkpoint: Path, *options: str) -> int:
    inputs = [str(folder / "in"), "-o", str(folder / "out"), "--skip-existing"]
    return main([*inputs, "--report", str(report), "--checkpoint", str(tiny_checkpoint), *options])


def test_the_page_is_self_contained_and_escapes_names(folder: Path, tiny_checkpoint: Path) -> None:
    report = folder / "report.html"
    report.write_text("an earlier report")
    assert run(folder, report, tiny_checkpoint) == 1
    html = report.read_text(encoding="utf-8")
    page = Page(html)
    assert "1 restored, 1 failed, 1 skipped" in page.text
    assert "a <script>alert(1) & ż.png" in page.text
    assert 'b "quoted".jpg' in page.text
    assert "900x300" in page.text
    assert "script" not in [tag for tag, _ in page.tags]
    # Nothing is loaded from elsewhere.
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all((address or "").startswith(("data:", "./")) for address in addresses)
    assert "url(" not in html
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures] == ["Before", "After"]
    shown = []
    for picture in pictures:
        header, _, data = (picture["src"] or "").partition(",")
        assert header == "data:image/webp;base64"
        shown.append(Image.open(io.BytesIO(base64.b64decode(data))))
    assert shown[0].size == shown[1].size == (450, 150)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["./out/a%20%3Cscript%3Ealert%281%29%20%26%20%C5%BC_unblurred.png", "./out/c_unblurred.jpg"]


def test_json_has_all_outcomes(folder: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, folder / "report.json", tiny_checkpoint, "--json", "--jobs", "2") == 1
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["restored"], report["failed"], report["skipped"]) == (1, 1, 1)
    assert report["photographs"] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_report_that_cannot_be_written_is_refused_before_work(folder: Path, tiny_checkpoint: Path, capsys) -> None:
    for report in (folder / "report.txt", folder / "missing" / "report.html"):
        assert run(folder, report, tiny_checkpoint) == 2
        assert f"--report {report}" in capsys.readouterr().err
    assert len(list((folder / "out").iterdir())) == 1
