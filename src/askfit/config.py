"""Read askfit.toml and the environment into one frozen Settings. Knows the file's form and nothing of what it names.

Unknown keys are errors that name the nearest known key. Secrets come from the environment (`ANTHROPIC_API_KEY`) or
from the file that `…_FILE` names, never from askfit.toml, and never show in a repr.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from askfit.errors import SettingsError
from askfit.types import Kind

RoutePath = Annotated[str, StringConstraints(pattern=r"^/[a-z0-9][a-z0-9/_-]*$")]
SECRET_NAMES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ASKFIT_OWNER_SECRET",
)

FORMS = {"site": '[site] with name = "…"', "corpus": '[corpus] with sources = ["content/**/*.md"]'}


MOST_USD = 1_000_000.0  # beyond it a slip of the keyboard is likelier than a budget
MOST_DAYS = 36_500
MOST_RUNS = 1_000  # a visit: beyond it something else than a visitor is meant
MOST_SHARE_DAYS = 90  # a link that is passed on shall not outlive what it was passed on for
MOST_WORDS = 1_000
MOST_FILE_BYTES = 200_000  # of a prompt or a form: beyond it another file is likelier meant


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # "https://[bad", a port that is no number
        return False


class Table(BaseModel):
    """One table of askfit.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SiteSettings(Table):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    url: str = ""
    contact: str = ""
    language: str = "en"

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not _has_host(url):
            raise ValueError("an address such as https://you.example.com is needed")
        return url.rstrip("/")

    @field_validator("contact")
    @classmethod
    def _contact(cls, contact: str) -> str:
        if contact and "@" in contact and not contact.startswith("mailto:"):
            contact = f"mailto:{contact}"
        if contact and not contact.startswith(("mailto:", "https://", "http://")):
            raise ValueError("mailto:you@example.com or an https:// address is needed")
        return contact


class CorpusSettings(Table):
    sources: tuple[str, ...] = Field(min_length=1)
    exclude: tuple[str, ...] = ("**/drafts/**",)
    # "content/posts/*.md" = "/{year}/{month}/{day}/{slug}/": the page's address where the file's place does not tell it
    urls: Mapping[str, str] = Field(default_factory=dict)


class SkillsSettings(Table):
    path: str
    scale: Mapping[str, float] = Field(default_factory=dict)  # { novice = 1, expert = 5 }: names for levels 0–5

    @field_validator("scale")
    @classmethod
    def _levels(cls, scale: Mapping[str, float]) -> Mapping[str, float]:
        for name, level in scale.items():
            if not 0 <= level <= 5:
                raise ValueError(f"'{name}' = {level:g} is not within 0–5")
        return {name.strip().casefold(): level for name, level in scale.items()}


class ModelSettings(Table):
    small: str = "anthropic:claude-haiku-4-5"
    large: str = "anthropic:claude-sonnet-4-6"


class Shape(Table):
    """The answers that a choice of model rests on; the fifth, whether the corpus fits in a prompt, is measured.

    `askfit advise` reads them all; the cache plan reads `runs_per_visit`; where no latency is felt, a folder of
    postings goes in a batch. None of them changes which model answers.
    """

    task: Literal["retrieval", "synthesis"]
    runs_per_visit: float = Field(default=1, gt=0, le=MOST_RUNS)
    almost_good_enough: Literal["annoyance", "no value"] = "annoyance"
    latency_felt: bool = True


class Escalation(Table):
    """When a single turn of a chat goes to another model: a question of synthesis, within two bounds of a day (UTC)."""

    model: str = "large"
    most_share: float = Field(default=0.2, gt=0, le=1)  # of the day's turns
    per_day_usd: float = Field(default=0.20, gt=0, le=MOST_USD)


class Shadow(Table):
    """Which turns of a chat another model answers too, unseen, to be compared, and for how much a day (UTC)."""

    model: str = "large"
    share: float = Field(default=0.05, gt=0, le=1)  # of the turns
    per_day_usd: float = Field(default=0.10, gt=0, le=MOST_USD)


