"""A destination with a bug, as another package brings it: it raises an error of any kind at any moment.

With ``REPAIRED`` in the environment it has none, and takes everything.
"""

import builtins
import os
from collections.abc import Sequence
from typing import Literal

from pydantic import SecretStr

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.destinations.base import (
    Answer,
    HttpDestination,
    HttpRequest,
    Judgement,
    Limits,
    Meaning,
    Message,
    Transport,
)
from audience_sync.model import IdentifyCall


class FaultyOptions(DestinationOptions):
    type: Literal["faulty"] = "faulty"
    moment: str
    error: str
    token: SecretStr
    only: str = ""
    sql: str | None = None


class OwnError(BaseException):
    """A plugin's own, which is no Exception."""


class FaultyDestination(HttpDestination):
    Options = FaultyOptions
    options: FaultyOptions

    def fail(self, moment: str, user: str = "") -> None:
        options = self.options
        if moment != options.moment or "REPAIRED" in os.environ or (options.only and user != options.only):
            return
        if options.error == "UnicodeDecodeError":
            raise UnicodeDecodeError("utf-8", b"ad\xe9", 2, 3, "invalid continuation byte")
        raise {**vars(builtins), "OwnError": OwnError}[options.error](f"a bug at {options.token.get_secret_value()}\0")

    @property
    def limits(self) -> Limits:
        return Limits(messages=2, request_bytes=1_000_000)

    @property
    def address(self) -> str:
        return "nowhere"

    def encode(self, call: IdentifyCall) -> list[Message]:
        self.fail("encode", call.user_id)
        return [Message(call.message_id, call.user_id.encode())]

    def encode_sql(self) -> str | None:
        return self.options.sql

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        self.fail("request")
        return HttpRequest("POST", "http://127.0.0.1:9/", {}, b"")

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        self.fail("judge")
        return Judgement(Meaning.DELIVERED)

    def open(self) -> Transport:
        self.fail("open")
        transport = super().open()
        close = transport.close

        def closing() -> None:
            close()
            self.fail("close")

        transport.close = closing  # type: ignore[method-assign]  # of this one alone
        return transport
