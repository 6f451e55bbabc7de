"""The database: opened where the settings say, shared by several servers, and told plainly where it cannot be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from askfit.config import Settings
from askfit.errors import StoreError
from askfit.store import Store, open_store
from conftest import NO_WAY_TO_BE_NOBODY, POSTGRES_URL, read_only

MakeSite = Callable[..., Settings]
TABLE = "CREATE TABLE things (name TEXT PRIMARY KEY)"


def stored(make_site: MakeSite, url: str) -> Settings:
    return make_site({}, f'[store]\nurl = "{url}"\n')


def refused(settings: Settings) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_store(settings)
    assert caught.value.next_step
    return caught.value


def names(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute(text("SELECT name FROM things ORDER BY name"))]


def add(name: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": name})


async def test_the_file_stands_beside_the_settings_whatever_the_working_folder(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A relative sqlite path is relative to askfit.toml."""
    settings, elsewhere = make_site({}), tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    store = open_store(settings)
    await store.aclose()
    assert (settings.root / "askfit.db").is_file()
    assert list(elsewhere.iterdir()) == []


async def test_work_is_one_transaction_that_an_exception_undoes(make_site: MakeSite) -> None:
    """What fails half-way leaves nothing behind."""
    store = open_store(make_site({}))
    await store.migrate("test", (TABLE,))

    def work(connection: Connection) -> None:
        add("half")(connection)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await store.run(work)
    await store.run(add("whole"))
    assert await store.read(names) == ["whole"]
    await store.aclose()


async def test_each_step_of_a_schema_runs_once_and_new_ones_follow(make_site: MakeSite) -> None:
    """An older file is brought forward; what it held stays."""
    settings = make_site({})
    store = open_store(settings)
    await store.migrate("test", (TABLE,))
    await store.run(add("old"))
    await store.aclose()
    store = open_store(settings)
    steps = (TABLE, "ALTER TABLE things ADD COLUMN colour TEXT;\nUPDATE things SET colour = 'red'")
    await store.migrate("test", steps)
    await store.migrate("test", steps)
    await store.migrate("another", ("CREATE TABLE others (id INTEGER)",))
    rows = await store.read(lambda connection: list(connection.execute(text("SELECT name, colour FROM things"))))
    assert [tuple(row) for row in rows] == [("old", "red")]
    await store.aclose()


async def test_a_file_of_a_newer_askfit_is_left_alone(make_site: MakeSite) -> None:
    """We would not understand it: say so rather than write into it."""
    store = open_store(make_site({}))
    await store.migrate("test", (TABLE, "SELECT 1"))
    with pytest.raises(StoreError) as caught:
        await store.migrate("test", (TABLE,))
    assert caught.value.code == "store_newer"
    await store.aclose()


def test_a_file_that_is_no_database_is_named(make_site: MakeSite) -> None:
    """A text file, or a database cut in the middle, is told with its path and is not overwritten."""
    settings = make_site({"askfit.db": "Dear diary, " * 500})
    error = refused(settings)
    assert error.code == "store_corrupt"
    assert str(settings.root / "askfit.db") in error.message
    assert (settings.root / "askfit.db").read_bytes().startswith(b"Dear diary")


async def test_a_damaged_database_is_named(make_site: MakeSite) -> None:
    """Damage that shows only on reading is the same error."""
    settings = make_site({})
    store = open_store(settings)
    await store.migrate("test", (TABLE,))
    await store.run(lambda connection: [add(f"{n:0200}")(connection) for n in range(500)])
    await store.aclose()
    data = bytearray((settings.root / "askfit.db").read_bytes())
    data[4096 : len(data) - 100] = b"\xff" * (len(data) - 4196)
    (settings.root / "askfit.db").write_bytes(data)
    with pytest.raises(StoreError) as caught:
        store = open_store(settings)
        await store.read(names)
    assert caught.value.code == "store_corrupt"


NO_PLACES = ("sqlite:///missing/askfit.db", "sqlite:///content/about.md/askfit.db", "sqlite:///content")


@pytest.mark.parametrize("url", NO_PLACES)
def test_a_place_that_cannot_hold_a_file_is_unwritable(make_site: MakeSite, url: str) -> None:
    """A folder that is not there, a file in its place, a folder in the file's place."""
    settings = make_site({"content/about.md": "# Hi\n"}, f'[store]\nurl = "{url}"\n')
    assert refused(settings).code == "store_unwritable"


OPEN_ONLY = """
import sys
from askfit.config import load_settings
from askfit.store import open_store
open_store(load_settings(sys.argv[1], {}))
"""


