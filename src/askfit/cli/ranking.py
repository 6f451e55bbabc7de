"""`askfit fit DIR/`: judge every posting of a folder, and say which fits best.

What is judged is kept beside the postings, so a run that was stopped goes on where it ended and pays nothing twice. All
are judged by one model: where it does not answer, the posting waits for the next run, for a verdict of the rules among
those of a model would rank apples with pears.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from askfit import __version__
from askfit.batches import Batch, Item
from askfit.cli.batch import judge_batch, max_cost_reached, waiting
from askfit.cli.features import DOCUMENT_ENDINGS, feature_of, opened, posting_in
from askfit.cli.progress import err, progress
from askfit.cli.show import out, usd
from askfit.config import Settings
from askfit.errors import AskfitError, UsageError
from askfit.fit import assess
from askfit.fit.judgement import prompt_for
from askfit.fit.posting import Posting, read_posting
from askfit.gateway import LASTING
from askfit.models import max_cost_nanos
from askfit.prompts import load_prompt
from askfit.routing import BUILTIN, candidates
from askfit.site import Site
from askfit.types import NANOS_PER_USD, Assessment, Fault, Notice

log = logging.getLogger(__name__)

AT_ONCE = 4  # postings: enough to hide a model's latency, few enough for the smallest rate limit
RANKING_MARK = '<meta name="generator" content="askfit fit">'  # of a ranking's page: no posting
MOST_CALLS = 2  # of one assessment: one that judges, one that repairs what was wrong in form
STATE_FILE = ".askfit-ranking.jsonl"
ENDINGS = frozenset({".txt", ".md", ".markdown", ".html", ".htm"}) | DOCUMENT_ENDINGS
ORDER = ("strong", "moderate", "stretch", "misfit", "insufficient_information")
BROKEN = frozenset({"fell_back", "handed_off"})  # notices of an assessment that the rules finished for the model
UNBATCHED = "The batch brought nothing for this posting, so it was judged by itself, at the usual price. {why}"
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins so

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was given."""

    folder: Path
    most_cost_usd: float
    csv: Path | None = None
    html: Path | None = None
    batch: bool | None = None  # None: where nobody waits and the model can


@dataclass(frozen=True, slots=True)
class Ranked:
    """One posting's assessment."""

    file: str  # relative to the folder
    title: str  # as the posting has it; "" where none is found
    assessment: Assessment
    kept: bool = False  # judged by an earlier run: free this time
    batched: bool = False  # by a batch, at its price

    @property
    def top_misfit(self) -> str:
        """What speaks most against it; "" where nothing does."""
        return next((misfit.text for misfit in self.assessment.misfits), "")


@dataclass(frozen=True, slots=True)
class Report:
    """One run over a folder."""

    folder: Path
    model: str
    ranked: tuple[Ranked, ...]  # the best first
    faults: tuple[Fault, ...]  # files that could not be read or judged
    most_cost_usd: float
    total_s: float
    unused_nanos: int = 0  # for answers of a batch of which nothing came

    @property
    def cost_usd(self) -> float:
        """What this run cost. What a call by itself has cost that failed is not told here: the ledger knows it."""
        judged = sum(each.assessment.cost_usd for each in self.ranked if not each.kept)
        return judged + self.unused_nanos / NANOS_PER_USD

    @property
    def ok(self) -> bool:
        """Every file that is a posting has been judged."""
        return not any(fault.severity == "error" for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "model": self.model,
            "ok": self.ok,
            "cost_usd": self.cost_usd,
            "total_s": round(self.total_s, 2),
            "ranking": [
                {"rank": rank, "file": each.file, "title": each.title, "kept": each.kept, "batched": each.batched}
                | {"assessment": each.assessment.model_dump(mode="json")}
                for rank, each in enumerate(self.ranked, 1)
            ],
            "faults": [
                {"file": fault.file, "where": fault.where, "severity": fault.severity, "code": fault.code}
                | {"message": fault.message, "next_step": fault.next_step}
                for fault in self.faults
            ],
        }


