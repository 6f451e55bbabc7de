"""What every test may lean on: the sample site, small sites of one's own, and services that must be there in CI."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chromium
from askfit.config import Settings, load_settings

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "site"
IN_CI = os.environ.get("CI") == "true"
POSTGRES_URL = os.environ.get("ASKFIT_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS_URL = os.environ.get("ASKFIT_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex(("127.0.0.1", port)) == 0


NEEDS: dict[str, tuple[Callable[[], object], str]] = {
    "postgres": (lambda: _listening(5432), "PostgreSQL does not listen on 127.0.0.1:5432"),
    "redis": (lambda: _listening(6379), "Redis does not listen on 127.0.0.1:6379"),
    "browser": (chromium.find, "Chromium is not installed: apt-get install chromium, or set ASKFIT_TEST_CHROMIUM"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what needs an absent service; in CI nothing is skipped: it fails."""
    absent = {name: why for name, (there, why) in NEEDS.items() if not there()}
    for item in items:
        for name, why in absent.items():
            if item.get_closest_marker(name) and not IN_CI:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(autouse=True)
def _no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys never reach a test."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ASKFIT_OWNER_SECRET"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Settings]:
    """The sample site, copied so that nothing is written into the project."""
    shutil.copytree(SAMPLE, tmp_path / "sample", ignore=shutil.ignore_patterns("*.db*"))
    yield load_settings(tmp_path / "sample" / "askfit.toml", {})


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Settings]:
    """Write a small site: `make_site({"content/about.md": "# Hi"}, more_toml='…', environ={})` → its Settings."""

    def make(files: dict[str, str | bytes], more_toml: str = "", environ: dict[str, str] | None = None) -> Settings:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if "askfit.toml" not in files:
            head = (
                '[site]\nname = "Ann Ode"\nurl = "https://ann.example.com"\ncontact = "mailto:hi@ann.example.com"\n'
                '[corpus]\nsources = ["content/**/*"]\n'
            )
            (tmp_path / "askfit.toml").write_text(head + more_toml, encoding="utf-8")
        return load_settings(tmp_path / "askfit.toml", environ or {})

    return make


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
