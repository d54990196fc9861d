"""Describe the project whose store the pages show: address, time zone, config, and how ids are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from audience_sync.command_line import with_options
from audience_sync.dashboard.masks import IdMask
from audience_sync.web.formats import ShownId, shown_id, visible
from audience_sync.web.templating import with_code

if TYPE_CHECKING:
    from audience_sync.config.models import Settings

UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One project.

    ``url``: of the store. ``label``: its address for people. ``options``: the shared options of the commands that are
    shown, such as ``--env production``. ``settings``: the config; None if it can't be loaded here in full, which
    ``config_problem`` explains.
    """

    url: str = field(repr=False)
    label: str
    options: str = ""
    zone: ZoneInfo = UTC
    settings: Settings | None = field(default=None, repr=False)
    config_problem: str = ""
    id_mask: IdMask | None = None

    def shown_id(self, user_id: str) -> ShownId:
        """The id as pages show it: a pseudonym, if ids are masked."""
        return shown_id(self.id_mask.id(user_id) if self.id_mask else user_id)

    def masked(self, text: str | None) -> str:
        """A text that may quote ids, such as a destination's reason; control characters are written as escapes."""
        found = "\n".join(visible(line) for line in (text or "").splitlines())
        return self.id_mask.text(found) if self.id_mask else found

    def marked(self, text: str | None) -> Markup:
        """The same as markup: commands and options in backticks are code."""
        return with_code(self.masked(text))

    def command(self, text: str) -> str:
        """A command with the options of this project: ``audience-sync --env production approve 46``."""
        return with_options(text, self.options)

    def shown_values(self, columns: Sequence[str], row: Sequence[Any]) -> list[Any]:
        """A row for a file: its ids and texts as pages show them."""
        if self.id_mask is None:
            return list(row)
        return [self.id_mask.value(name, value) for name, value in zip(columns, row, strict=True)]
