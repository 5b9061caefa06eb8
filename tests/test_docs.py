"""The pages of `docs/`: generated ones are current, links lead to headings, and tables are short enough to read."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.name not in ("command-line.md", "training-log.md")]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_generated_pages_are_current() -> None:
    command = [sys.executable, DOCS / "generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}Run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s:]*\.md)?#([^)\s]+)\)", without_code(page))
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links]
    assert [f"{target}#{anchor}" for target, anchor in targets if anchor not in anchors(target)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_have_short_cells_and_as_many_as_their_heading(page: Path) -> None:
    rows = [line for line in without_code(page).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell) for row in cells for cell in row]
    assert [cell for cell in shown if len(cell) > 120] == []
    for table in re.findall(r"(?:^\|.*\n)+", without_code(page), re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(columns) == 1, table


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_lines_of_prose_are_not_too_long(page: Path) -> None:
    prose = [line for line in without_code(page).splitlines() if not line.startswith(("|", "!["))]
    shown = [re.sub(r"\]\([^)]*\)", "]", line) for line in prose]
    assert [line for line in shown if len(line) > 160] == []


@pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="needs the extra docs")
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "unblur", tmp_path / "unblur", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(DOCS / "markdown")}
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "site").rglob("*.html")]
    loaded = r"""<(?:script|img|link rel="?stylesheet"?)[^>]*(?:src|href)="?(?:https?:)?//[^">]+"""
    assert re.findall(loaded, "\n".join(pages)) == []
    assert "Estimate the camera shake" in (tmp_path / "site" / "reference" / "python.html").read_text(encoding="utf-8")
