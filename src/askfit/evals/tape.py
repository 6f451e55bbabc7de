"""A paid run's answers on file, and their replay. Stands where a provider stands, below the gateway.

So a replayed answer goes the same way as a live one: gateway, reading, ground check, citations, costs. What is kept is
what the provider sent: its pieces as they were cut, its usage, its finish reason. Failed calls are not kept.

An answer is found by its model and by all that the model was given: a prompt that differs in one byte is another one.
The built-in is neither kept nor replayed: it is free and always says the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from askfit.config import Settings
from askfit.errors import ProviderError, UsageError
from askfit.gateway import Provider, open_provider
from askfit.types import Call, Finish, Prompt, Text, Usage

FREE = ("builtin",)
BEGINS = b'{"model": '  # every line of a recording: no other file is ever written to


def prompt_sha(prompt: Prompt) -> str:
    """Of all that a model is given. How long the provider shall cache it changes no answer."""
    asked: list[Any] = [[[turn.role, turn.text] for turn in prompt.messages]]
    asked += [prompt.cited.instructions] if prompt.cited else []
    bounds = [prompt.max_output_tokens, prompt.output_schema and dict(prompt.output_schema)]
    sha = _shared_sha(prompt.instructions, prompt.prefix).copy()
    sha.update(f"{json.dumps(asked)[1:]}, {json.dumps(bounds, sort_keys=True)}]".encode())
    return sha.hexdigest()[:32]


@lru_cache(maxsize=8)
def _shared_sha(instructions: str, prefix: str) -> hashlib._Hash:
    """Of what every prompt of a feature begins with: a whole site, read once. Of one JSON list with what follows it."""
    return hashlib.sha256(f"[{json.dumps([instructions, prefix])[:-1]}, ".encode())


class Tape:
    """Answers that were kept, and the file that new ones are added to.

    With `replay` alone nothing is ever called. With `record` too, what is not on file is called and added: so a run
    that was broken off is taken up again.
    """

    def __init__(self, *, replay: Path | None = None, record: Path | None = None, at_once: bool = False) -> None:
        """With `at_once` a kept answer comes in one piece: the same answer, sooner."""
        self._at_once = at_once
        self.replay = replay
        self.replayed = self.recorded = 0
        self.replayed_answers: set[str] = set()  # their ids
        self._record = record
        self._only_replays = replay is not None and record is None
        self._known = _read(replay, must_exist=self._only_replays) if replay else {}
        if record:
            _check_writable(record)

    @property
    def only_replays(self) -> bool:
        """Is nothing called, so that no key is needed?"""
        return self._only_replays

    def open_provider(self, name: str, settings: Settings) -> Provider:
        """The provider of this name, behind the tape; none at all where the tape is only replayed."""
        if name in FREE:
            return open_provider(name, settings)
        return _Taped(self, name, None if self._only_replays else lambda: open_provider(name, settings))

    def find(self, model: str, call: Call) -> Mapping[str, Any] | None:
        """The kept answer to this very prompt."""
        found = self._known.get((model, prompt_sha(call.prompt)))
        if found:
            self.replayed += 1
            self.replayed_answers.add(call.answer)
        return found

    def pieces(self, kept: Mapping[str, Any]) -> list[str]:
        """A kept answer's text, as it was cut or in one piece."""
        return ["".join(kept["pieces"])] if self._at_once else kept["pieces"]

    def keep(self, model: str, call: Call, pieces: list[str], finish: Finish) -> None:
        """Add one answer to the file, at once: a run that breaks off keeps what it paid for."""
        if self._record is None:
            return
        line = {
            "model": model,
            "feature": call.feature,
            "prompt_sha": prompt_sha(call.prompt),
            "prompt_files_sha": call.prompt.sha,
            "pieces": pieces,
            "finish_reason": finish.finish_reason,
            "usage": asdict(finish.usage),
        }
        with self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.recorded += 1


class _Taped:
    """One provider behind a tape."""

    def __init__(self, tape: Tape, name: str, open_inner: Callable[[], Provider] | None) -> None:
        self._tape = tape
        self._name = name
        self._inner = open_inner() if open_inner else None

    async def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        """The kept answer, piece by piece; else the provider's own, kept once it is whole."""
        model = f"{self._name}:{model_name}"
        if kept := self._tape.find(model, call):
            *before, last = self._tape.pieces(kept) or [""]
            for piece in before:
                yield Text(piece)
            yield Text(last, last=True)
            yield Finish(Usage(**kept["usage"]), kept["finish_reason"])
            return
        if self._inner is None:
            raise ProviderError(
                "recording_missing",
                f"No answer of {model} to this prompt is on file.",
                "The content or the prompts have changed since: record it anew with --replay FILE --record FILE.",
            )
        pieces: list[str] = []
        async with aclosing(self._inner.stream(model_name, call)) as items:
            async for item in items:
                if isinstance(item, Text):
                    pieces += [item.text] if item.text else []
                else:
                    self._tape.keep(model, call, pieces, item)
                yield item

    async def aclose(self) -> None:
        if self._inner:
            await self._inner.aclose()


def _read(path: Path, *, must_exist: bool) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(model, prompt sha) → answer; of two to one prompt the later."""
    if not path.exists() and not must_exist:
        return {}
    known: dict[tuple[str, str], Mapping[str, Any]] = {}
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")  # what follows the last line's end was broken off
        lines = whole.decode().split("\n") if whole else []
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError("recording_unreadable", f"{path} cannot be read ({reason}).", "Name a recording.") from None
    for number, line in enumerate(lines, 1):
        try:
            kept = json.loads(line)
            _ = ("".join(kept["pieces"]), kept["finish_reason"], Usage(**kept["usage"]))
            known[kept["model"], kept["prompt_sha"]] = kept
        except (ValueError, KeyError, TypeError):
            raise _no_recording(path, number) from None
    return known


def _no_recording(path: Path, line: int) -> UsageError:
    return UsageError("recording_invalid", f"{path}, line {line}: this is no recorded answer.", "Name another file.")


def _check_writable(path: Path) -> None:
    """Told before money is spent. Half a line, of a run that was broken off, is cut away."""
    try:
        with path.open("a+b") as file:
            file.seek(0)
            kept = file.read()
            if kept and not kept.startswith(BEGINS):
                raise _no_recording(path, 1)
            if kept and not kept.endswith(b"\n"):
                file.truncate(kept.rfind(b"\n") + 1)
    except OSError as error:
        raise UsageError(
            "recording_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from None