Work = Literal["chat", "choices", "assessment", "form"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
# Keys that only some ways of working have: key → (which, what is said elsewhere).
BELONGS: Mapping[str, tuple[tuple[Work, ...], str]] = {
    "words": (("chat", "choices"), "belongs to a chat: an assessment has no such length"),
    "reuse_hours": (("choices",), "belongs to a chat with choices: only what is the same for all is given again"),
    "choices": (("choices",), "belongs to a chat: an assessment is given a text"),
    "output": (("form",), "belongs to an assessment: a chat answers in sentences"),
    "reads": (("form",), "belongs to an assessment with output: a chat reads the corpus, a fit check the matrix"),
    "escalation": (("chat",), "belongs to a chat in which visitors ask: elsewhere every turn has the same shape"),
    "shadow": (("chat",), "belongs to a chat in which visitors ask: for the others there is askfit compare"),
    "prompt": (("chat", "choices", "form"), "needs output beside it: a fit check's own prompt and form go together"),
}
FORMS_OF_KEYS = {"prompt": 'prompt = "prompts/NAME.md"', "reads": 'reads = ["matrix", "corpus"], or one of them'}


class Feature(Table):
    kind: Kind
    path: RoutePath
    model: str = "small"  # "small", "large" or "provider:name"
    fallback: tuple[str, ...] = ("builtin",)
    # of a chat: a sentence that the site does not bear is cut, told, let be
    ground: Literal["strict", "flag", "off"] = "strict"
    off_limits: tuple[str, ...] = ()  # of a chat: what the owner does not discuss, told before any model is asked
    urls: bool = False  # of an assessment: may a visitor give the posting's address, for the server to fetch?
    # of an assessment: for how many days the link works by which a visitor shares it; 0: none can be shared
    share_days: int = Field(default=0, ge=0, le=MOST_SHARE_DAYS)
    # What its page says; "" for the usual words.
    title: str = ""
    intro: str = ""
    label: str = ""  # over the input
    act: str = ""  # on the button
    prompt: str = ""  # a file of the owner's: what the model is to do; "" for askfit's own
    words: int = Field(default=0, ge=0, le=MOST_WORDS)  # of a chat: the most that an answer has; 0: by the question
    # of a chat that asks by itself: what a visitor picks → the questions that it stands for
    choices: Mapping[Words, Annotated[tuple[Words, ...], Field(min_length=1)]] = Field(default_factory=dict)
    reuse_hours: float = Field(default=0, ge=0, le=24 * 31)  # of a choice: for how long its answer is given again
    output: str = ""  # of an assessment: a JSON Schema, the form that is filled in place of a verdict
    reads: tuple[Literal["matrix", "corpus"], ...] = ()  # of such a form: what it is filled from
    escalation: Escalation | None = None  # of a chat: which turns another model answers
    shadow: Shadow | None = None  # of a chat: which turns another model answers too, unseen
    shape: Shape

    @property
    def work(self) -> Work:
        """Which of the four ways of working it has: each kind has the usual one, and one with the owner's own form."""
        if self.kind == "chat":
            return "choices" if self.choices else "chat"
        return "form" if self.output else "assessment"

    @property
    def needs_matrix(self) -> bool:
        """Is it off without [skills]?"""
        return self.work == "assessment" or "matrix" in self.reads

    @property
    def files(self) -> tuple[str, ...]:
        """The owner's own files that it names."""
        return tuple(name for name in (self.prompt, self.output) if name)

    @model_validator(mode="after")
    def _belongs(self) -> Feature:
        for key, (works, why) in BELONGS.items():
            if getattr(self, key) and self.work not in works:
                raise ValueError(f"{key} {why}")
        if self.work == "form" and not (self.prompt and self.reads):
            missing = "prompt" if not self.prompt else "reads"
            raise ValueError(f"a feature with output needs {missing} too: {FORMS_OF_KEYS[missing]}")
        return self

    @model_validator(mode="after")
    def _off_limits_of_a_chat(self) -> Feature:
        if self.off_limits and self.kind != "chat":
            raise ValueError("off_limits belongs to a chat: an assessment is asked nothing")
        if self.ground != "strict" and self.kind != "chat":
            raise ValueError("ground belongs to a chat: an assessment is audited against the rows instead")
        if self.shadow and self.ground != "strict":
            raise ValueError('shadow needs ground = "strict": what is not checked cannot be compared')
        if self.urls and self.kind != "assessment":
            raise ValueError("urls belongs to an assessment: a chat reads no postings")
        if self.share_days and self.kind != "assessment":
            raise ValueError("share_days belongs to an assessment: an answer of a chat has no link")
        if self.share_days and self.output:
            raise ValueError("share_days belongs to a fit check: a form of your own has no link")
        return self


class Budget(Table):
    per_day_usd: float = Field(default=2.0, ge=0, le=MOST_USD)
    per_month_usd: float = Field(default=20.0, ge=0, le=MOST_USD)
    when_spent: Literal["builtin", "refuse"] = "builtin"


class Limits(Table):
    per_visitor_per_minute: int = Field(default=10, ge=1)
    per_visitor_per_day: int = Field(default=100, ge=1)
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks: "10.0.0.0/8"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"'{proxy}' is neither an address nor a network such as 10.0.0.0/8") from None
        return proxies


