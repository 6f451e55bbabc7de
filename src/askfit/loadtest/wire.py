"""The owner's site over loopback: what its questions weigh, what they cost this machine, and one burst in real time.

The site runs in this process with its own prompts, limits and ledger, the latter in a folder that is removed; its model
is the scripted server on loopback, whatever keys and addresses the environment holds. Nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from askfit.config import Settings
from askfit.corpus import Corpus
from askfit.errors import AskfitError
from askfit.evals.samples import AskSample, default_samples, read_samples
from askfit.loadtest.simulate import Question
from askfit.models import facts
from askfit.providers.scripted import ScriptedServer
from askfit.rates import Limits
from askfit.site import Site, open_site
from askfit.skills import Matrix

if TYPE_CHECKING:
    import httpx2

COLD, WARM, TIMED = 1, 5, 16  # questions: the first writes the cache; then some for the imports; then the clock runs
BURST_S = 6.0
BURST_MOST = 32  # questions
HEADINGS = 40
ROWS = 12  # of the matrix, as a posting's requirements
ROW = """SELECT answer, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens FROM calls
WHERE outcome = 'ok' AND provider <> 'builtin' ORDER BY at_ms, id"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the site's own questions come to. They have no answers yet: the scripted model's are not a model's."""

    questions: tuple[Question, ...]
    calls_each: float  # calls to the model per question
    cpu_ms: float  # of this process, per question
    from_samples: bool  # the owner's, not drawn from headings or rows


@dataclass(frozen=True, slots=True)
class Burst:
    """Questions in real time against limits that bite at once."""

    asked: int
    answered: int  # by the model
    refused: int  # with 429
    longest_s: float  # from the question to the answer's end


class Rig:
    """One feature of an opened site, and the server that plays its model."""

    def __init__(self, site: Site, server: ScriptedServer, app: Any, feature: str) -> None:
        self._site, self._server, self._app = site, server, app
        self._feature = feature
        self._questions, self.from_samples = questions_of(site.settings, feature, site.corpus, site.matrix)
        self._asked = 0

    @property
    def model(self) -> str:
        """That the feature asks first."""
        from askfit.routing import candidates

        return candidates(self._site.settings, self._feature)[0]

    async def measure(self) -> Measured:
        """Ask some questions one after another; all but the first find the cache written."""
        for _ in range(COLD + WARM):
            await self._ask()
        begun_ms, before = _cpu_ms(self._server), self._asked
        for _ in range(TIMED):
            await self._ask()
        cpu_ms = (_cpu_ms(self._server) - begun_ms) / (self._asked - before)
        rows = await self._rows()
        answers = len({row["answer"] for row in rows}) or 1
        return Measured(self._weigh(rows), len(rows) / answers, cpu_ms, self.from_samples)

    def _weigh(self, rows: Sequence[dict[str, Any]]) -> tuple[Question, ...]:
        """Shared and own tokens of each question, as the model's own tokenizer would count them."""
        if not rows:
            raise AskfitError(
                "loadtest_no_calls", "The scripted model answered none of the questions.", "Run: askfit check"
            )
        ratio = facts(self.model).tokenizer_ratio
        shared = max(row["cache_read_tokens"] + row["cache_write_tokens"] for row in rows)
        own = [max(0, row["input_tokens"] - shared) for row in rows]
        return tuple(Question(round(shared * ratio), round(tokens * ratio), 0) for tokens in own)

    async def _rows(self) -> list[dict[str, Any]]:
        from sqlalchemy import text

        read = text(ROW)
        return await self._site.ledger.store.read(lambda found: [dict(row) for row in found.execute(read).mappings()])

    async def burst(self, limits: Limits, times_s: Sequence[float], begins: float) -> Burst:
        """Ask at these moments, each as another visitor, with the account's buckets `begins` full."""
        self._server.reset()
        self._server.script.limit(limits, begins=begins)
        begun_s = time.perf_counter()

        async def one(when_s: float) -> tuple[bool, float]:
            await asyncio.sleep(max(0.0, begun_s + when_s - time.perf_counter()))
            asked_s = time.perf_counter()
            said = await self._ask()
            return said["provider"] != "builtin", time.perf_counter() - asked_s

        told = await asyncio.gather(*(one(when_s) for when_s in times_s))
        refused = sum(seen.status == 429 for seen in self._server.requests)
        return Burst(len(told), sum(by_model for by_model, _ in told), refused, max(took_s for _, took_s in told))

    async def _ask(self) -> dict[str, Any]:
        """One question of a visitor who never came before."""
        import httpx2

        number, self._asked = self._asked, self._asked + 1
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        transport = httpx2.ASGITransport(self._app, client=(address, 1))
        body = self._questions[number % len(self._questions)]
        path = self._site.settings.features[self._feature].path
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return _answered(await client.post(path, json=body, headers={"accept": "application/json"}))


