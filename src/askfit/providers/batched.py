"""A provider that also takes calls as a batch: answered within a day, at half the price. The layer's `batch_*` methods.

Knows nothing of money or of how long anybody waits: whoever sends a batch keeps its id and asks when it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.batch import Batch, BatchRequest, BatchResult, EncodedBatchRequest

from askfit.providers.direct import (
    Direct,
    Halves,
    Wire,
    begin_wire,
    counted,
    finish_reason,
    to_messages,
    to_parameters,
    to_provider_error,
)
from askfit.providers.faults import provider_error
from askfit.types import Ended, Finish, Prompt

UNRUN = {"expired": "provider_batch_expired", "canceled": "provider_batch_canceled"}  # and charged nothing


class Batched(Direct):
    """Streams calls, and takes batches of them. Every fault is a ProviderError."""

    async def send_batch(self, model_name: str, prompts: Mapping[str, Prompt]) -> tuple[str, int]:
        """(the batch's id, when the provider took it in ms). `prompts` by the ids that their answers will carry."""
        model = self._model(model_name)
        with self._told(model_name):
            requests = [await self._encoded(model, id_, prompt) for id_, prompt in prompts.items()]
            batch = await model.batch_create(requests)
        return batch.id, round(batch.created_at.timestamp() * 1000)

    async def batch_ended(self, model_name: str, id_: str) -> bool:
        """Has every call of it been answered, or will never be? Until then the provider tells no more."""
        model = self._model(model_name)
        with self._told(model_name):
            return (await model.batch_status(await self._handle(model, id_))).status == "ended"

    async def cancel_batch(self, model_name: str, id_: str) -> None:
        """Ask the provider to stop: what it has not begun it will not charge. The batch ends a little later."""
        model = self._model(model_name)
        with self._told(model_name):
            await model.batch_cancel(await self._handle(model, id_))

    async def batch_results(self, model_name: str, id_: str) -> Sequence[Ended]:
        """How each call of an ended batch ended, in no order."""
        model = self._model(model_name)
        with self._told(model_name):
            handle = replace(await self._handle(model, id_), status="ended")
            return [self._ended(model, result) for result in await model.batch_results(handle)]

    async def _encoded(self, model: Model, id_: str, prompt: Prompt) -> EncodedBatchRequest:
        """The very request that a call of its own would send, but for the stream."""
        native = self._form(model.model_name, model, prompt) == "schema"
        request = BatchRequest(
            custom_id=id_,
            messages=to_messages(prompt),
            model_settings=self._dialect.settings(prompt),
            model_request_parameters=to_parameters(prompt, native=native),
        )
        return await model.batch_encode(request)

    async def _handle(self, model: Model, id_: str) -> Batch:
        """The layer's handle of a batch from its id alone: what it checks it for is our own address."""
        group = (await model.batch_encode(_request(id_))).group
        now = datetime.now(UTC)
        return Batch(
            id=id_,
            model_name=model.model_name,
            provider_name=model.system,
            group=group,
            status="in_progress",
            created_at=now,
            request_count=0,
        )

    def _ended(self, model: Model, result: BatchResult) -> Ended:
        who = f"{self._dialect.provider}:{model.model_name}"
        if result.status in UNRUN:
            error = provider_error(UNRUN[result.status], who)
            return Ended(result.custom_id, code=error.code, message=error.message)
        try:
            response = model.batch_decode(result, _request(result.custom_id))
        except Exception as raised:  # what stands in the result is the provider's, of whatever form
            error = to_provider_error(raised, self._dialect, model.model_name, Wire())
            return Ended(result.custom_id, code=error.code, message=error.message)
        finish = Finish(counted(response), finish_reason(response), response.model_name or "")
        return Ended(result.custom_id, _text(response), finish)

    @contextmanager
    def _told(self, model_name: str) -> Iterator[None]:
        """Whatever goes wrong on the way, as a ProviderError."""
        wire = begin_wire()
        try:
            yield
        except Exception as error:
            raise to_provider_error(error, self._dialect, model_name, wire) from None


def _request(id_: str) -> BatchRequest:
    """What the layer wants to see where only the batch or its answer matters."""
    return BatchRequest(custom_id=id_, messages=[ModelRequest(parts=[UserPromptPart("…")])])


def _text(response: ModelResponse) -> str:
    return Halves().joined("".join(part.content for part in response.parts if isinstance(part, TextPart)))
