"""Golden samples: what is asked, and what a good answer holds. Reads YAML and JSONL; calls nothing.

- id: harbour-pass-share
  question: How much of Cinderquay's revenue came from the Harbour Pass?
  key_points: ["22%", ["season pass", "Harbour Pass"]]   # a list inside: any one of them
  must_not: ["5.4%"]
  answerable: true
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from askfit.config import Settings, Work
from askfit.errors import UsageError
from askfit.types import Band, Verdict

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
MOST_BYTES = 20_000_000
# Where an owner's samples are looked for: the feature's own name first, then its kind's.
NAMES: dict[Work, str] = {"chat": "ask", "assessment": "fit"}
ENDINGS = (".yaml", ".yml", ".jsonl")


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class TurnForm(_Form):
    question: Words
    answer: Words


class AskSample(_Form):
    """One question. `key_points` stand in a right answer, each or one of its alternatives; `must_not` in none."""

    id: Words
    question: Words
    history: tuple[TurnForm, ...] = ()
    key_points: tuple[Words | tuple[Words, ...], ...] = ()
    must_not: tuple[Words, ...] = ()
    answerable: bool
    max_words: int | None = Field(default=None, ge=1)  # instead of the run's

    @model_validator(mode="after")
    def _consistent(self) -> AskSample:
        if not self.answerable and self.key_points:
            raise ValueError("a question that the site does not answer has no key_points")
        return self


class FitSample(_Form):
    """One posting. `bands` maps a requirement's quote, or a phrase of it, to the band that it should get."""

    id: Words
    posting: str = ""
    posting_file: str = ""
    verdict: Verdict | None = None
    bands: dict[str, Band] = Field(default_factory=dict)
    must_name_gaps: tuple[Words, ...] = ()
    gates: tuple[Words, ...] = ()  # what papers and places settle, quoted

    @model_validator(mode="after")
    def _one_posting(self) -> FitSample:
        if bool(self.posting.strip()) == bool(self.posting_file):
            raise ValueError("either posting or posting_file is needed")
        return self


class FormSample(_Form):
    """One text for a feature that fills a form. `must_name` stands in the filled form, each or one of its
    alternatives; `must_not` in none. `fields`: what a field of the form must hold."""

    id: Words
    posting: str = ""
    posting_file: str = ""
    must_name: tuple[Words | tuple[Words, ...], ...] = ()
    must_not: tuple[Words, ...] = ()
    fields: dict[str, Words] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_posting(self) -> FormSample:
        if bool(self.posting.strip()) == bool(self.posting_file):
            raise ValueError("either posting or posting_file is needed")
        return self


Sample = AskSample | FitSample | FormSample
FORMS: dict[Work, type[AskSample] | type[FitSample] | type[FormSample]] = {
    "chat": AskSample,
    "choices": AskSample,
    "assessment": FitSample,
    "form": FormSample,
}


def default_samples(settings: Settings, feature: str) -> Path:
    """`golden/<feature>.yaml` beside the settings; UsageError where there is none."""
    folder, work = settings.root / "golden", settings.features[feature].work
    for name in dict.fromkeys((feature, NAMES.get(work, feature))):
        for ending in ENDINGS:
            if (path := folder / f"{name}{ending}").is_file():
                return path
    raise UsageError(
        "samples_missing",
        f"There are no samples at {folder / feature}.yaml.",
        "Write some (docs/golden-samples.md), or name a file with --samples.",
    )


def read_samples(path: Path, kind: Work) -> tuple[Sample, ...]:
    """Every sample of a file, in its order; UsageError with file, sample and key where one cannot be used."""
    samples = tuple(_sample(given, where, path, kind) for where, given in _items(path))
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise _invalid(path, f"id {sample.id}", "this id stands twice")
        seen.add(sample.id)
    if not samples:
        raise _invalid(path, "", "it holds no sample")
    return samples


def _items(path: Path) -> Sequence[tuple[str, Any]]:
    """(where, what) of each sample."""
    import yaml

    text = _read(path)
    try:
        if path.suffix == ".jsonl":
            lines = [(f"line {at}", line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
            return [(where, _json(line, path, where)) for where, line in lines]
        given = yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        raise _invalid(path, "", " ".join(str(error).split())) from None
    if not isinstance(given, list):
        raise _invalid(path, "", "a list of samples is needed")
    return [(f"sample {at}", one) for at, one in enumerate(given, 1)]


def _json(line: str, path: Path, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _invalid(path, where, f"this is no JSON ({error})") from None


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _invalid(path, "", "it is larger than 20 MB")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(
            "samples_unreadable", f"{path} cannot be read ({reason}).", "Name a YAML or JSONL file."
        ) from None


def _sample(given: Any, where: str, path: Path, kind: Work) -> Sample:
    if isinstance(given, dict) and given.get("id"):
        where = f"{where}, id {given['id']}"
    try:
        sample = FORMS[kind].model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained-str", "tuple[")))
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise _invalid(path, where, f"{key}: {message}" if key else message) from None
    return sample if isinstance(sample, AskSample) else _with_posting(sample, path, where)


def _with_posting(sample: FitSample | FormSample, path: Path, where: str) -> Sample:
    """The posting's text, read from its file: that stands relative to the samples' own."""
    if not sample.posting_file:
        return sample
    try:
        text = (path.parent / sample.posting_file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise _invalid(path, where, f"posting_file {sample.posting_file} cannot be read ({reason})") from None
    return sample.model_copy(update={"posting": text})


def _invalid(path: Path, where: str, why: str) -> UsageError:
    place = f"{path}, {where}" if where else str(path)
    return UsageError("samples_invalid", f"{place}: {why}.", "See docs/golden-samples.md for the form.")