def _answered(response: httpx2.Response) -> dict[str, Any]:
    said: dict[str, Any] = response.json()
    if response.status_code != 200:
        raise AskfitError("loadtest_failed", f"The site refused a question: {said.get('detail', said)}", "Try again.")
    return said


def _cpu_ms(server: ScriptedServer) -> float:
    """Of this process without the scripted server's thread, where the system counts threads."""
    used = time.process_time()
    ident = server.thread_id
    if ident and hasattr(time, "pthread_getcpuclockid"):
        used -= time.clock_gettime(time.pthread_getcpuclockid(ident))
    return used * 1000


@asynccontextmanager
async def rig(settings: Settings, feature: str) -> AsyncIterator[Rig]:
    """The site with its own settings, but for the model's address, the keys, the store, the budget and the log."""
    from askfit.web.app import create_app

    with tempfile.TemporaryDirectory(prefix="askfit-loadtest-") as folder, ScriptedServer() as server, _quiet():
        apart = on_loopback(settings, server, Path(folder))
        async with open_site(apart) as site:
            app = create_app(apart, site=site)
            async with app.router.lifespan_context(app):
                await site.gateway.warm()
                yield Rig(site, server, app, feature)


def on_loopback(settings: Settings, server: ScriptedServer, folder: Path) -> Settings:
    """No key, address, database or budget of the owner's is used."""
    secrets = replace(
        settings.secrets,
        anthropic_api_key=SecretStr("loadtest"),
        anthropic_base_url=server.url,
        openai_api_key=SecretStr("loadtest"),
        openai_base_url=server.openai_url,
    )
    file = settings.file
    ample = {"per_day_usd": 1e6, "per_month_usd": 1e6}
    changed = file.model_copy(
        update={
            "budget": file.budget.model_copy(update=ample),
            "store": file.store.model_copy(update={"url": f"sqlite:///{folder / 'ledger.db'}", "redis_url": ""}),
        }
    )
    return replace(settings, file=changed, secrets=secrets)


@contextmanager
def _quiet() -> Iterator[None]:
    """The gateway's warnings are what is looked for here: the report tells them."""
    log = logging.getLogger("askfit")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


# ---------------------------------------------------------------- what visitors ask


def questions_of(
    settings: Settings, feature: str, corpus: Corpus, matrix: Matrix | None
) -> tuple[list[dict[str, Any]], bool]:
    """Bodies to post, and whether they are the owner's own samples."""
    kind = settings.features[feature].kind
    try:
        samples = read_samples(default_samples(settings, feature), kind)
    except AskfitError:  # none, or none that can be used: `askfit eval` says which
        samples = ()
    bodies = [{"question": one.question} if isinstance(one, AskSample) else {"posting": one.posting} for one in samples]
    if bodies:
        return bodies, True
    return ([{"posting": _posting(matrix)}] if kind == "assessment" else _headings(corpus)), False


def _headings(corpus: Corpus) -> list[dict[str, Any]]:
    named = dict.fromkeys(section.heading or section.title for section in corpus.sections)
    asked = [{"question": f"What is there to know about {heading[:200]}?"} for heading in list(named)[:HEADINGS]]
    return asked or [{"question": "Who are you?"}]


def _posting(matrix: Matrix | None) -> str:
    """A posting that asks what the matrix has."""
    names = [skill.name for skill in matrix.skills[:ROWS]] if matrix else ["Python"]
    lines = "\n".join(f"- At least three years of experience with {name}" for name in names)
    return (
        "We are hiring for our team. You will work with colleagues from several departments and own what you build, "
        f"from the first idea to its operation.\n\nRequirements\n{lines}\n"
    )
