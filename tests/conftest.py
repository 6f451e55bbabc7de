"""What every test may lean on: the sample site, small sites of one's own, and services that must be there in CI."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import chromium
from askfit.config import Settings, load_settings
from askfit.providers.scripted import ScriptedServer

if TYPE_CHECKING:
    import httpx2
    from fastapi import FastAPI
    from playwright.sync_api import Page

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="DIR", help="keep the browser's runs that are worth seeing, as pictures, here")


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listens on."""
    return _free_port()


# ---------------------------------------------------------------- servers

READY_S = 30.0
OURS = ("ANTHROPIC", "OPENAI", "ASKFIT")  # variables that would change what is served


Record = Callable[["Page", str], None]


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """`record(page, "390-dark-1-question")` keeps what is on screen, if pytest was given --record DIR."""
    folder = request.config.getoption("--record")

    def keep(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return keep


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """PostgreSQL with a schema of the test's own, which is dropped afterwards."""
    import psycopg
    from psycopg import sql

    schema = f"askfit_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        try:
            yield f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_store(request: pytest.FixtureRequest) -> str:
    """Settings' lines for either database; for SQLite none, since it is what they are without."""
    if request.param == "sqlite":
        return ""
    return f'[store]\nurl = "{request.getfixturevalue("postgres_url")}"\n'


NO_WAY_TO_BE_NOBODY = os.geteuid() == 0 and not shutil.which("setpriv")


@contextmanager
def read_only(folder: Path) -> Iterator[list[str]]:
    """A folder that cannot be written though all on the way to it can be read; gives what a command begins with, since
    root may write anywhere."""
    temporary = Path(tempfile.gettempdir())
    above = [one for one in folder.parents if one != temporary and one.is_relative_to(temporary)]
    modes = {one: one.stat().st_mode for one in (folder, *above)}
    for one in modes:
        one.chmod(0o555)
    try:
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        yield nobody if os.geteuid() == 0 else []
    finally:
        for one, mode in reversed(modes.items()):
            one.chmod(mode)


@dataclass(frozen=True, slots=True)
class Served:
    """`askfit serve` as an owner runs it, ready."""

    url: str
    process: subprocess.Popen[bytes]


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """`with serve(toml, {"ANTHROPIC_API_KEY": "x"}, port=8000) as served:` ends the process it has begun."""
    return _serving


@contextmanager
def _serving(toml: Path, environ: Mapping[str, str] | None = None, *, port: int = 0) -> Iterator[Served]:
    port = port or _free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "askfit", "serve", "--config", str(toml), "--port", str(port)]
    log = toml.with_name("serve.log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=clean | {**(environ or {})}, stdout=out, stderr=out, cwd=toml.parent)
    try:
        served = Served(f"http://127.0.0.1:{port}", process)
        _await_ready(served, log)
        yield served
    finally:
        process.terminate()
        process.wait(READY_S)


def _await_ready(served: Served, log: Path) -> None:
    """Until /readyz answers 200."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        assert served.process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"{served.url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"{served.url} is not ready: {log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedServer]:
    """A model of ours on loopback, behind the wires of Anthropic and OpenAI; it keeps what earlier tests scripted."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def model(scripted_server: ScriptedServer) -> ScriptedServer:
    """The same, faithful again and with nothing asked yet."""
    scripted_server.reset()
    return scripted_server


VISITED = (
    "# Ann\nAnn leads a team of four in Lisbon. She shipped the Harbor game in 2021.\n\n"
    "## Work\nAnn tested games at Quillfen for two years."
)


@dataclass
class Visiting:
    """A small site behind its app, its models on loopback."""

    app: FastAPI
    client: httpx2.AsyncClient
    model: ScriptedServer

    async def ask(self, question: str, **more: Any) -> dict[str, Any]:
        body = {"question": question, **more}
        given = await self.client.post("/ask-ai", json=body, headers={"accept": "application/json"})
        assert given.status_code == 200, given.text
        answer: dict[str, Any] = given.json()
        return answer

    async def rows(self) -> list[dict[str, Any]]:
        """The ledger's calls, oldest first."""
        from sqlalchemy import text as sql

        order = sql("SELECT * FROM calls ORDER BY rowid")
        store = self.app.state.site.ledger.store
        rows: list[dict[str, Any]] = await store.read(lambda one: [dict(row) for row in one.execute(order).mappings()])
        return rows

    @property
    def shadowing(self) -> bool:
        """Is a turn being asked of another model in the background?"""
        return any(task.get_name() == "askfit shadow" for task in asyncio.all_tasks())

    @property
    def asked(self) -> list[str]:
        """The models that were called, in order."""
        return [f"anthropic:{seen.body['model']}" for seen in self.model.requests]


@pytest.fixture
def visit(make_site: Callable[..., Settings], model: ScriptedServer) -> Callable[[str], Any]:
    """`async with visit(more_toml) as there:` a small site behind its app, the wires on loopback."""

    @asynccontextmanager
    async def opened(more_toml: str) -> AsyncIterator[Visiting]:
        import httpx2

        environ = {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": model.url}
        often = "\n[limits]\nper_visitor_per_minute = 1000\nper_visitor_per_day = 1000\n"
        from askfit.web import create_app

        app = create_app(make_site({"content/about.md": VISITED}, more_toml + often, environ))
        transport = httpx2.ASGITransport(app=app, client=("203.0.113.7", 4321))
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client,
        ):
            yield Visiting(app, client, model)

    return opened
