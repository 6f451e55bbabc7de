"""Choose candidates for a feature, its regime and its cache plan. Knows nothing of networks or money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from askfit import caching
from askfit.config import Feature, Settings
from askfit.errors import SettingsError
from askfit.models import ModelFacts, facts, unknown

BUILTIN = "builtin:builtin"
# Past this a whole corpus in every prompt stops being cheap: with Haiku 4.5, 60k cached tokens cost 0.6 cents a turn
# (0.10 $/M) and 12 cents each time they are written for an hour (2 $/M). Retrieval sends about 3k: 0.3 cents a turn
# (1 $/M), nothing to write. Below it the whole corpus costs about as much and misses nothing.
WHOLE_MOST_TOKENS = 60_000
HEADROOM_TOKENS = 16_000  # instructions, history, question and answer beside the corpus
# An estimate may err: a prefix this near under the minimum is marked all the same, for a mark costs nothing by itself.
NEAR_MINIMUM = 0.8
MANY_RUNS = 2  # a visit: its second question finds what its first one wrote


@dataclass(frozen=True, slots=True)
class CachePlan:
    """Whether a prefix will be cached, for how long it is marked, and why."""

    cacheable: bool
    ttl: Literal["", "5m", "1h"]
    reason: str


def model_of(settings: Settings, name: str) -> str:
    """`small` and `large` as the settings name them; "builtin" in full; anything else as it is."""
    tiers = {"small": settings.file.models.small, "large": settings.file.models.large}
    model = tiers.get(name, name)
    return BUILTIN if model == "builtin" else model


def candidates(settings: Settings, feature: str) -> tuple[str, ...]:
    """The models that may answer, in order: the feature's, then its fallbacks; those without a key left out.

    Where nothing is left the built-in answers: the site never goes dark.
    """
    declared = settings.features[feature]
    wanted = [model_of(settings, name) for name in (declared.model, *declared.fallback)]
    usable = [model for model in dict.fromkeys(wanted) if has_key(settings, model)]
    return tuple(usable) or (BUILTIN,)


def beside(settings: Settings, feature: str) -> tuple[str, ...]:
    """The models that may answer a turn besides the candidates: that of an escalation, where it has a key."""
    escalation = settings.features[feature].escalation
    models = [model_of(settings, escalation.model)] if escalation else []
    return tuple(model for model in models if has_key(settings, model))


def has_key(settings: Settings, model: str) -> bool:
    """Can this model be called with what the environment holds?"""
    secrets = settings.secrets
    needed = {
        "anthropic": secrets.anthropic_api_key,
        "openai": secrets.openai_api_key or secrets.openai_base_url,  # Ollama and its like ask for no key
    }
    return bool(needed.get(model.partition(":")[0], True))


def check_model_names(settings: Settings) -> None:
    """SettingsError `unknown_model`, with its place, for the first model in the settings that is not known."""
    file = settings.path.name
    for tier in ("small", "large"):
        _check(settings, model_of(settings, tier), f"{file} [models] {tier}")
    for name, feature in settings.features.items():
        for model in (feature.model, *feature.fallback):
            _check(settings, model_of(settings, model), f"{file} [features.{name}]")
        if feature.escalation:
            _check_other(settings, feature, feature.escalation.model, f"{file} [features.{name}.escalation]")
        if feature.shadow:
            _check_other(settings, feature, feature.shadow.model, f"{file} [features.{name}.shadow]")


def _check_other(settings: Settings, feature: Feature, name: str, place: str) -> None:
    """A model beside the feature's own is a model, and another one."""
    other = model_of(settings, name)
    _check(settings, other, place)
    if other in (BUILTIN, model_of(settings, feature.model)):
        raise SettingsError(
            "settings_invalid",
            f"'model' in {place} is {other}, which {'is no model' if other == BUILTIN else 'the feature has already'}.",
            "Name another one, or leave the table out.",
        )


