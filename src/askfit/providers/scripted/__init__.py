"""The shipped test double: a model that says what a script says, in this process or as a server on loopback.

In process it is the provider `scripted` (`scripted:faithful`, `scripted:my-script.yaml`); `ScriptedServer` speaks the
wire formats of Anthropic and OpenAI, so that the real clients can be tried byte for byte. How to: docs/scripted.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from askfit.config import Settings
from askfit.errors import SettingsError
from askfit.providers.faults import provider_error
from askfit.providers.scripted import anthropic_wire
from askfit.providers.scripted.behaviours import Asked, Reply, estimated
from askfit.providers.scripted.cache import Block, PromptCache
from askfit.providers.scripted.script import Script, load_script
from askfit.providers.scripted.server import ScriptedServer
from askfit.rates import Account
from askfit.types import Call, Finish, Headroom, Prompt, Text, Usage

__all__ = ["Asked", "PromptCache", "Reply", "Script", "Scripted", "ScriptedServer", "load_script", "open"]

CACHE_MINIMUM_TOKENS = 1024


class Scripted:
    """The double in process. Keeps its scripts, whose rules may be used up, and its pretended prompt cache."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._scripts: dict[str, Script] = {}
        self._cache = PromptCache()

    async def stream(self, model_name: str, call: Call) -> AsyncGenerator[Text | Finish, None]:
        """What the script says, at its pace; its faults are the errors that the real providers raise."""
        prompt = call.prompt
        asked = Asked(
            model_name,
            "\n\n".join(part for part in (prompt.instructions, prompt.prefix) if part),
            prompt.messages,
            prompt.max_output_tokens,
            prompt.output_schema,
        )
        script = self._script(model_name)
        reply = script.reply(asked).within(prompt.max_output_tokens)
        if script.account:
            yield self._admitted(script.account, asked, prompt, reply)
        await asyncio.sleep(reply.first_ms / 1000)
        for piece in reply.before_fault():
            if isinstance(piece, str):  # no documents were given, so nothing can be cited
                yield Text(piece)
            await asyncio.sleep(reply.piece_ms / 1000)
        if reply.fault:
            await self._fail(reply, model_name)
        yield Finish(self._usage(asked, prompt, reply), reply.finish_reason)

    def _script(self, name: str) -> Script:
        if name not in self._scripts:
            path = self._settings.root / name if self._settings and name.endswith((".yaml", ".yml", ".json")) else None
            try:
                self._scripts[name] = load_script(path) if path else Script.of(name)
            except SettingsError as error:
                raise provider_error("provider_model_unknown", f"scripted:{name}", words=str(error)) from None
        return self._scripts[name]

    def _admitted(self, account: Account, asked: Asked, prompt: Prompt, reply: Reply) -> Text:
        """Count the request and its answer; `provider_rate_limited` where the account does not bear it."""
        charge = self._cache.charge(asked.model, _blocks(asked, prompt), CACHE_MINIMUM_TOKENS, keep=False)
        refused = account.ask(asked.model, anthropic_wire.needs(asked, charge))
        headroom = Headroom(account.standing(asked.model), time.monotonic())
        if refused:
            who = f"scripted:{asked.model}"
            raise provider_error("provider_rate_limited", who, retry_after_s=round(refused.wait_s, 3))
        account.produced(asked.model, anthropic_wire.produces(estimated(reply.text)))
        return Text("", headroom=headroom)

    async def _fail(self, reply: Reply, model_name: str) -> None:
        fault = reply.as_fault()
        if fault.hangs:
            await asyncio.Event().wait()  # until the gateway's patience ends
        raise provider_error(fault.code, f"scripted:{model_name}", retry_after_s=fault.retry_after_s)

    def _usage(self, asked: Asked, prompt: Prompt, reply: Reply) -> Usage:
        charge = self._cache.charge(asked.model, _blocks(asked, prompt), CACHE_MINIMUM_TOKENS)
        return reply.usage or Usage(
            charge.total,
            estimated(reply.text),
            charge.read,
            charge.written_5m + charge.written_1h,
            charge.written_1h,
        )

    async def aclose(self) -> None:
        """Nothing is held."""


def _blocks(asked: Asked, prompt: Prompt) -> list[Block]:
    return [Block(asked.system, prompt.cache_ttl), *(Block(turn.text) for turn in asked.messages)]


def open(settings: Settings) -> Scripted:
    """Script files are looked for beside the settings file."""
    return Scripted(settings)
