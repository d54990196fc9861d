"""Rewrite the links of a page for files: to another file, or to plain text if there is no file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape

#: A link of one of our own templates: they quote attributes, and a link contains no link.
_LINK = re.compile(r'<a\b([^>]*?)\shref="(/[^"]*)"([^>]*)>(.*?)</a>', re.DOTALL)
_STATIC = re.compile(r'\b(href|src)="/static/[^/"]+/([^"]+)"')
_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)


def for_files(html: str, files: Mapping[str, str]) -> str:
    """Return the page with relative links and without forms. ``files``: the file of each path of the server.

    An address with a query has no file: a filter needs the server.
    """

    def relative(link: re.Match[str]) -> str:
        before, address, after, text = link.groups()
        path, hash_sign, anchor = unescape(address).partition("#")
        file = files.get(path)
        if file is None:
            return text if "<title>" not in text else f"<g>{text}</g>"
        target = f"{file}{hash_sign}{anchor}".replace("&", "&amp;").replace('"', "&quot;")
        return f'<a{before} href="{target}"{after}>{text}</a>'

    return _STATIC.sub(r'\1="static/\2"', _LINK.sub(relative, _FORM.sub("", html)))