# ---------------------------------------------------------------- the run


async def rank(settings: Settings, options: Options, *, quiet: bool) -> Report:
    """Judge what is not judged yet. On Ctrl-C what is done stays done.

    UsageError `folder_busy` where another run judges this folder: two would pay twice for the same postings.
    """
    with _alone_in(options.folder):
        return await _rank(settings, options, quiet=quiet)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's journal. The lock ends with the process, however that ends."""
    try:
        import fcntl

        held = os.open(folder / STATE_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except (ImportError, OSError):  # no such locks (Windows); or nothing can be noted, and then no batch is sent
        yield
        return
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "folder_busy",
                f"Another run is judging the postings in {folder}.",
                "Wait until it has ended, or stop it with Ctrl-C; the same command goes on from what it has done.",
            ) from None
        except OSError as error:  # a network's file system may have none
            log.warning("%s cannot be locked (%s): do not judge it twice at once.", folder, error.strerror)
        yield
    finally:
        os.close(held)


async def _rank(settings: Settings, options: Options, *, quiet: bool) -> Report:
    began = time.monotonic()
    name = feature_of(settings, "assessment")
    alone = _alone(settings, name)
    texts, faults = read_folder(options.folder, [path for path in (options.csv, options.html) if path])
    async with opened(alone, quiet=quiet) as site:
        model = candidates(alone, name)[0]
        run = Run(site, name, model, Kept(options.folder / STATE_FILE), Purse(options.most_cost_usd), faults)
        try:
            todo = await judge_batch(run, run.take_kept(texts), wanted=options.batch, quiet=quiet)
            with progress(f"Judging {len(texts)} postings", quiet=quiet) as tick:
                await run.judge_all(todo, len(texts), tick)
        except asyncio.CancelledError:
            done = f"{len(run.ranked)} of {len(texts)} postings are judged and kept in {run.kept.path}."
            err.print(escape(f"Stopped: {done} The same command goes on from there.{waiting(run)}"))
            raise
    ranked = sorted(run.ranked, key=_place)
    return Report(
        options.folder,
        model,
        tuple(ranked),
        tuple(run.faults),
        options.most_cost_usd,
        time.monotonic() - began,
        run.unused_nanos,
    )


def _alone(settings: Settings, name: str) -> Settings:
    """The settings with nobody to step in for the model."""
    file = settings.file
    features = {**file.features, name: file.features[name].model_copy(update={"fallback": ()})}
    update = {"features": features, "budget": file.budget.model_copy(update={"when_spent": "refuse"})}
    return replace(settings, file=file.model_copy(update=update))


def _place(ranked: Ranked) -> tuple[int, int, str]:
    return ORDER.index(ranked.assessment.verdict), -ranked.assessment.score, ranked.file


def read_folder(folder: Path, written: Sequence[Path] = ()) -> tuple[dict[str, str], list[Fault]]:
    """(the postings' texts by file, in the order of names; what is wrong with the others).

    Hidden files stay out, and so do rankings that were written there.
    """
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    ours = {path.resolve() for path in written}
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        hidden = any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)
        if not path.is_file() or hidden or path.resolve() in ours:
            continue
        if path.suffix.lower() not in ENDINGS:
            known = ", ".join(sorted(ENDINGS))
            message = f"Files ending in '{path.suffix}' are not read."
            faults.append(Fault("form_unknown", file, message, f"Known: {known}.", severity="warning"))
            continue
        try:
            text = posting_in(path, file)
            if RANKING_MARK not in text[:1_000]:
                texts[file] = text
        except AskfitError as error:
            faults.append(Fault(error.code, file, _without(error.message, file), error.next_step))
    if not texts and not faults:
        known = ", ".join(sorted(ENDINGS))
        raise UsageError("no_postings", f"{folder} holds no postings.", f"Put files there that end in {known}.")
    return texts, faults


