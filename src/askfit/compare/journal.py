"""What a comparison has measured, on file as it goes: a run that breaks off keeps what it paid for.

One line an outcome. It is found again by model, repeat, sample and all that the sample was asked of: site, rows,
prompts. What has changed since is asked anew. Failed calls are not kept, so that they are tried again.

What an owner picks by hand stands in the same file, a line a pick, and what a judge says; the last line about two
answers counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from askfit.compare.metrics import Outcome
from askfit.errors import UsageError

BEGINS = (b'{"measured": ', b'{"chosen": ', b'{"judged": ')  # every line: no other file is ever written to

Key = tuple[str, str, int]  # the sample's fingerprint, model, repeat
ChoiceKey = tuple[str, str, str]  # the sample's fingerprint, the small model, the large one
Picked = Literal["small", "large", "tie"]
Why = Literal["", "too_shallow", "too_much", "wrong"]
Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What an owner picked of two answers. Without `picked` an earlier pick is taken back."""

    sample: str
    picked: Picked | Literal[""]
    why: Why  # what was wrong with the other one; of a tie with both
    small_side: Side  # where the small model's answer stood
    answers: str  # a hash of both: a pick is of these two and no others
    seed: int  # that the side was drawn from


@dataclass(frozen=True, slots=True)
class Word:
    """A judge's word on two answers: its preference for the large one's, shown first and shown second."""

    sample: str
    shown_first: float
    shown_second: float
    answers: str  # a hash of both
    prompt_sha: str


class Journal:
    """One file. With `resume` what it holds is taken; without, all is measured anew and added."""

    def __init__(self, path: Path | None, *, resume: bool = False, only_choices: bool = False) -> None:
        """With `only_choices` no answer is taken from the file or added to it: they come from elsewhere.

        UsageError where the file is no journal, or cannot be written.
        """
        self.path = path
        self._only_choices = only_choices
        self._known: dict[Key, Outcome] = {}
        self._choices: dict[ChoiceKey, Choice] = {}
        self._words: dict[tuple[ChoiceKey, str], Word] = {}
        if path:
            kept = _checked(path)
            if resume:
                self._read(path, kept)

    @property
    def models(self) -> frozenset[str]:
        """Those of which it holds an answer."""
        return frozenset(model for _, model, _ in self._known)

    def find(self, key: Key) -> Outcome | None:
        """What was measured before."""
        return None if self._only_choices else self._known.get(key)

    def keep(self, key: Key, outcome: Outcome) -> None:
        """Add one outcome to the file, at once."""
        if not outcome.error and not self._only_choices:
            self._add({"measured": key[0], **asdict(outcome)})

    def keep_together(self, key: str, outcomes: Sequence[Outcome]) -> None:
        """Add the answers to one question in one write, so that of a pair both stand in the file, or neither."""
        lines = "".join(json.dumps({"measured": key, **asdict(one)}, ensure_ascii=False) + "\n" for one in outcomes)
        if self.path:
            with self.path.open("ab", buffering=0) as file:
                file.write(lines.encode())

    def measured(self) -> Mapping[Key, Outcome]:
        """All the answers that it holds, in the order in which they were added."""
        return self._known

    def choice(self, key: ChoiceKey) -> Choice | None:
        """What was picked before."""
        return self._choices.get(key)

    def choose(self, key: ChoiceKey, choice: Choice) -> None:
        """Add one pick to the file, or that it is taken back."""
        self._add({"chosen": key[0], "small": key[1], "large": key[2], **asdict(choice)}, sync=True)
        self._take(key, choice)

    def word(self, key: ChoiceKey, judge: str) -> Word | None:
        """What a judge said before."""
        return self._words.get((key, judge))

    def say(self, key: ChoiceKey, judge: str, word: Word) -> None:
        """Add a judge's word to the file."""
        self._add({"judged": key[0], "small": key[1], "large": key[2], "judge": judge, **asdict(word)})
        self._words[key, judge] = word

    def _take(self, key: ChoiceKey, choice: Choice) -> None:
        if choice.picked:
            self._choices[key] = choice
        else:
            self._choices.pop(key, None)

    def _add(self, line: Mapping[str, Any], *, sync: bool = False) -> None:
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            if sync:  # a person's work, and seldom
                file.flush()
                os.fsync(file.fileno())

    def _read(self, path: Path, kept: bytes) -> None:
        for number, line in enumerate(kept.splitlines(), 1):
            try:
                found = json.loads(line)
                if "chosen" in found:
                    self._take((found.pop("chosen"), found.pop("small"), found.pop("large")), _choice(found))
                elif "judged" in found:
                    key, judge = (found.pop("judged"), found.pop("small"), found.pop("large")), found.pop("judge")
                    self._words[key, judge] = Word(**found)
                else:
                    fingerprint = found.pop("measured")
                    outcome = _outcome(found)
                    self._known[fingerprint, outcome.model, outcome.repeat] = outcome
            except (ValueError, KeyError, TypeError, AttributeError):
                raise _no_journal(path, number) from None


def _checked(path: Path) -> bytes:
    """The whole lines that it holds. Half a line, of a run that was broken off, is cut away; no empty file is left."""
    is_new = not path.exists()
    try:
        with path.open("a+b") as file:
            file.seek(0)
            kept = file.read()
            if kept and not kept.startswith(BEGINS):
                raise _no_journal(path, 1)
            if kept and not kept.endswith(b"\n"):
                kept = kept[: kept.rfind(b"\n") + 1]
                file.truncate(len(kept))
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(
            "journal_unwritable", f"{path} cannot be written ({error.strerror}).", "Name another file with --journal."
        ) from None
    return kept


def _outcome(found: Mapping[str, Any]) -> Outcome:
    cites = found.get("cites")
    return Outcome(**{**found, "missed": tuple(found["missed"]), "cites": None if cites is None else tuple(cites)})


def _choice(found: Mapping[str, Any]) -> Choice:
    choice = Choice(**found)
    sound = choice.picked in ("", *get_args(Picked)) and choice.why in get_args(Why)
    if not sound or choice.small_side not in get_args(Side) or not isinstance(choice.seed, int):
        raise ValueError(f"no choice: {found}")
    return choice


def _no_journal(path: Path, line: int) -> UsageError:
    return UsageError(
        "journal_invalid", f"{path}, line {line}: this is no journal of a comparison.", "Name another with --journal."
    )
