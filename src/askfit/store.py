"""Open the database behind the ledger: SQLite beside the settings, or PostgreSQL. Knows connections, not what is kept.

All work runs on the store's own thread, one transaction at a time, so that the event loop never waits on a disk and a
connection never leaves its thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from askfit.config import Settings
from askfit.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")
BUSY_TIMEOUT_S = 5.0  # two servers on one SQLite file wait for each other this long
CONNECT_TIMEOUT_S = 5
SILENCE_MS = 10_000  # PostgreSQL that does not acknowledge for so long is taken for gone
LOCK_KEY = 7_235_101  # of PostgreSQL's advisory lock: any number, as long as every askfit takes the same


class Store:
    """One database and the thread that speaks to it."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.place = place  # for messages: a path or a host, never a password
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="askfit-store")

    async def run(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Run `work` in one transaction that may write. No two that run `alone` overlap, on whichever servers.

        On SQLite no two writers overlap in any case.
        """
        return await self._on_thread(self._transact, work, alone=alone, reads_only=False)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that only reads: on SQLite it holds up no writer."""
        return await self._on_thread(self._transact, work, alone=False, reads_only=True)

    async def migrate(self, owner: str, steps: Sequence[str]) -> None:
        """Bring one owner's tables forward: each step is SQL that every database here understands, run once, in order.

        A step that has been released is never changed; a new one is added after it.
        """
        await self.run(lambda connection: self._migrate(connection, owner, steps), alone=True)

    def _migrate(self, connection: Connection, owner: str, steps: Sequence[str]) -> None:
        from sqlalchemy import text

        connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (owner TEXT PRIMARY KEY, version INTEGER)"))
        known = text("SELECT version FROM schema_version WHERE owner = :owner")
        version = connection.execute(known, {"owner": owner}).scalar() or 0
        if version > len(steps):
            raise StoreError(
                "store_newer",
                f"{self.place} was written by a newer askfit.",
                "Upgrade askfit, or name another [store] url.",
            )
        for step in steps[version:]:
            for statement in step.split(";\n"):
                connection.execute(text(statement))
        connection.execute(
            text(
                "INSERT INTO schema_version (owner, version) VALUES (:owner, :version) "
                "ON CONFLICT (owner) DO UPDATE SET version = excluded.version"
            ),
            {"owner": owner, "version": len(steps)},
        )

    async def _on_thread(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **options))

    def _transact(self, work: Callable[[Connection], T], *, alone: bool, reads_only: bool) -> T:
        from sqlalchemy.exc import DBAPIError

        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(reads_only=reads_only)
                with connection.begin():
                    if alone and connection.dialect.name == "postgresql":
                        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
                    return work(connection)
        except DBAPIError as error:
            raise told(error, self.place) from error

    async def aclose(self) -> None:
        """Finish what is queued, then close."""
        await self._on_thread(self._engine.dispose)
        self._thread.shutdown(wait=False)


def open_store(settings: Settings) -> Store:
    """Open (and, where it is new, create) the database that [store] url names; StoreError with the next step."""
    from sqlalchemy.exc import DBAPIError

    url = _url(settings)
    engine, place = _sqlite(url, settings) if url.drivername == "sqlite" else _postgresql(url)
    try:
        with engine.begin():
            pass  # a write transaction: a place that cannot be written is told now, not at the first question
    except DBAPIError as error:
        engine.dispose()
        raise told(error, place) from None
    return Store(engine, place)


def _url(settings: Settings) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(settings.file.store.url)
    except (ArgumentError, ValueError):  # their messages show the whole address, password included
        raise StoreError(
            "store_url_invalid",
            f"[store] url in {settings.path.name} is not an address that can be read.",
            "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; a password's @ : / # as %40 %3A %2F %23.",
        ) from None


def _sqlite(url: URL, settings: Settings) -> tuple[Engine, str]:
    from sqlalchemy import create_engine, event

    path = str(settings.root / (url.database or "askfit.db"))
    # check_same_thread: one thread opens the connection and the store's uses it, never two at once.
    engine = create_engine(
        url.set(database=path),
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine, path


def _on_sqlite_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    _to_wal(connection)
    # A crash of askfit loses nothing; a power cut may lose the last rows, never the file (docs/decisions/store.md).
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _to_wal(connection: Any) -> None:
    """Two servers that open a new file in the same moment: the switch does not wait for the other's by itself."""
    import sqlite3

    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _on_sqlite_begin(connection: Connection) -> None:
    """IMMEDIATE takes the write lock at once: two servers queue, and neither fails for having read too early."""
    reads_only = connection.get_execution_options().get("reads_only")
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> tuple[Engine, str]:
    from sqlalchemy import create_engine

    place = f"PostgreSQL at {url.host or 'the local socket'}"
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": SILENCE_MS},
        )
    except ImportError:
        raise StoreError(
            "store_driver_missing", "PostgreSQL's driver is not installed.", "Run: pip install 'askfit[postgres]'"
        ) from None
    return engine, place


def postgresql_engine(settings: Settings) -> tuple[Engine, str]:
    """Connections to the PostgreSQL that [store] url names, and its place for messages: for what keeps its own tables.

    Its errors become a StoreError by `told`.
    """
    return _postgresql(_url(settings))


# The first row of which a mark stands in the driver's message: code, what is said of the place, the next step.
TOLD = (
    (
        ("not a database", "malformed", "disk i/o"),
        "store_corrupt",
        "is not a usable database.",
        "Move it away: a new one is made at the next start. What it held can often be saved by: sqlite3 FILE .recover",
    ),
    (
        ("readonly", "read-only", "unable to open", "permission denied"),
        "store_unwritable",
        "cannot be written.",
        "Set [store] url to a place that askfit may write to.",
    ),
    (("is full", "no space"), "store_unwritable", "cannot be written: the disk is full.", "Make room on it."),
    (
        ('fatal:  database "',),
        "store_missing",
        "does not exist, though its server answers.",
        "Create it there (createdb NAME), or mend the name in [store] url.",
    ),
    (
        ("password authentication", "no password supplied"),
        "store_refused",
        "refuses the password.",
        "Mend [store] url.",
    ),
    (
        ("locked", "lock timeout"),
        "store_busy",
        "is held by another program.",
        "Close that program, or try again in a moment.",
    ),
)


def told(error: Exception, place: str) -> StoreError:
    """A driver's error as a sentence for the owner."""
    said = str(getattr(error, "orig", error)).lower()
    for marks, code, what, next_step in TOLD:
        if any(mark in said for mark in marks):
            return StoreError(code, f"{place} {what}", next_step)
    return StoreError(
        "store_unreachable", f"{place} cannot be reached.", "Check that it runs, and the address in [store] url."
    )
