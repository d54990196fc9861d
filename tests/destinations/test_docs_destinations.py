"""The destination that docs/destinations.md shows is complete: it keeps what every destination must keep."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from audience_sync.destinations.base import Audiencing, Destination

from .standard import HttpDestinationStandard
from .test_vendor_standard import TEXTS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_example_fits_on_a_page() -> None:
    (code,) = CODE
    assert len(code.splitlines()) < 70


class TestTheExampleOfTheDocument(HttpDestinationStandard):
    secrets = ("token-of-the-account",)
    membership = ("true", "false")
    written = TEXTS
    number = str

    @pytest.fixture(autouse=True)
    def example(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "your_package"}
        exec(compile(CODE[0], "docs/destinations.md", "exec", dont_inherit=True), self.namespace)

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = message["fields"]
        return fields

    def destination(self) -> Destination:
        options = self.namespace["MailingOptions"](token=SecretStr(self.secrets[0]))
        made: Destination = self.namespace["MailingDestination"](
            options, Audiencing("installation", secrets=self.secrets)
        )
        return made
