"""Define and validate the options of a webhook: address, headers, and the meaning of answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema, model_validator

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.http_options import WholeUrl
from audience_sync.destinations.base import Meaning
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.text import unknown_name_message
from audience_sync.webhook_signature import ID, SIGNATURE, TIMESTAMP, usable_secret

_ANSWER_NAMES = ("2xx", "3xx", "4xx", "5xx", "a status such as 409")
_STATUS = re.compile(r"[2-5](?:xx|\d\d)", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
#: Headers that the transport sets, or that the program makes for each request.
_RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", ID, TIMESTAMP, SIGNATURE})


def _answer_status(text: str) -> str:
    status = text.strip().lower()
    if not _STATUS.fullmatch(status):
        raise ValueError(unknown_name_message("answer", text, _ANSWER_NAMES))
    return status


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not a valid name of a header: use letters, digits and `-`")
    if name.lower() in _RESERVED_HEADERS:
        raise ValueError("is made by the program for each request: leave it out")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("is empty: is its environment variable set?")
    if text != text.strip() or any(not " " <= letter <= "~" for letter in text):
        raise ValueError("must be ASCII, without a line's end and without spaces around it: was it copied whole?")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
AnswerText = Annotated[str, AfterValidator(_answer_status)]
_ANSWERS_SCHEMA = WithJsonSchema(
    {
        "type": "object",
        "propertyNames": {"pattern": r"^[2-5]([xX]{2}|\d\d)$"},
        "additionalProperties": {"enum": [meaning.value for meaning in Meaning]},
        "examples": ["{409: delivered, 4xx: refused}"],
    }
)


class WebhookOptions(DestinationOptions):
    type: Literal["webhook"] = Field("webhook", description="Any service that takes JSON over HTTP.")
    url: WholeUrl = Field(description="The whole address, best as `${WEBHOOK_URL}` where it is a secret.", repr=False)
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="The method of a request.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default={},
        description="Headers of every request, such as `{Authorization: 'Bearer ${TOKEN}'}`; never shown.",
    )
    body: Literal["call", "batch"] = Field(
        "call", description="`call`: a request for each call, its body a JSON object; `batch`: a JSON array of many."
    )
    secret: Annotated[SecretStr, AfterValidator(usable_secret)] | None = Field(
        None,
        description="Signs requests by Standard Webhooks (HMAC-SHA256); `whsec_` and base64, or a plain text.",
    )
    answers: Annotated[dict[AnswerText, Meaning], _ANSWERS_SCHEMA] = Field(
        default={},
        description="What an answer means, by its status or its hundred, over the [defaults]"
        "(destinations.md#webhook): `delivered`, `retry`, `slow_down`, `refused` or `stop`.",
    )

    @model_validator(mode="after")
    def _check_batch_size(self) -> Self:
        if self.body == "call" and (self.batch_size or 1) > 1:
            raise ValueError("`batch_size` is for `body: batch`: with `body: call` every call has its own request")
        return self


def status_table(answers: Mapping[str, Meaning]) -> StatusTable:
    """Return the config's meanings, over the defaults."""
    exact = {int(answer): meaning for answer, meaning in answers.items() if answer.isdigit()}
    families = {int(answer[0]): meaning for answer, meaning in answers.items() if not answer.isdigit()}
    return StatusTable(exact, families)