def _without(message: str, file: str) -> str:
    """The sentence without the file's name, which stands before it."""
    rest = message.removeprefix(f"{file}: ").removeprefix(f"{file} ")
    return rest if message.startswith(f"{file}: ") or rest == message else f"The file {rest}"


@dataclass
class Run:
    """One run's state."""

    site: Site
    feature: str
    model: str
    kept: Kept
    purse: Purse
    faults: list[Fault]
    ranked: list[Ranked] = field(default_factory=list)
    unbatched: dict[str, str] = field(default_factory=dict)  # file → why its batch brought nothing
    unused_nanos: int = 0  # paid for answers of a batch of which nothing came
    failed: AskfitError | None = None  # what no other posting would fare better with
    done: int = 0

    def take_kept(self, texts: dict[str, str]) -> dict[str, str]:
        """Rank those that an earlier run judged; the others."""
        todo: dict[str, str] = {}
        for file, text in texts.items():
            if known := self.kept.get(self.key(text)):
                self.ranked.append(Ranked(file, *known, kept=True))
            else:
                todo[file] = text
        return todo

    async def judge_all(self, texts: dict[str, str], total: int, tick: Tick) -> None:
        """One alone, whose call fills the prompt cache, then several at once."""
        todo = deque(texts.items())
        self.done = total - len(todo)

        async def work(most: int) -> None:
            while todo and most and not self.failed:
                await self._judge(*todo.popleft())
                self.done, most = self.done + 1, most - 1
                tick(self.done, total)

        tick(self.done, total)
        await work(1)
        await asyncio.gather(*(work(len(todo)) for _ in range(1 if self.model == BUILTIN else AT_ONCE)))
        if self.failed and not self.ranked:
            raise UsageError(self.failed.code, self.failed.message, self.failed.next_step)
        if self.failed and todo:
            self.faults.append(Fault(self.failed.code, f"{len(todo)} more", self.failed.message, self.failed.next_step))

    def key(self, text: str) -> str:
        """Of all that an assessment rests on: the posting, the rows, who judges, by which prompt and which rules."""
        matrix = self.site.matrix.sha if self.site.matrix else ""
        parts = (text, matrix, self.model, load_prompt("fit").sha, __version__)
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:32]

    async def _judge(self, file: str, text: str) -> None:
        """One posting; what goes wrong is a fault of its file."""
        try:
            posting = await asyncio.to_thread(read_posting, text)
            most_nanos = MOST_CALLS * self.most_nanos(posting)
            if not await self.purse.hold(most_nanos):
                raise max_cost_reached()
            spent_nanos = most_nanos  # what a call that fails has cost is not told here: it counts in full
            try:
                found = await assess(self.site, text, feature=self.feature)
                spent_nanos = round(found.cost_usd * NANOS_PER_USD)
            finally:
                await self.purse.settle(most_nanos, spent_nanos)
        except AskfitError as error:
            self.tell(error, file)
            return
        if file in self.unbatched:
            notice = Notice(code="unbatched", message=UNBATCHED.format(why=self.unbatched[file]))
            found = found.model_copy(update={"notices": (*found.notices, notice)})
        self.take(file, posting.title, found, text)

    def most_nanos(self, posting: Posting) -> int:
        """The most that one call about it can cost."""
        if not self.site.matrix or self.model == BUILTIN:
            return 0
        # An hour in the cache is the dearest way to write it: the bound must hold for that too.
        return max_cost_nanos(self.model, replace(prompt_for(self.site.matrix, posting), cache_ttl="1h"))

    def tell(self, error: AskfitError, file: str) -> None:
        """A posting that is not judged, and why; what no other posting would fare better with ends the run."""
        if error.code in LASTING | {"budget_spent"}:
            self.failed = error
        self.faults.append(Fault(error.code, file, error.message, error.next_step))

    def take(
        self, file: str, title: str, found: Assessment, text: str, *, kept: bool = False, batched: bool = False
    ) -> None:
        """Rank it, and keep it unless the rules had to finish it."""
        self.ranked.append(Ranked(file, title, found, kept=kept, batched=batched))
        if not kept and not any(notice.code in BROKEN for notice in found.notices):
            self._keep(text, title, found)

    def _keep(self, text: str, title: str, found: Assessment) -> None:
        try:
            self.kept.add(self.key(text), title, found)
        except OSError as error:
            if not any(fault.code == "state_unwritable" for fault in self.faults):
                message = f"What is judged cannot be kept ({error.strerror})."
                step = "A later run judges it anew."
                self.faults.append(Fault("state_unwritable", str(self.kept.path), message, step, severity="warning"))


