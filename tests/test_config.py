"""askfit.toml and the environment: what is read, what is refused, and in which words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfit.config import DECLARED, File, load_settings, read_secrets
from askfit.errors import SettingsError

ROOT = Path(__file__).parents[1]
LEAST = '[site]\nname = "Ann Ode"\n[corpus]\nsources = ["content/**/*.md"]\n'


def load(tmp_path: Path, more: str = "", environ: dict[str, str] | None = None, least: str = LEAST):
    path = tmp_path / "askfit.toml"
    path.write_text(least + more, encoding="utf-8")
    return load_settings(path, environ or {})


def refused(tmp_path: Path, more: str, least: str = LEAST) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, more, least=least)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value), "one sentence on one line"
    return caught.value


def test_every_table_but_site_and_corpus_may_be_left_out(tmp_path: Path) -> None:
    """The least file gets the contract's defaults."""
    file = load(tmp_path).file
    assert (file.models.small, file.models.large) == ("anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6")
    assert file.features == DECLARED
    assert (file.budget.per_day_usd, file.budget.per_month_usd, file.budget.when_spent) == (2.0, 20.0, "builtin")
    assert (file.limits.per_visitor_per_minute, file.limits.per_visitor_per_day) == (10, 100)
    assert file.store.url == "sqlite:///askfit.db"
    assert file.privacy.keep_questions_days == 30


def test_the_example_file_shows_every_setting_with_its_default() -> None:
    """askfit.example.toml is complete: no setting is missing from it, and what it shows is the default."""
    table = tomllib.loads((ROOT / "askfit.example.toml").read_text(encoding="utf-8"))
    shown = File.model_validate(table)
    for name in ("models", "features", "budget", "limits", "store", "privacy"):
        assert getattr(shown, name) == getattr(File.model_validate({k: table[k] for k in ("site", "corpus")}), name)
        assert set(table[name]) == set(getattr(shown, name).model_dump() if name != "features" else DECLARED), name


def test_fit_is_off_without_a_matrix(tmp_path: Path) -> None:
    """Without [skills] the assessment feature is not among those that are on."""
    assert set(load(tmp_path).features) == {"ask"}
    assert set(load(tmp_path, '[skills]\npath = "s.csv"\n').features) == {"ask", "fit"}


def test_part_of_a_declared_feature_can_be_changed_alone(tmp_path: Path) -> None:
    """[features.ask] with one key keeps the declaration's other keys, its shape included."""
    ask = load(tmp_path, '[features.ask]\nmodel = "large"\n[features.ask.shape]\nruns_per_visit = 9\n').file.features[
        "ask"
    ]
    assert (ask.model, ask.path, ask.shape.runs_per_visit, ask.shape.task) == ("large", "/ask-ai", 9, "retrieval")


