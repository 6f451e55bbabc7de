"""The names that outsiders import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import askfit

HEAVY = ("fastapi", "starlette", "anthropic", "openai", "pydantic_ai", "sqlalchemy", "genai_prices", "typer")


def _loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*[name for name in sys.modules if '.' not in name])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_public_names_are_these_and_each_can_be_had() -> None:
    """A name in __all__ is a promise: the list changes only on purpose and every name resolves."""
    assert askfit.__all__ == [
        "Answer",
        "AskfitError",
        "Assessment",
        "Settings",
        "Site",
        "answer",
        "assess",
        "load_settings",
        "open_site",
    ]
    for name in askfit.__all__:
        assert getattr(askfit, name) is not None


def test_import_askfit_loads_no_sdk_and_no_web_framework() -> None:
    """`import askfit` costs an owner's own program next to nothing."""
    assert not _loaded_by("import askfit") & set(HEAVY)


def test_help_loads_no_sdk_no_web_framework_and_no_database() -> None:
    """`askfit --help` answers before anything heavy is read."""
    code = "from askfit.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not _loaded_by(code) & (set(HEAVY) - {"typer"})


def test_builtin_answers_without_loading_any_sdk() -> None:
    """With no key in the environment no provider's SDK is ever imported."""
    code = (
        "import asyncio\n"
        "from askfit.cli.sample import sample_settings\n"
        "from askfit import answer, open_site\n"
        "async def go(settings):\n"
        "    async with open_site(settings) as site:\n"
        "        return await answer(site, 'What was your role on your last team?')\n"
        "with sample_settings() as settings:\n"
        "    said = asyncio.run(go(settings))\n"
        "assert said.provider == 'builtin', said\n"
    )
    assert not _loaded_by(code) & {"anthropic", "openai", "pydantic_ai"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy names do not hide a typing mistake."""
    try:
        _ = askfit.asses
    except AttributeError as error:
        assert "asses" in str(error)
    else:
        raise AssertionError("askfit.asses should not exist")
