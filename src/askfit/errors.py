"""Every error that askfit raises on purpose. Knows nothing of HTTP or terminals.

    AskfitError
    ├── SettingsError        askfit.toml or the environment is wrong          exit 2
    ├── UsageError           a command was called wrongly, a port is taken    exit 2
    ├── InputError           what a visitor or an owner gave cannot be used
    ├── StoreError           the ledger's database cannot be opened or written
    ├── LimitExceeded        too many requests of one visitor
    ├── BudgetSpent          the owner's money for the day or month is spent
    └── ProviderError        a model could not answer

`code` is stable: clients may switch on it. The message is one plain sentence with the place (file, row, key);
`next_step` says what to do about it.
"""

from __future__ import annotations


class AskfitError(Exception):
    """An error with a stable `code`, one sentence, and the next step."""

    status = 500  # the HTTP status that the web floor answers with
    exit_code = 1

    def __init__(self, code: str, message: str, next_step: str = "", *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class SettingsError(AskfitError):
    """The settings file or the environment is wrong."""

    exit_code = 2


class UsageError(AskfitError):
    """A command was called in a way that cannot work."""

    exit_code = 2


class InputError(AskfitError):
    """A question, posting, page or matrix that cannot be used."""

    status = 422


class StoreError(AskfitError):
    """The database behind the ledger cannot be opened or written."""

    status = 503
    exit_code = 2


class LimitExceeded(AskfitError):
    """One visitor asked too often; `retry_after_s` says when the next request is welcome."""

    status = 429

    def __init__(self, code: str, message: str, next_step: str = "", *, retry_after_s: float) -> None:
        super().__init__(code, message, next_step)
        self.retry_after_s = retry_after_s


class BudgetSpent(AskfitError):
    """The reservation for a call would pass the owner's budget."""

    status = 503


class ProviderError(AskfitError):
    """A model could not answer.

    `retryable` is true where the same request may succeed later; `partial` where visible text had already been sent.
    """

    status = 502

    def __init__(
        self,
        code: str,
        message: str,
        next_step: str = "",
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        partial: bool = False,
    ) -> None:
        super().__init__(code, message, next_step)
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.partial = partial