def _check(settings: Settings, model: str, place: str) -> None:
    known = facts(model, place)
    # OpenAI's own names are all priced; only another server's may be anything, and that server has an address.
    if model.startswith("openai:") and not settings.secrets.openai_base_url and not known.priced:
        raise unknown(model, place)


def regime(model: str, corpus_tokens: int) -> Literal["whole", "retrieval"]:
    """The whole corpus in the prompt while it fits the model's window and price; retrieved passages past that.

    `corpus_tokens` is the estimate for Claude 4.5's tokenizer; the model's ratio corrects it.
    """
    known = facts(model)
    return "whole" if corpus_tokens * known.tokenizer_ratio <= _whole_most(known) else "retrieval"


def _whole_most(known: ModelFacts) -> int:
    bounds = [WHOLE_MOST_TOKENS, known.window_tokens - HEADROOM_TOKENS]
    if known.dearer_past_tokens:
        bounds.append(known.dearer_past_tokens - HEADROOM_TOKENS)
    return min(bounds)


def cache_plan(
    model: str, prefix_tokens: int, gaps_min: Sequence[float] = (), runs_per_visit: float = MANY_RUNS
) -> CachePlan:
    """Will the prefix be cached? Under a model's minimum the provider says nothing and caches nothing.

    `prefix_tokens` is the estimate for Claude 4.5's tokenizer; the model's ratio corrects it. `gaps_min` are the
    minutes between real questions: with enough of them the TTL is the one that would have cost least over them.
    Without, it is an hour for what is asked several times a visit: that costs 0.75 of the prefix more to write than
    five minutes, and saves 1.15 of it whenever the visit before was less than an hour ago, so it pays from about one
    visit in two hours (docs/decisions/budget.md). What is asked once a visit gets five minutes: the cheaper guess.
    """
    known = facts(model)
    if model == BUILTIN:
        return CachePlan(False, "", "no prompt, nothing to cache")
    if not prefix_tokens:
        return CachePlan(False, "", "no shared prefix: each question brings its own passages")
    tokens, least = round(prefix_tokens * known.tokenizer_ratio), known.cache_minimum_tokens
    if tokens < least:
        ttl: Literal["", "1h"] = "1h" if known.ttls and tokens >= least * NEAR_MINIMUM else ""
        short = f"about {tokens:,} tokens, {least - tokens:,} short of the model's minimum of {least:,}"
        return CachePlan(False, ttl, short + _padding(model, tokens, least, gaps_min))
    if not known.ttls:
        return CachePlan(bool(least), "", "the provider caches by itself, if at all")
    size = f"about {tokens:,} tokens, above the model's minimum of {least:,}"
    at = caching.ratios(model)
    if at is None or len(gaps_min) < caching.FEWEST_GAPS:
        guess: caching.Ttl = "1h" if runs_per_visit >= MANY_RUNS or "5m" not in known.ttls else "5m"
        return CachePlan(True, guess, f"{size}; a guess until {caching.FEWEST_GAPS + 1} questions have come")
    chosen, factor = caching.best_ttl(gaps_min, at)
    questions = f"the last {len(gaps_min) + 1} questions"
    if not chosen:
        return CachePlan(False, "", f"{size}, but {questions} came too far apart: writing costs more than it saves")
    hits = caching.hits_in(gaps_min, chosen)
    came = f"{hits:.0%} of {questions} came within that of the one before: {factor:.0%} of the uncached cost"
    return CachePlan(True, chosen, f"{size}; {came}")


def _padding(model: str, tokens: int, least: int, gaps_min: Sequence[float]) -> str:
    """Whether padding up to the minimum would pay, where enough questions came to tell; else nothing."""
    at = caching.ratios(model)
    if at is None or len(gaps_min) < caching.FEWEST_GAPS:
        return ""
    pays = any(caching.padding_pays(tokens, least, caching.hits_in(gaps_min, ttl), ttl, at) for ttl in at.write)
    return "; padded up to it, caching would pay: add pages" if pays else "; padding up to it would not pay"
