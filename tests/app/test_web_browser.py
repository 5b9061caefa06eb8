"""The page as a photographer sees it, in a real Chromium."""

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives the browser")
axe_runner = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DESKTOP, PHONE = (1280, 800), (390, 844)
RUN_MS = 120_000
"""Longest time of a restoration, on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH")
    with sync_api.sync_playwright() as playwright:
        # The sandbox needs privileges that containers lack; the page is our own.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visitor:
    """A visitor with an open page. Problems in the browser's console and requests to other servers are collected."""

    def __init__(self, browser: Any, address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        self.size = size
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        self.page.on("console", lambda message: self._note(message.text, message.type == "error"))
        self.page.on("pageerror", lambda error: self._note(str(error), True))
        self.page.on(
            "request", lambda request: self._note(request.url, not request.url.startswith((address, "data:", "blob:")))
        )
        self.page.goto(address)
        self.page.wait_for_selector(".drop")
        self.page.get_by_text("Fast", exact=True).click()

    def _note(self, text: str, is_complaint: bool) -> None:
        if is_complaint:
            self.complaints.append(text)

    def bring(self, *files: Path) -> None:
        self.page.set_input_files("input[type=file]", files)
        self.page.wait_for_function("count => document.querySelectorAll('.chosen li').length >= count", arg=len(files))

    def restore(self) -> None:
        self.page.locator("#restore:enabled").click()
        self.page.wait_for_selector("#restore:disabled")
        self.page.wait_for_selector(".bar")
        self.page.wait_for_selector("figure.comparison", timeout=RUN_MS)
        self.page.wait_for_selector("#restore:enabled", timeout=RUN_MS)

    def is_in_view(self, selector: str) -> bool:
        box = self.page.locator(selector).bounding_box()
        width, height = self.size
        return bool(
            box
            and box["x"] >= 0
            and box["y"] >= 0
            and box["x"] + box["width"] <= width
            and box["y"] + box["height"] <= height
        )

    @property
    def width(self) -> float:
        """Width of the view in pixels."""
        width: float = self.page.locator(".view").bounding_box()["width"]
        return width

    def drag(self, selector: str, left: float, top: float) -> None:
        """Drag by so many pixels to the left and top, from a place beside the divider."""
        box = self.page.locator(selector).bounding_box()
        x, y = box["x"] + 0.65 * box["width"], box["y"] + 0.5 * box["height"]
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x - left, y - top, steps=3)
        self.page.mouse.up()

    def download(self, role: str, name: str, folder: Path) -> Path:
        with self.page.expect_download() as found:
            self.page.get_by_role(role, name=re.compile(name)).click()
        path = folder / found.value.suggested_filename
        found.value.save_as(path)
        return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Write a photograph that is large enough to try a part of it."""
    coarse = np.random.default_rng(0).integers(0, 255, (7, 13, 3), dtype=np.uint8)
    write_photo(Photo(pixels=coarse.repeat(100, 0).repeat(100, 1)), tmp_path / "large photo.jpg")
    return tmp_path / "large photo.jpg"


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_result_is_in_view_and_can_be_downloaded(
    browser: Any, address: str, large: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    visitor = Visitor(browser, address, size)
    page = visitor.page
    assert page.locator("#restore").is_disabled()
    visitor.bring(large)
    visitor.restore()
    for selector in (".frame", ".label.before", ".label.after", "a[download]", ".slide", "#strength", ".report"):
        assert visitor.is_in_view(selector), selector
    assert page.locator(".label").all_inner_texts() == ["Before", "After"]
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    page.get_by_role("button", name="100 %").click()
    assert page.locator(".pictures").bounding_box()["width"] == 1300
    assert visitor.is_in_view(".frame")
    visitor.drag(".view", 60, 50)
    assert page.evaluate("document.querySelector('.view').scrollLeft") == pytest.approx(
        (1300 - visitor.width) / 2 + 60, abs=2
    )
    page.get_by_role("button", name="Fit").click()
    assert visitor.is_in_view(".pictures")
    visitor.drag(".frame", 0.2 * visitor.width, 0)
    assert int(page.get_by_role("slider", name="Divider").input_value()) < 50
    result = visitor.download("link", "^Download", tmp_path)
    assert result.name == "large photo_unblurred_fast.jpg"
    assert Image.open(result).size == (1300, 700)
    assert visitor.complaints == []
    page.close()


def test_strength_is_shown_at_once_and_downloaded(browser: Any, address: str, photos: Path, tmp_path: Path) -> None:
    visitor = Visitor(browser, address)
    visitor.bring(photos / "0.png")
    visitor.restore()
    slider = visitor.page.get_by_role("slider", name="Strength")
    slider.focus()
    slider.press("Home")
    # Without waiting for the server.
    assert visitor.page.evaluate("document.querySelector('.blend').style.opacity") == "0"
    result = visitor.download("link", "^Download|Preparing", tmp_path)
    np.testing.assert_array_equal(read_photo(result).pixels, read_photo(photos / "0.png").pixels)
    visitor.page.close()


def test_several_photographs_and_an_error(browser: Any, address: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_text("no picture")
    visitor = Visitor(browser, address)
    page = visitor.page
    visitor.bring(photos / "0.png", tmp_path / "fake.jpg", photos / "1.png")
    visitor.restore()
    problem = page.locator(".report .problem")
    assert problem.inner_text().count("fake.jpg") == 1
    red, green, blue = map(int, re.findall(r"\d+", problem.evaluate("element => getComputedStyle(element).color"))[:3])
    assert red > 3 * max(green, blue)
    page.get_by_role("button", name="1.png", exact=True).click()
    page.wait_for_selector("img[alt='1.png after restoration']")
    packed = visitor.download("button", "zip", tmp_path)
    assert zipfile.ZipFile(packed).namelist() == ["0_unblurred_fast.png", "1_unblurred_fast.png"]
    page.get_by_role("button", name="Remove 1.png").click()
    page.wait_for_function("document.querySelectorAll('.chosen li').length === 2")
    page.close()


def test_everything_works_by_keyboard(browser: Any, address: str, large: Path) -> None:
    visitor = Visitor(browser, address)
    page = visitor.page
    visitor.bring(large)
    part = page.locator(".part")
    part.focus()
    left = part.bounding_box()["x"]
    part.press("ArrowRight")
    assert part.bounding_box()["x"] > left
    part.press("Enter")
    hint = page.locator(".hint", has_text="The whole photograph takes about")
    hint.wait_for(timeout=RUN_MS)
    page.get_by_role("button", name="Back to the whole").press("Enter")
    page.wait_for_selector("figure.photo")
    # Now that a part was measured.
    assert "Restoring it takes about" in page.locator("figcaption").inner_text()
    page.wait_for_selector("#restore:enabled")
    page.locator("#restore").press("Enter")
    page.wait_for_selector("figure.comparison", timeout=RUN_MS)
    page.wait_for_selector("#restore:enabled", timeout=RUN_MS)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    for name in (
        "Fit",
        "100 %",
        "Download large photo_unblurred_fast.jpg",
        "Divider between before and after",
        "Restore",
    ):
        assert name in reached, reached
    divider = page.get_by_role("slider", name="Divider")
    before = page.locator("div.after").evaluate("element => element.style.clipPath")
    divider.press("ArrowLeft")
    assert page.locator("div.after").evaluate("element => element.style.clipPath") != before
    assert divider.get_attribute("aria-valuetext") == "49 % before, 51 % after"
    page.close()


PASTE = """async name => {
  const blob = await (await fetch(document.querySelector("figure.photo img").src)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], name, { type: "image/jpeg" }));
  document.body.dispatchEvent(new %s("%s", { %s: data, bubbles: true, cancelable: true }));
}"""


@pytest.mark.parametrize("event", [("ClipboardEvent", "paste", "clipboardData"), ("DragEvent", "drop", "dataTransfer")])
def test_photographs_can_be_pasted_and_dropped_beside_the_sample(
    browser: Any, address: str, event: tuple[str, str, str]
) -> None:
    visitor = Visitor(browser, address)
    visitor.page.get_by_role("button", name="Try the sample photograph").click()
    visitor.page.wait_for_selector("img[alt='sample_photograph.jpg, not restored yet']")
    visitor.page.evaluate(PASTE % event, "other.jpg")
    visitor.page.wait_for_selector("img[alt='other.jpg, not restored yet']")
    names = visitor.page.locator(".chosen li button:first-child").all_inner_texts()
    assert names == ["sample_photograph.jpg", "other.jpg"]
    assert visitor.complaints == []
    visitor.page.close()


VISIBLE_TEXT = """() => [document.body.innerText, ...[...document.querySelectorAll("*")].flatMap(
  element => ["aria-label", "title", "placeholder", "alt"].map(name => element.getAttribute(name) || "")
)].join("\\n")"""
"""Visible and spoken texts; untranslated keys of Gradio look like file names."""


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_serious(
    browser: Any, address: str, large: Path, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    """Contrast, labels, alternative texts and roles, in every state of the page; and no untranslated key."""
    (tmp_path / "fake.jpg").write_text("no picture")
    visitor = Visitor(browser, address, size, scheme)
    findings = []

    def check(state: str) -> None:
        result = axe_runner.Axe().run(visitor.page).response
        findings.extend(
            f"{state}: {one['id']}: {one['nodes'][0]['html']}"
            for one in result["violations"]
            if one["impact"] in ("serious", "critical")
        )
        findings.extend(re.findall(r"\b[a-z_]+\.(?!jpg\b)[a-z_]+\b", visitor.page.evaluate(VISIBLE_TEXT)))

    check("empty")
    visitor.bring(large, tmp_path / "fake.jpg")
    visitor.page.wait_for_selector("figure.photo")
    check("photograph")
    visitor.restore()
    check("result")
    assert findings == []
    visitor.page.close()