@pytest.mark.parametrize(
    ("more", "near"),
    [
        ("[budget]\nper_day_usdd = 1\n", "per_day_usd"),
        ("[features.ask]\nmodle = 'small'\n", "model"),
        ("[features.ask.shape]\nruns_per_visits = 1\n", "runs_per_visit"),
        ("[budgets]\nper_day_usd = 1\n", "budget"),
        ("[skill]\npath = 'x'\n", "skills"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path, more: str, near: str) -> None:
    """A misspelt setting never passes in silence."""
    error = refused(tmp_path, more)
    assert error.code == "settings_unknown_key"
    assert f"Did you mean '{near}'?" in str(error)


def test_an_unknown_key_far_from_all_lists_the_known_ones(tmp_path: Path) -> None:
    """Where nothing is near, the sentence lists what can stand there."""
    assert "per_visitor_per_day" in str(refused(tmp_path, "[limits]\nzzz = 1\n"))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("[budget]\nper_day_usd = -1\n", "settings_invalid"),
        ("[budget]\nper_day_usd = inf\n", "settings_invalid"),
        ("[limits]\nper_visitor_per_minute = 0\n", "settings_invalid"),
        ('[store]\nurl = "mysql://x"\n', "settings_invalid"),
        ('[features.ask]\npath = "ask"\n', "settings_invalid"),
        ('[features.ask]\npath = "/fit-check"\n', "settings_invalid"),
        ('[features.talks]\nkind = "chat"\n', "settings_missing_key"),
        ("[skills]\npath = 'x'\nscale = { expert = 9 }\n", "settings_invalid"),
        ("[budget\n", "settings_not_toml"),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_key(tmp_path: Path, more: str, code: str) -> None:
    """Each wrong value is one sentence with a stable code."""
    assert refused(tmp_path, more).code == code


def test_a_missing_table_or_key_is_named_with_its_form(tmp_path: Path) -> None:
    """What must be there is asked for with the line to add."""
    assert "[site]" in str(refused(tmp_path, "", least='[corpus]\nsources = ["a"]\n'))
    assert "sources" in str(refused(tmp_path, "", least='[site]\nname = "x"\n[corpus]\n'))


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    """The first command that an owner runs in the wrong folder tells them the next one."""
    with pytest.raises(SettingsError, match="askfit init"):
        load_settings(tmp_path / "askfit.toml", {})


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told, not guessed."""
    path = tmp_path / "askfit.toml"
    path.write_bytes('[site]\nname = "Zoë"\n'.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert caught.value.code == "settings_unreadable"


def test_secrets_come_from_the_environment_or_a_file_and_never_show(tmp_path: Path) -> None:
    """A key is read from NAME or NAME_FILE; its repr and the settings' repr hide it."""
    key_file = tmp_path / "key"
    key_file.write_text("sk-from-file\n")
    settings = load(tmp_path, environ={"ANTHROPIC_API_KEY_FILE": str(key_file), "OPENAI_API_KEY": "sk-plain"})
    assert settings.secrets.anthropic_api_key is not None
    assert settings.secrets.anthropic_api_key.get_secret_value() == "sk-from-file"
    assert not re.search("sk-from|sk-plain", repr(settings))


def test_an_empty_key_counts_as_absent() -> None:
    """`ANTHROPIC_API_KEY=` in a shell profile is no key."""
    assert read_secrets({"ANTHROPIC_API_KEY": "  "}).anthropic_api_key is None


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A wrong path to a secret is an error, never a silent run without a key."""
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY_FILE"):
        read_secrets({"ANTHROPIC_API_KEY_FILE": str(tmp_path / "no")})


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nothing changes a setting after it was read."""
    with pytest.raises(Exception, match="frozen"):
        load(tmp_path).file.budget.per_day_usd = 5  # type: ignore[misc]


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_crash(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands in the file, the answer is Settings or one SettingsError."""
    path = tmp_path_factory.mktemp("any") / "askfit.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass" if not text.isprintable() else "strict")
    try:
        load_settings(path, {})
    except SettingsError as error:
        assert error.next_step


@pytest.mark.parametrize(
    ("written", "hint"),
    [("[fit]\nmodel = 'large'\n", "[features.fit]"), ("[limits]\nper_day_usd = 1.0\n", "[budget]")],
)
def test_a_key_in_the_wrong_place_is_told_its_own(tmp_path: Path, written: str, hint: str) -> None:
    """A key that another table knows is told where it belongs."""
    with pytest.raises(SettingsError) as told:
        load(tmp_path, written)
    assert told.value.code == "settings_unknown_key"
    assert hint in told.value.next_step


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('[limits]\ntrusted_proxies = ["nonsense"]\n', "nonsense"),
        ('[limits]\ntrusted_proxies = ["10.0.0.0/33"]\n', "10.0.0.0/33"),
        ("[budget]\nper_day_usd = 1e300\n", "per_day_usd"),
        ("[privacy]\nkeep_questions_days = 99999999999999\n", "keep_questions_days"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(tmp_path: Path, written: str, said: str) -> None:
    """A slip of the keyboard is one sentence at the start, not a surprise while serving."""
    with pytest.raises(SettingsError) as told:
        load(tmp_path, written)
    assert told.value.code == "settings_invalid"
    assert said in str(told.value)


@pytest.mark.parametrize(
    "url", ["https://[bad", "https://", "https://a.example:99999999", "ftp://a.example", "a.example"]
)
def test_an_address_without_a_host_is_refused(tmp_path: Path, url: str) -> None:
    """Every citation opens below it, so it must be an address."""
    least = LEAST.replace("[corpus]", f'url = "{url}"\n[corpus]')
    with pytest.raises(SettingsError, match=r"https://you\.example\.com"):
        load(tmp_path, least=least)