class Purse:
    """The run's money: what a call may cost at most is held until it is known what it did cost."""

    def __init__(self, most_usd: float) -> None:
        self._most_nanos = round(most_usd * NANOS_PER_USD)
        self._held_nanos = 0
        self._spent_nanos = 0
        self._changed = asyncio.Condition()

    async def hold(self, nanos: int) -> bool:
        """Hold it, waiting for calls that may turn out cheaper; False where it cannot be had."""

        def fits() -> bool:
            return self._spent_nanos + self._held_nanos + nanos <= self._most_nanos

        async with self._changed:
            await self._changed.wait_for(lambda: fits() or not self._held_nanos)
            if nanos and not fits():
                return False
            self._held_nanos += nanos
            return True

    async def hold_now(self, nanos: int) -> bool:
        """Hold it without waiting for anything."""
        async with self._changed:
            if self._spent_nanos + self._held_nanos + nanos > self._most_nanos:
                return False
            self._held_nanos += nanos
            return True

    async def settle(self, held_nanos: int, spent_nanos: int) -> None:
        """Turn what was held into what was spent."""
        async with self._changed:
            self._held_nanos -= held_nanos
            self._spent_nanos += spent_nanos
            self._changed.notify_all()


class Kept:
    """The assessments of earlier runs, a line each: what was added last counts. A broken line is no line.

    Batches that were sent stand there too, from the moment they were taken until all that they brought is used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, tuple[str, Assessment]] = {}
        self._batches: dict[str, Batch] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            try:
                self._read(json.loads(line))
            except (ValueError, KeyError, TypeError, ValidationError):
                continue

    def _read(self, said: dict[str, Any]) -> None:
        if "batch" in said:
            batch = said["batch"]
            items = tuple(Item(**item) for item in batch["items"])
            self._batches[batch["id"]] = Batch(batch["id"], batch["model"], int(batch["sent_ms"]), items)
        elif "closed" in said:
            self._batches.pop(said["closed"], None)
        else:
            self._found[said["key"]] = (str(said["title"]), Assessment.model_validate(said["assessment"]))

    @property
    def batches(self) -> tuple[Batch, ...]:
        """Those that were sent and are not closed, the oldest first."""
        return tuple(self._batches.values())

    def open_batch(self, batch: Batch) -> None:
        """Note one that the provider has taken."""
        self._batches[batch.id] = batch
        try:
            self._write({"batch": asdict(batch)})
        except OSError as error:
            message = f"The batch {batch.id} was sent, but {self.path} cannot note it ({error.strerror})."
            raise UsageError("state_unwritable", message, "Cancel it in the provider's console.") from None

    def close_batch(self, batch: Batch) -> None:
        """All that it brought is used."""
        self._batches.pop(batch.id, None)
        with suppress(OSError):  # the next run collects it once more, which costs nothing
            self._write({"closed": batch.id})

    def check_writable(self) -> None:
        """UsageError where a batch could not be noted: then none shall be sent."""
        try:
            self._write(None)
        except OSError as error:
            raise UsageError(
                "state_unwritable",
                f"{self.path} cannot be written ({error.strerror}), so a batch could not be found again.",
                "Make the folder writable, or judge one by one with --no-batch.",
            ) from None

    def get(self, key: str) -> tuple[str, Assessment] | None:
        return self._found.get(key)

    def add(self, key: str, title: str, assessment: Assessment) -> None:
        """Add one, on the disk before the next is judged. For the owner's eyes: it quotes their rows."""
        self._found[key] = (title, assessment)
        self._write({"key": key, "title": title, "assessment": assessment.model_dump(mode="json")})

    def _write(self, line: dict[str, Any] | None) -> None:
        with os.fdopen(
            os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        ) as file:
            if line is not None:
                file.write(f"{json.dumps(line)}\n")


