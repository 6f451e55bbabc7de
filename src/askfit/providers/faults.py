"""Every fault of a provider in plain words, by its stable code. Knows no SDK: the test double says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from askfit.errors import ProviderError
from askfit.text import clean

TOLD_CHARS = 300


@dataclass(frozen=True, slots=True)
class Told:
    """What is said about one code: `{who}` is provider:model, `{key}` the variable that holds the key."""

    sentence: str
    next_step: str = "Try again."
    retryable: bool = False
    in_their_words: bool = False  # add what the provider said: about the request, never about the account


TOLD: Mapping[str, Told] = {
    "provider_unreachable": Told(
        "{who} cannot be reached.", "Check the network and the base URL, then try again.", True
    ),
    "provider_timeout": Told("{who} took too long.", retryable=True),
    "provider_overloaded": Told("{who} cannot serve just now.", "Try again later.", True),
    "provider_rate_limited": Told("{who} refused the request: its rate limit is reached.", "Try again later.", True),
    "provider_key_refused": Told("{who} refused the key.", "Check {key}."),
    "provider_billing": Told("{who} refused the request: the account has no credit.", "Settle the provider's bill."),
    "provider_spend_limit": Told(
        "{who} refused the request: the account's spend limit is reached.", "Raise it at the provider."
    ),
    "provider_model_unknown": Told(
        "{who} is not known to its provider.", "Check the model's name and the base URL: askfit models.", False, True
    ),
    "provider_bad_request": Told("{who} refused the request as malformed.", "Report it with this line.", False, True),
    "provider_too_large": Told(
        "{who} refused the request: it is too large.", "Shorten the corpus, the posting or the history.", False, True
    ),
    "provider_cut_off": Told("The answer of {who} broke off.", retryable=True),
    "provider_refused": Told("{who} declined to answer.", "Ask in another way."),
    "provider_batch_expired": Told("{who} did not come to this request within a batch's day."),
    "provider_batch_canceled": Told("The batch was canceled before {who} came to this request."),
    "provider_batch_missing": Told("{who} ended the batch without a word on this request."),
    "provider_bad_output": Told("{who} answered in a form that cannot be read.", retryable=True),
}


def provider_error(
    code: str,
    who: str,
    *,
    key_name: str = "the key",
    key: str = "",
    retry_after_s: float | None = None,
    words: str = "",
) -> ProviderError:
    """The error of one code. Neither the key nor what the provider says about the account ever stands in it."""
    told = TOLD[code]
    message = told.sentence.format(who=who)
    if told.in_their_words and (words := _bounded(words, key)):
        message = f"{message} It said: {words}"
    return ProviderError(
        code,
        message,
        told.next_step.format(key=key_name),
        retryable=told.retryable,
        retry_after_s=retry_after_s if told.retryable else None,
    )


def _bounded(words: str, key: str) -> str:
    words = " ".join(clean(words).split())
    words = words.replace(key, "…") if key else words
    return re.sub(r"\b(?:sk|key|pk)-[\w*.…-]{4,}", "…", words)[:TOLD_CHARS]
