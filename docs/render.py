"""Run every `$ askfit …` in the ```console blocks of README.md and docs/, and put what it prints under it.

Each block runs in a fresh copy of an example with no key: of the sample site, or of the one in EXAMPLES. `--check`
changes nothing and fails where a page differs. Pages that are named alone: `render.py README.md`.
Times, speeds and temporary paths vary from run to run: they are written as `… ms`, `…` and `…/site`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = {"docs/compare.md": "compare"}
VARYING = (
    (re.compile(r"\b\d+(\.\d+)? ms\b"), "… ms"),
    (re.compile(r"\S*/askfit-docs-\w+/"), "…/"),
    (re.compile(r"^(first word|tokens a second) .*$", re.MULTILINE), r"\1   …"),
)


def run(command: str, folder: Path) -> str:
    """What one command prints, standard error after standard output."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "ASKFIT"))}
    environ = keep | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "110", "NO_COLOR": "1"}
    done = subprocess.run(  # noqa: S602 - our own pages' own commands
        command, shell=True, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    text = done.stdout + done.stderr
    for pattern, stable in VARYING:
        text = pattern.sub(stable, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def render(block: re.Match[str], example: str) -> str:
    """A block with each command's output renewed, run in a copy of this example."""
    commands = [line for line in block.group(1).splitlines() if line.startswith("$ ")]
    with tempfile.TemporaryDirectory(prefix="askfit-docs-") as folder:
        for name in {"site", "gold", example}:
            shutil.copytree(ROOT / "examples" / name, Path(folder) / name)
        lines = []
        for command in commands:
            lines += [command, *filter(None, [run(command.removeprefix("$ "), Path(folder) / example)])]
    return "```console\n" + "\n".join(lines) + "\n```"


def pages() -> list[Path]:
    """Those that show what commands print."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in every if BLOCK.search(page.read_text(encoding="utf-8"))]


def main() -> None:
    check = "--check" in sys.argv
    named = [ROOT / name for name in sys.argv[1:] if not name.startswith("--")]
    stale = []
    for page in named or pages():
        text = page.read_text(encoding="utf-8")
        fresh = BLOCK.sub(partial(render, example=EXAMPLES.get(str(page.relative_to(ROOT)), "site")), text)
        if fresh != text:
            stale.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(fresh, encoding="utf-8")
    said = "differ from what the code prints" if check else "renewed"
    print(f"{', '.join(stale)}: {said}" if stale else "Every page shows what the code prints.")  # noqa: T201
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