class StoreSettings(Table):
    url: str = "sqlite:///askfit.db"
    redis_url: str = ""

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("sqlite:///FILE or postgresql://USER@HOST/DATABASE is needed")
        return url


class Privacy(Table):
    keep_questions_days: int = Field(default=30, ge=0, le=MOST_DAYS)


ASK = Feature(
    kind="chat",
    path="/ask-ai",
    model="small",
    shape=Shape(task="retrieval", runs_per_visit=5, almost_good_enough="annoyance", latency_felt=True),
)
FIT = Feature(
    kind="assessment",
    path="/fit-check",
    model="large",
    shape=Shape(task="synthesis", runs_per_visit=1, almost_good_enough="no value", latency_felt=True),
)
DECLARED = {"ask": ASK, "fit": FIT}


class File(Table):
    """The whole of askfit.toml."""

    site: SiteSettings
    corpus: CorpusSettings
    skills: SkillsSettings | None = None
    models: ModelSettings = ModelSettings()
    features: Mapping[str, Feature] = Field(default_factory=lambda: dict(DECLARED))
    budget: Budget = Budget()
    limits: Limits = Limits()
    store: StoreSettings = StoreSettings()
    privacy: Privacy = Privacy()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys and addresses from the environment; absent ones are None."""

    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    owner_secret: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """askfit.toml, where it stands, and the secrets of the environment."""

    path: Path
    file: File
    secrets: Secrets = field(default_factory=Secrets)
    texts: Mapping[str, str] = field(default_factory=dict)  # the owner's own prompts and forms, by name, as read once

    @property
    def root(self) -> Path:
        """The folder that every path in the settings is relative to."""
        return self.path.parent

    @property
    def sqlite_file(self) -> Path | None:
        """The ledger's file; None where the ledger is in PostgreSQL."""
        kind, _, name = self.file.store.url.partition(":///")
        return self.root / name if kind == "sqlite" else None

    @property
    def site(self) -> SiteSettings:
        return self.file.site

    @property
    def features(self) -> Mapping[str, Feature]:
        """The features that are on: an assessment needs a matrix."""
        return {
            name: feature
            for name, feature in self.file.features.items()
            if self.file.skills is not None or not feature.needs_matrix
        }

    def first(self, work: Work) -> str:
        """The first feature that works so, `ask` and `fit` before others; "" where none is on."""
        return next((name for name, feature in self.features.items() if feature.work == work), "")

    def path_of(self, work: Work) -> str:
        """Where the first such feature is served; "" where none is on."""
        name = self.first(work)
        return self.features[name].path if name else ""


