"""Start what the dashboard and the sandbox serve: the extra, the token, the address."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.errors import add_secrets

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from audience_sync.web.security import Access

#: The packages of the extra.
_PACKAGES = ("jinja2", "starlette", "uvicorn")


def require_web_extra(command: str) -> None:
    """Raise click.ClickException with the command to install it, if the extra is missing."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise click.ClickException(
            f"`{command}` needs the extra `web`: {', '.join(missing)} is not installed. Nothing is served.\n"
            "Install it: pip install 'audience-sync[web]'"
        )


def read_token(file: Path | None, variable: str) -> str | None:
    """The token of the file, or of the environment variable; None without one. It is masked from now on."""
    if file is not None:
        try:
            text = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"the file can't be read: {error}", param_hint="--token-file") from None
        if not text:
            raise click.BadParameter(f"{file} is empty. {_MAKE_ONE}", param_hint="--token-file")
    else:
        text = os.environ.get(variable, "").strip()
    if text:
        add_secrets([text])
    return text or None


_MAKE_ONE = "Make a token: python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > token"


def refuse_unsafe(access: Access, variable: str) -> None:
    """Raise click.ClickException if others could look without a token, or the token is too short."""
    if (problem := access.problem()) is not None:
        raise click.ClickException(
            f"{problem}. Nothing is served.\n{_MAKE_ONE}\nThen: --token-file token (or the variable {variable})"
        )


def serve_app(app: ASGIApp, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until a signal. ``announce`` is called with the address."""
    from audience_sync.web.serve import ListenError, listen, serve

    try:
        opened = listen(host, port)
    except ListenError as error:
        raise click.ClickException(str(error)) from None
    serve(app, opened, announce=announce)
