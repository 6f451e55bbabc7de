"""/openapi.json is true: what it says can be sent can be sent, and what comes back is what it says comes back.

Schemathesis makes the requests, valid and invalid ones, the same in every run. It misses what only a written test
sees, so it stands beside tests/test_web.py, not in its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import sampled_from
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from askfit.config import load_settings
from askfit.web import create_app

EXAMPLES = 120  # of each operation
OPERATIONS = {
    ("GET", "/"),
    ("GET", "/ask-ai"),
    ("POST", "/ask-ai"),
    ("GET", "/fit-check"),
    ("POST", "/fit-check"),
    ("POST", "/feedback"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/llms.txt"),
    ("GET", "/askfit.js"),
}
FILES = {
    "content/about.md": "# About\n\nAnn Ode led the onboarding team at Harbor Lane from 2019 to 2023.\n",
    "skills.csv": "Skill,Level\nOnboarding,5\nSQL,3\n",
    "askfit.toml": (
        '[site]\nname = "Ann Ode"\nurl = "https://ann.example.com"\n[corpus]\nsources = ["content/**/*"]\n'
        '[skills]\npath = "skills.csv"\n[limits]\nper_visitor_per_minute = 100000\nper_visitor_per_day = 1000000\n'
    ),
}
CONFIG = {
    "generation": {"deterministic": True, "max-examples": EXAMPLES, "database": "none"},
    "checks": {
        # A text of the right form may still be no question (?!), or an address where only text is taken.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "422"]},
        "negative_data_rejection": {"expected-statuses": ["400", "403", "404", "413", "415", "422"]},
    },
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The app's own document, over the app with the built-in."""
    root = tmp_path_factory.mktemp("openapi")
    for name, content in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    app = create_app(load_settings(Path(root) / "askfit.toml", {}))
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [(*each, VALID) for each in sorted(OPERATIONS)] + [
    (*each, INVALID) for each in sorted(OPERATIONS) if each[0] == "POST"
]
ACCEPTED = sampled_from(["*/*", "application/json", "text/event-stream", "text/html"])


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_operation_keeps_to_the_document(method: str, path: str, mode: GenerationMode, api: Any) -> None:
    """No 5xx, only declared statuses and content types, bodies of the declared form, wrong data refused."""
    bounds = {"max_examples": EXAMPLES, "derandomize": True, "database": None, "deadline": None}

    @settings(**bounds, suppress_health_check=[*HealthCheck])
    @given(case=api[path][method].as_strategy(generation_mode=mode), accept=ACCEPTED)
    def hold(case: Any, accept: str) -> None:
        case.call_and_validate(headers={"accept": accept})

    hold()


def test_the_document_is_valid_and_whole(api: Any) -> None:
    """By OpenAPI's own schema; every route of the contract stands in it, and every reference leads somewhere."""
    api.validate()
    document = api.raw_schema
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found >= OPERATIONS
    for reference in references(document):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def references(node: Any) -> list[str]:
    """Every $ref below a node."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("path", ["/ask-ai", "/fit-check"])
def test_a_feature_declares_its_three_forms_and_its_refusals(path: str, api: Any) -> None:
    """Document, stream and page on 200; each refusal as a problem document."""
    responses = api.raw_schema["paths"][path]["post"]["responses"]
    assert set(responses["200"]["content"]) == {"application/json", "text/event-stream", "text/html"}
    for status in ("400", "413", "415", "422", "429", "503"):
        content = responses[status]["content"]
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert "application/json" not in content
