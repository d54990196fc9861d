"""Define the errors that become a page for people: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.errors import AudienceSyncError


class PageError(AudienceSyncError):
    """A page can't be shown. ``status``: of HTTP. ``remedy``: sentences. ``commands``: to be pasted."""

    status = 500
    title = "The page can’t be shown"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        commands: Sequence[str] = (),
        title: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.commands = tuple(commands)
        self.title = title or self.title
        self.status = status or self.status


class NotFoundError(PageError):
    """What the address names does not exist."""

    status = 404
    title = "There is no such page"


class WrongQueryError(PageError):
    """A parameter of the address is not valid."""

    status = 400
    title = "The address is not valid"


class TookTooLongError(PageError):
    """A statement or a page was ended at its time limit."""

    status = 503
    title = "It took too long"


class UnavailableError(PageError):
    """What the page reads can't be reached. Nothing old is shown."""

    status = 503
    title = "The store can’t be read"