# ---------------------------------------------------------------- what is shown


def show(report: Report) -> None:
    """A table, the best first: what each is about and what speaks most against it; then what was not judged."""
    from askfit.web.pages import VERDICTS, headline

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head, options in (("", {"justify": "right"}), ("verdict", {"no_wrap": True}), ("score", {"justify": "right"})):
        table.add_column(head, **options)
    table.add_column("posting", no_wrap=True, overflow="ellipsis", max_width=34)
    table.add_column("what stands out")
    for place, each in enumerate(report.ranked, 1):
        found = each.assessment
        judged = found.verdict != "insufficient_information"
        against = f"\n[red]✕[/] {escape(each.top_misfit)}" if each.top_misfit else ""
        named = f"{escape(each.title)}\n[dim]{escape(each.file)}[/]" if each.title else escape(each.file)
        score = str(found.score) if judged else ""
        table.add_row(str(place), VERDICTS[found.verdict], score, named, escape(headline(found)) + against)
    out.print(table)
    for fault in report.faults:
        colour = "red" if fault.severity == "error" else "yellow"
        out.print(f"[{colour}]{'not judged' if colour == 'red' else 'passed over'}[/] {escape(str(fault))}")
    kept = sum(each.kept for each in report.ranked)
    earlier = f" · {kept} judged by an earlier run" if kept else ""
    batched = sum(each.batched for each in report.ranked)
    earlier += f" · {batched} in a batch" if batched else ""
    cost = usd(round(report.cost_usd * NANOS_PER_USD))
    out.print(
        f"[dim]{escape(report.model)} · {len(report.ranked)} postings{earlier} · {report.total_s:.1f} s · {cost}[/]"
    )


HEADS = ("rank", "verdict", "score", "file", "title", "headline", "top_misfit", "strong", "moderate", "gap",
         "conditions", "model", "cost_usd")  # fmt: skip


def csv_rows(ranked: Sequence[Ranked]) -> Iterator[tuple[str, ...]]:
    """The ranking for a spreadsheet; bands as shares of the posting's emphasis."""
    yield HEADS
    for place, each in enumerate(ranked, 1):
        found = each.assessment
        shares = dict.fromkeys(("strong", "moderate", "gap"), 0.0)
        for requirement in found.requirements:
            shares[requirement.band] += requirement.emphasis
        conditions = "; ".join(f"{gate.text}: {gate.status}" for gate in found.gates)
        words = (each.file, each.title, found.headline, each.top_misfit)
        yield (
            str(place),
            found.verdict,
            str(found.score),
            *map(_cell, words),
            *(f"{share:.2f}" for share in shares.values()),
            _cell(conditions),
            found.model,
            f"{found.cost_usd:.6f}",
        )


def _cell(text: str) -> str:
    """Words that a spreadsheet takes for words: a posting is a stranger's text."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def write(report: Report, settings: Settings, options: Options) -> None:
    """The files that were asked for; UsageError where one cannot be written."""
    from askfit.web.pages import ranking_page

    try:
        if options.csv:
            path = options.csv
            with path.open("w", encoding="utf-8-sig", newline="") as file:  # Excel reads UTF-8 only with its mark
                csv.writer(file).writerows(csv_rows(report.ranked))
        if options.html:
            path = options.html
            rows = [(each.file, each.title, each.assessment) for each in report.ranked]
            path.write_text(ranking_page(settings, rows, report.faults), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "ranking_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None