@pytest.mark.skipif(NO_WAY_TO_BE_NOBODY, reason="root may write anywhere")
@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_place_is_unwritable(make_site: MakeSite, there: bool) -> None:
    """Told when the store is opened, not when the first question comes; the same where the file is already there."""
    settings = make_site({})
    if there:
        sqlite3.connect(settings.root / "askfit.db").execute(TABLE).connection.close()
        (settings.root / "askfit.db").chmod(0o444)
    with read_only(settings.root) as as_nobody:
        command = [*as_nobody, sys.executable, "-c", OPEN_ONLY, str(settings.path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "StoreError: " in done.stderr and "cannot be written." in done.stderr, done.stderr


async def test_a_lock_held_too_long_is_busy(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program sits on the file: one sentence after the wait."""
    monkeypatch.setattr("askfit.store.BUSY_TIMEOUT_S", 0.1)
    settings = make_site({})
    store = open_store(settings)
    await store.migrate("test", (TABLE,))
    other = sqlite3.connect(settings.root / "askfit.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        await store.run(add("x"))
    assert caught.value.code == "store_busy"
    assert await store.read(names) == []  # reading waits for no writer
    other.execute("ROLLBACK")
    other.close()
    await store.run(add("x"))
    await store.aclose()


OPEN_AND_WRITE = """
import asyncio, sys
from askfit.config import load_settings
from askfit.store import open_store
from sqlalchemy import text
async def main():
    store = open_store(load_settings(sys.argv[1], {}))
    await store.migrate("test", ("CREATE TABLE things (name TEXT PRIMARY KEY)",))
    for n in range(25):
        await store.run(lambda c: c.execute(text("INSERT INTO things VALUES (:name)"), {"name": f"{sys.argv[2]}-{n}"}))
    await store.aclose()
asyncio.run(main())
"""


async def test_servers_that_open_a_new_file_in_the_same_moment_all_succeed(make_site: MakeSite) -> None:
    """The switch to WAL, the schema and the rows of four processes that start together."""
    settings = make_site({})
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN_AND_WRITE, str(settings.path), str(n), stderr=subprocess.PIPE
        )
        for n in range(4)
    ]
    for process in started:
        _, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()
    store = open_store(settings)
    assert len(await store.read(names)) == 100
    await store.aclose()


async def test_the_event_loop_goes_on_while_the_database_works(make_site: MakeSite) -> None:
    """Slow work blocks the store's thread, not the visitors."""
    import time

    store = open_store(make_site({}))
    work = asyncio.ensure_future(store.run(lambda _: time.sleep(0.15)))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks >= 5
    await store.aclose()


# ---------------------------------------------------------------- PostgreSQL


def test_without_its_driver_the_extra_is_named(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """psycopg is an extra: the message says which command installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    error = refused(stored(make_site, "postgresql://ann:hush@127.0.0.1/site"))
    assert error.code == "store_driver_missing"
    assert "askfit[postgres]" in error.next_step


def test_a_server_that_does_not_answer_is_named_without_the_password(make_site: MakeSite, free_port: int) -> None:
    """Nothing listens there."""
    error = refused(stored(make_site, f"postgresql://ann:hush@127.0.0.1:{free_port}/site"))
    assert error.code == "store_unreachable"
    assert "127.0.0.1" in error.message and "hush" not in f"{error!r} {error} {error.__cause__}"


@pytest.mark.parametrize("url", ["postgresql://ann:hu@sh:x/site", "postgresql://ann:hush@host:port/site"])
def test_an_address_that_cannot_be_read_never_shows_its_password(make_site: MakeSite, url: str) -> None:
    """SQLAlchemy's own message would show the whole address."""
    error = refused(stored(make_site, url))
    assert error.code in ("store_url_invalid", "store_unreachable")
    assert "hu" not in error.message.replace("that", "") and "sh:" not in str(error)


@pytest.mark.postgres
def test_a_wrong_database_name_is_told_without_the_password(make_site: MakeSite) -> None:
    """The server is there, the database is not."""
    error = refused(
        stored(make_site, POSTGRES_URL.rsplit("/", 1)[0].replace("postgres@", "postgres:hush@") + "/nowhere")
    )
    assert error.code == "store_missing" and "does not exist" in error.message
    assert "hush" not in str(error)


@pytest.mark.postgres
async def test_postgresql_runs_the_same_work(make_site: MakeSite) -> None:
    """Schema, transaction, and two that ask to run alone one after the other."""
    settings = stored(make_site, POSTGRES_URL)
    one, two = open_store(settings), open_store(settings)
    table = f"things_{os.getpid()}"
    steps = (f"CREATE TABLE {table} (n BIGINT)",)
    await asyncio.gather(one.migrate(table, steps), two.migrate(table, steps))

    def count_up(connection: Connection) -> None:
        seen = connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one()
        connection.execute(text(f"INSERT INTO {table} VALUES (:n)"), {"n": seen})

    await asyncio.gather(*(store.run(count_up, alone=True) for _ in range(20) for store in (one, two)))
    rows = await one.read(lambda connection: [row[0] for row in connection.execute(text(f"SELECT n FROM {table}"))])
    assert sorted(rows) == list(range(40))
    await one.run(lambda connection: connection.execute(text(f"DROP TABLE {table}")))
    await one.run(
        lambda connection: connection.execute(text("DELETE FROM schema_version WHERE owner = :o"), {"o": table})
    )
    await one.aclose()
    await two.aclose()


def test_a_store_says_its_place(make_site: MakeSite) -> None:
    """For messages: the path as it is on this machine."""
    settings = make_site({})
    store: Store = open_store(settings)
    assert store.place == str(settings.root / "askfit.db")
