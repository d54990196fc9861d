"""List and create the fields that have to exist at a service before a call carries them."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from audience_sync.config.sections.base import MAX_ANSWER_BYTES
from audience_sync.destinations.base import Answer, FieldKind, HttpRequest, Meaning
from audience_sync.destinations.json_api.answers import parsed_body
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions
from audience_sync.errors import FieldError

if TYPE_CHECKING:
    from audience_sync.destinations.http.transport import HttpTransport

#: The answer to a field that another run has created meanwhile.
STATUS_EXISTS = 409
#: The meanings of answers after which a request is sent again, and the seconds before each repeat.
PASSING = (Meaning.RETRY, Meaning.SLOW_DOWN)
PAUSES = (0.2, 1.0, 3.0)


class FieldsOptions(JsonApiOptions):
    create_fields: bool = Field(False, description="Create the fields that are missing there, before the first call.")


class FieldsDestination(JsonApiDestination):
    """A service with fields. A subclass has the requests and the form of their answers, which are pure."""

    options: FieldsOptions
    has_fields = True
    answer_bytes = MAX_ANSWER_BYTES  # an account may have thousands of fields

    @abstractmethod
    def fields_request(self) -> HttpRequest:
        """Return the request that lists the fields."""

    @abstractmethod
    def field_names(self, body: Any) -> Collection[str] | None:
        """Return the names of the fields in the answer's JSON; None for another answer."""

    def own_fields(self) -> Collection[str]:
        """Return the fields that the calls need besides their properties, such as that of the user id."""
        return ()

    @abstractmethod
    def field_request(self, name: str, kind: FieldKind) -> HttpRequest:
        """Return the request that creates a field."""

    def missing_fields(self, keys: Collection[str]) -> Collection[str]:
        with self._transport() as transport:
            answer = self._accepted(transport, self.fields_request(), "its fields can't be listed")
        existing = self.field_names(parsed_body(answer))
        if existing is None:
            raise FieldError(
                "its fields can't be listed: the answer is not a list of fields. Check `destinations.NAME.url`"
            )
        impossible = self.name_problems(keys)  # these properties are refused by name
        needed = [*(key for key in keys if key not in impossible), *self.own_fields()]
        return [key for key in needed if self.names.get(key, key) not in existing]

    def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
        if not self.options.create_fields:
            raise FieldError(
                f"these fields do not exist there: {', '.join(fields)}. Nothing was sent. Create them, or set "
                "`destinations.NAME.create_fields: true`"
            )
        with self._transport() as transport:
            for key, kind in fields.items():
                request = self.field_request(self.names.get(key, key), kind)
                self._accepted(transport, request, f"the field '{key}' can't be created", STATUS_EXISTS)

    def _transport(self) -> HttpTransport:
        from audience_sync.destinations.http.transport import HttpTransport

        return HttpTransport(self)

    def _accepted(self, transport: HttpTransport, request: HttpRequest, problem: str, *also: int) -> Answer:
        """Return the answer to a request, which is sent again while the service is limited or in trouble.

        Raises FieldError unless it is a success or one of the statuses ``also``.
        """
        give_up_after = self.options.give_up_after.total_seconds()
        for pause in (*PAUSES, None):
            answer = transport.answer(request)
            judgement = self.judge(answer)
            if judgement.meaning is Meaning.DELIVERED or answer.status in also:
                return answer
            if pause is None or judgement.meaning not in PASSING:
                break
            wait = pause if judgement.retry_after is None else judgement.retry_after
            if wait > give_up_after:
                break
            time.sleep(wait)
        raise FieldError(f"{problem}: {judgement.reason}", rate_limited=judgement.meaning is Meaning.SLOW_DOWN)