def load_settings(path: str | Path = "askfit.toml", environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings file and the environment; raise SettingsError with one sentence and the next step."""
    path = Path(path).absolute()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(
            "settings_missing",
            f"There is no settings file at {path}.",
            "Run: askfit init — or name one with --config PATH.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "settings_unreadable", f"{path} cannot be read ({error}).", "Save it as UTF-8 text and try again."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            "settings_not_toml", f"{path} is not valid TOML: {error}.", "Mend that line and try again."
        ) from None
    file = _validate(_with_declared(table), path)
    texts = {
        own: _read_own(path, name, key, own)
        for name, feature in file.features.items()
        for key, own in (("prompt", feature.prompt), ("output", feature.output))
        if own
    }
    return Settings(path=path, file=file, secrets=read_secrets(environ), texts=texts)


def _read_own(path: Path, feature: str, key: str, own: str) -> str:
    """A prompt or a form of the owner's, told by its key where it cannot be read."""
    told, next_step = (
        f"[features.{feature}] {key} in {path.name} names {own}, which",
        "Paths are relative to that file.",
    )
    try:
        data = (path.parent / own).read_bytes()
        if len(data) > MOST_FILE_BYTES:
            raise SettingsError(
                "settings_file_invalid", f"{told} is larger than {MOST_FILE_BYTES // 1000} kB.", next_step
            )
        text = data.decode("utf-8-sig").strip()
    except FileNotFoundError:
        raise SettingsError("settings_file_missing", f"{told} does not exist.", next_step) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingsError("settings_file_invalid", f"{told} cannot be read ({why}).", next_step) from None
    if not text:
        raise SettingsError("settings_file_invalid", f"{told} is empty.", "Write in it what the model is to do.")
    return text


def _with_declared(table: dict[str, Any]) -> dict[str, Any]:
    """Fill [features.ask] and [features.fit] from their declarations where the file leaves keys out."""
    features = table.get("features", {})
    if not isinstance(features, dict):
        return table
    merged: dict[str, Any] = {}
    for name, declared in DECLARED.items():
        given = features.get(name, {})
        base = declared.model_dump()
        if isinstance(given, dict):
            shape = given.get("shape", {})
            shape = {**base["shape"], **shape} if isinstance(shape, dict) else shape
            given = {**base, **given, "shape": shape}
        merged[name] = given
    return {**table, "features": {**merged, **{name: given for name, given in features.items() if name not in merged}}}


def _validate(table: dict[str, Any], path: Path) -> File:
    try:
        file = File.model_validate(table)
    except ValidationError as error:
        raise _plain(error.errors()[0], path) from None
    paths: dict[str, str] = {}
    for name, feature in file.features.items():
        if other := paths.get(feature.path):
            raise SettingsError(
                "settings_invalid",
                f"[features.{name}] path in {path.name} is {feature.path}, as is that of [features.{other}].",
                "Give each feature a path of its own.",
            )
        paths[feature.path] = name
    return file


def _plain(error: Any, path: Path) -> SettingsError:
    """One pydantic error as a sentence with the table, the key and the next step."""
    loc = [str(part) for part in error["loc"]]
    key, table = loc[-1], ".".join(loc[:-1])
    place = f"[{table}] of {path.name}" if table else path.name
    if error["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(key, known, 1, 0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."
        if home := _home_of(key):
            hint = f"It belongs in [{home}]." if home != f"features.{key}" else f"Did you mean [{home}]?"
        return SettingsError("settings_unknown_key", f"Unknown key '{key}' in {place}.", hint)
    if error["type"] == "missing":
        what, form = (f"'{key}' is", f"{key} = …") if table else (f"[{key}] is", FORMS.get(key, f"[{key}]"))
        return SettingsError("settings_missing_key", f"{what} missing in {place}.", f"Add: {form}")
    if words := _words_allowed(error):
        return SettingsError(
            "settings_invalid", f"'{key}' in {place} is {error['input']!r}, which is not known.", f"Write {words}."
        )
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    given = error.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return SettingsError(
        "settings_invalid", f"'{key}' in {place} is not usable: {message}{shown}.", "Mend it and try again."
    )


def _words_allowed(error: Any) -> str:
    """The words that a key takes, as one would write them; "" where it takes more than a few words."""
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("'", '"')
    return "true or false" if error["type"] in ("bool_parsing", "bool_type") else ""


def _home_of(key: str) -> str:
    """The one table that knows a misplaced key; "" where none does, or more than one."""
    if key in ("ask", "fit"):
        return f"features.{key}"
    homes = [table for table in File.model_fields if key in _known_keys([table])]
    return homes[0] if len(homes) == 1 else ""


def _known_keys(loc: list[str]) -> list[str]:
    """The keys of the table that `loc` leads to."""
    model: Any = File
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = _bare(model.model_fields[part].annotation) if part in model.model_fields else None
        elif get_origin(model) is not None:  # Mapping[str, Feature]
            model = get_args(model)[-1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _bare(annotation: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation


def read_secrets(environ: Mapping[str, str]) -> Secrets:
    """Each secret from NAME or from the file that NAME_FILE names; an empty value counts as absent."""
    values = {name: _secret(name, environ) for name in SECRET_NAMES}

    def hidden(name: str) -> SecretStr | None:
        value = values[name]
        return SecretStr(value) if value else None

    return Secrets(
        anthropic_api_key=hidden("ANTHROPIC_API_KEY"),
        anthropic_base_url=values["ANTHROPIC_BASE_URL"],
        openai_api_key=hidden("OPENAI_API_KEY"),
        openai_base_url=values["OPENAI_BASE_URL"],
        owner_secret=hidden("ASKFIT_OWNER_SECRET"),
    )


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    file = environ.get(f"{name}_FILE", "").strip()
    value = environ.get(name, "").strip()
    if file and not value:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                "secret_unreadable",
                f"{name}_FILE names {file}, which cannot be read ({type(error).__name__}).",
                "Mend the path or its permissions.",
            ) from None
    return value or None
