"""Serve the dashboard and the sandbox: their options, the extra, the token, the address."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audience_sync.cli.base.errors import add_secrets

if TYPE_CHECKING:
    from audience_sync.web.security import Access

#: The packages of the extra.
_PACKAGES = ("jinja2", "starlette", "uvicorn")
_MAKE_TOKEN = "Make a token: python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a command listens, from its options. ``names``: more names by which browsers reach it.

    The token is in ``token_file``, or in the environment variable ``token_variable``.
    """

    host: str
    port: int
    names: tuple[str, ...]
    token_file: Path | None
    token_variable: str


def listener_options(
    *, port: int, token_variable: str, always_token: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a command that serves. They are passed as one ``listener``.

    ``always_token``: it is for programs, which bring the token, and no browser comes by another name.
    """
    other_hosts = "" if always_token else "; others need a token"
    hint = "Read the token from this file" if always_token else "Ask for the token in this file"

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--host", default="127.0.0.1", show_default=True, help=f"The address to listen on{other_hosts}.")
        @click.option(
            "--port", type=click.IntRange(0, 65535), default=port, show_default=True, help="The port; 0 = any free one."
        )
        @click.option(
            "--allow-host",
            "names",
            multiple=True,
            metavar="NAME",
            help="A name by which browsers reach it, such as a proxy's.",
            hidden=always_token,
        )
        @click.option(
            "--token-file",
            type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
            metavar="FILE",
            help=f"{hint}; or set {token_variable}.",
        )
        @wraps(command)
        def with_listener(
            *arguments: Any, host: str, port: int, names: tuple[str, ...], token_file: Path | None, **options: Any
        ) -> Any:
            listener = Listener(host=host, port=port, names=names, token_file=token_file, token_variable=token_variable)
            return command(*arguments, listener=listener, **options)

        return with_listener

    return decorate


def require_web_extra(command: str) -> None:
    """Raise click.ClickException with the command to install it, if the extra is missing."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise click.ClickException(
            f"`{command}` needs the extra `web`: {', '.join(missing)} is not installed. Nothing is served.\n"
            "Install it: pip install 'audience-sync[web]'"
        )


def access_of(
    listener: Listener, *, cookie: str, posts: frozenset[str] = frozenset(), always_token: bool = False
) -> Access:
    """The rules of access. The token is masked in all output from now on.

    Raises click.ClickException if the token can't be read or is too short, or if others could look without one;
    with ``always_token`` also without one.
    """
    from audience_sync.web.security import Access

    access = Access(
        host=listener.host,
        names=frozenset(map(str.lower, listener.names)),
        token=_read_token(listener),
        token_variable=listener.token_variable,
        cookie=cookie,
        posts=posts,
    )
    problem = access.problem()
    if always_token and access.token is None:
        problem = "this command needs a token"
    if problem is not None:
        raise click.ClickException(
            f"{problem}. Nothing is served.\n{_MAKE_TOKEN}\n"
            f"Then: --token-file token (or the variable {listener.token_variable})"
        )
    return access


def _read_token(listener: Listener) -> str | None:
    if listener.token_file is not None:
        try:
            text = listener.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"the file can't be read: {error}", param_hint="--token-file") from None
        if not text:
            raise click.BadParameter(f"{listener.token_file} is empty. {_MAKE_TOKEN}", param_hint="--token-file")
    else:
        text = os.environ.get(listener.token_variable, "").strip()
    if text:
        add_secrets([text])
    return text or None


def open_socket(listener: Listener) -> socket.socket:
    """A socket that listens. Raises click.ClickException if the address can't be used."""
    from audience_sync.web.serve import ListenError, listen

    try:
        return listen(listener.host, listener.port)
    except ListenError as error:
        raise click.ClickException(str(error)) from None
