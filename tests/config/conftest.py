"""A config in a folder of its own, and destinations that exist only here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr

from audience_sync.config.loader import load
from audience_sync.config.models import Settings
from audience_sync.config.sections.base import DestinationOptions, Rate
from audience_sync.errors import ConfigError


class FileOptions(DestinationOptions):
    type: Literal["file"] = Field(default="file", description="A file.")
    path: str = Field(description="The file.")


class ConnectOptions(DestinationOptions):
    type: Literal["zendesk_connect"] = Field(default="zendesk_connect", description="Zendesk Connect.")
    private_key: SecretStr = Field(description="The private key.")
    url: str = Field(default="https://api.outbound.io", description="Where the API is.")


class SegmentOptions(DestinationOptions):
    type: Literal["segment"] = Field(default="segment", description="Segment.")
    write_key: SecretStr = Field(description="The write key.")
    rate_limit: Rate | None = Field(default=1000.0, description="Most requests in a time.")


Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


@pytest.fixture
def destination_types() -> Mapping[str, type[DestinationOptions]]:
    return {"file": FileOptions, "zendesk_connect": ConnectOptions, "segment": SegmentOptions}


@pytest.fixture
def load_text(tmp_path: Path, destination_types: Mapping[str, type[DestinationOptions]]) -> Load:
    """Loads the text as the config.yaml of ``tmp_path``."""

    def loaded(text: str, *, env: str | None = None, **variables: str) -> Settings:
        path = tmp_path / "config.yaml"
        path.write_text(text, "utf-8")
        return load(
            path,
            environment=env,
            variables=variables,
            destination_types=destination_types,
            profile_fields={"zendesk_connect": frozenset({"devicetoken"})},
        )

    return loaded


@pytest.fixture
def problems(load_text: Load) -> Problems:
    """Everything that is wrong with the text, line by line."""

    def found(text: str, **options: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            load_text(text, **options)
        return [str(problem) for problem in error.value.problems]

    return found
