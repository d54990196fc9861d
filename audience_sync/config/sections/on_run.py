"""Define the section `on_run`: the programs that learn of every run by a signed webhook."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from audience_sync.config.sections.base import Duration, StrictModel, Text
from audience_sync.config.sections.http_options import WholeUrl
from audience_sync.webhook_signature import usable_secret

#: How a run can end.
RunEnd = Literal["succeeded", "partial", "held", "failed", "interrupted"]
ALL_ENDS: tuple[RunEnd, ...] = ("succeeded", "partial", "held", "failed", "interrupted")
#: A longer wait would delay the command of every run while a hook is down.
LONGEST_TIMEOUT = timedelta(minutes=1)


def _short(timeout: timedelta) -> timedelta:
    if not timedelta(0) < timeout <= LONGEST_TIMEOUT:
        raise ValueError("must be more than 0 and at most 1m: a run's command waits so long for a hook that is down")
    return timeout


class RunHook(StrictModel):
    """A hook: the summary of each run is posted to it, signed by Standard Webhooks."""

    url: WholeUrl = Field(
        repr=False,  # may be a secret
        description="The whole address, best as `${RUN_HOOK_URL}` where it is a secret.",
        examples=["https://example.com/hooks/audience-sync"],
    )
    secret: Annotated[SecretStr, AfterValidator(usable_secret)] = Field(
        description="Signs the requests by Standard Webhooks (HMAC-SHA256); `whsec_` and base64, or a plain text."
    )
    name: Text | None = Field(
        default=None, description="Its name in `status`, in the log and in the store; default: the host of `url`."
    )
    statuses: list[RunEnd] = Field(
        default=list(ALL_ENDS),
        min_length=1,
        description="The runs that it learns of, by how they ended.",
        examples=["[held, failed]"],
    )
    timeout: Annotated[Duration, AfterValidator(_short)] = Field(
        default=timedelta(seconds=15),
        description="Time limit for everything that one run posts to it, at most `1m`; the next runs post the rest.",
    )

    @property
    def label(self) -> str:
        """Its name, or the host and port of its address."""
        return self.name or urlsplit(self.url).netloc


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


def _with_own_names(hooks: list[RunHook]) -> list[RunHook]:
    twice = [name for name, count in Counter(each.label for each in hooks).items() if count > 1]
    if twice:
        raise ValueError(f"two hooks are called {twice[0]}: give each a `name` of its own")
    return hooks


RunHooks = Annotated[
    list[RunHook],
    BeforeValidator(_as_list, json_schema_input_type=RunHook | list[RunHook]),
    AfterValidator(_with_own_names),
]
