"""`askfit init`: what it finds in a folder, and that what it writes can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from askfit.cli.folder import look, render, write
from askfit.config import load_settings
from askfit.errors import UsageError

MATRIX = "Skill,Level\nRoadmaps,5\nSQL,3\n"
RESUME = json.dumps(
    {"basics": {"name": "Ann Ode", "email": "ann@ode.example", "url": "https://ode.example"}, "work": []}
)


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_an_empty_folder_gets_settings_that_load_and_say_what_is_missing(tmp_path: Path) -> None:
    """With nothing to find, the file still is valid and its comments tell the next steps."""
    path = write(look(tmp_path))
    text = path.read_text(encoding="utf-8")
    assert "nothing found yet" in text
    assert "/fit-check is off" in text
    assert set(load_settings(path, {}).features) == {"ask"}


@pytest.mark.parametrize(
    ("files", "generator", "sources"),
    [
        (
            {
                "astro.config.mjs": "export default { site: 'https://a.example' }",
                "src/content/blog/x.mdx": "# x",
                "src/pages/about.md": "# a",
            },
            "Astro",
            ("src/content/**/*.mdx", "src/pages/**/*.md"),
        ),
        ({"hugo.toml": 'baseURL = "https://h.example/"', "content/posts/x.md": "# x"}, "Hugo", ("content/**/*.md",)),
        (
            {"_config.yml": "title: J\nurl: https://j.example", "_posts/2020-01-01-x.md": "# x", "about.md": "# a"},
            "Jekyll",
            ("_posts/**/*.md", "*.md"),
        ),
        ({".eleventy.js": "", "posts/x.md": "# x"}, "Eleventy", ("posts/**/*.md",)),
        ({"notes/x.md": "# x", "index.html": "<h1>x</h1>"}, "", ("notes/**/*.md", "*.html")),
    ],
)
def test_the_generator_and_its_content_are_found(
    tmp_path: Path, files: dict[str, str], generator: str, sources: tuple[str, ...]
) -> None:
    """Each common kind of site is known by its own files, and the globs cover its pages."""
    found = look(put(tmp_path, files))
    assert (found.generator, found.sources) == (generator, sources)
    assert load_settings(write(found), {}).file.corpus.sources == sources


def test_name_address_and_contact_are_learnt_where_they_stand(tmp_path: Path) -> None:
    """A JSON Resume tells who the owner is; nothing has to be typed again."""
    found = look(put(tmp_path, {"resume.json": RESUME, "content/a.md": "# a"}))
    site = load_settings(write(found), {}).site
    assert (site.name, site.url, site.contact) == ("Ann Ode", "https://ode.example", "mailto:ann@ode.example")
    assert "resume.json" in found.sources


def test_a_spreadsheet_of_skills_is_known_by_its_columns_not_its_name(tmp_path: Path) -> None:
    """The matrix is the sheet with a skill and a level column; another sheet is not taken for it."""
    found = look(put(tmp_path, {"a-budget.csv": "Month,Sum\nMay,3\n", "people.csv": MATRIX, "content/a.md": "# a"}))
    assert found.skills == "people.csv"
    assert found.other_sheets == ("a-budget.csv",)
    assert set(load_settings(write(found), {}).features) == {"ask", "fit"}


def test_agent_files_builds_and_dependencies_are_not_content(tmp_path: Path) -> None:
    """What a reader of the site never sees is not offered as a source."""
    files = dict.fromkeys(("CLAUDE.md", "README.md", "node_modules/x/readme.md", "dist/index.html", ".git/x.md"), "# x")
    assert look(put(tmp_path, files)).sources == ()


def test_settings_that_are_there_are_never_touched(tmp_path: Path) -> None:
    """A second init leaves the owner's file as it is and says so."""
    path = write(look(tmp_path))
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        write(look(tmp_path))
    assert caught.value.code == "settings_exist"
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_name_with_quotes_stays_valid_toml(tmp_path: Path) -> None:
    """What was learnt from a stranger's file is quoted, whatever it holds."""
    resume = json.dumps({"basics": {"name": 'Ann "A" \\ Ode\u007f', "url": "javascript:1", "email": "no"}, "work": []})
    found = look(put(tmp_path, {"resume.json": resume}))
    (tmp_path / "t.toml").write_text(render(found).replace('"no"', '""'), encoding="utf-8")
    assert load_settings(tmp_path / "t.toml", {}).site.name == 'Ann "A" \\ Ode\u007f'
