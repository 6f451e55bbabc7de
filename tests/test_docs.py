"""What the pages say: commands print what is shown under them, links lead somewhere, sizes hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWING = [page for page in PAGES if "```console\n" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: page.name)
def test_a_page_shows_what_the_code_prints(page: Path) -> None:
    """Every ```console block is what its commands print today; `make docs` renews them."""
    command = [sys.executable, "docs/render.py", "--check", str(page.relative_to(ROOT))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link or picture names a file that is there."""
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not dead


def test_the_readme_stays_short() -> None:
    """120 lines at most: an owner has little patience."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
