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

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "destinations.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


SDKS = [
    ("amplitude", "amplitude-analytics"),
    ("customerio", "customerio"),
    ("hubspot", "hubspot-api-client"),
    ("mixpanel", "mixpanel"),
    ("posthog", "posthog"),
]


@pytest.mark.parametrize(("vendor", "package"), SDKS)
def test_a_page_names_the_version_of_the_sdk_that_ci_compares(vendor: str, package: str) -> None:
    pinned = (Path(__file__).parent / "sdk_parity" / "requirements.txt").read_text().splitlines()
    page = (DOCS / "destinations" / f"{vendor}.md").read_text("utf-8")
    (version,) = re.findall(rf"`{package}` ([0-9.]+)\)", page)
    assert f"{package}=={version}" in pinned


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
