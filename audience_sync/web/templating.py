"""Build the environment of templates: escaped, strict about missing values, with the formats as filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audience_sync.text import pluralize
from audience_sync.version import __version__
from audience_sync.web import formats
from audience_sync.web.links import Links
from audience_sync.web.states import state_of
from audience_sync.web.static_files import static_address

FOLDER = Path(__file__).parent / "templates"


def make_environment(
    folder: Path,
    *,
    href: Links,
    zone: ZoneInfo,
    clock: Callable[[], datetime],
    more: Mapping[str, Any],
) -> Environment:
    """The environment of an application whose templates are in ``folder``; they may replace the shared ones by name.

    ``more``: values for every template; the frame needs ``app_name``.
    """
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(FOLDER)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "count": formats.count,
        "short_count": formats.short_count,
        "change": formats.change,
        "pluralize": pluralize,
        "rate": formats.rate,
        "seconds": formats.seconds,
        "duration": formats.duration,
        "visible": formats.visible,
        "iso": formats.iso,
        "moment": lambda value, **options: formats.moment(value, zone, clock(), **options),
        "relative": lambda value: formats.relative(value, clock()),
        "shown_id": formats.shown_id,
        "script_json": script_json,
        "with_code": with_code,
    }
    environment.globals |= {
        "href": href,
        "static": static_address,
        "state_of": state_of,
        "share": formats.share,
        "zone": zone.key,
        "version": __version__,
        **more,
    }
    return environment


def with_code(text: str) -> Markup:
    """The text as markup: what is in backticks, such as commands and options, is code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(text.split("`"))
    )


def script_json(value: object) -> Markup:
    """JSON for ``<script type="application/json">``: no character can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # its signs of markup are escaped
