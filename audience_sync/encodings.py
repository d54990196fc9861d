"""Find the codec of a text file's encoding by any of its names in Python."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

from audience_sync.text import nearest

#: Read as Windows-1252, as browsers do and writers mean: ISO 8859-1 has control characters where Windows-1252 has the
#: euro sign and quotes.
_AS_WINDOWS_1252 = frozenset({"ascii", "iso8859-1", "latin-1", "latin_1"})
#: Text codecs in which no file is written.
_NOT_FOR_FILES = frozenset(
    {"charmap", "idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
#: Common names that Python does not have.
_COMMON_NAMES = {"ansi": "cp1252", "ebcdic": "cp037", "unicode": "utf-16"}
#: Codecs of mainframes, where the end of a line is often U+0085 instead of U+000A.
EBCDIC = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})
_GUIDE = {
    "cp1252": "for a file that Excel saved in western Europe",
    "cp1250": "in central Europe",
    "cp1251": "for Cyrillic",
    "cp932": "in Japan",
    "gb18030": "in China",
}


def codec_of(encoding: str) -> str:
    """The name of Python's codec. Raises ValueError, which suggests the nearest name."""
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):  # ValueError: a character that occurs in no name
        raise ValueError(_unknown_message(encoding)) from None
    if not _is_for_files(found):
        raise ValueError(f"`{encoding}` is not an encoding of text files. Name one such as `utf-8` or `cp1252`")
    return "cp1252" if found.name in _AS_WINDOWS_1252 else found.name


def encoding_advice(codec: str, file: str) -> str:
    """Advice for a file that is not in its configured encoding: what to write in the config."""
    others = [f"`encoding: {name}` {use}" for name, use in _GUIDE.items() if name != codec]
    return (
        f"Write its encoding in the config: {', '.join(others)}. `file --mime-encoding {file}` guesses it. "
        "Or write the file as UTF-8."
    )


def _unknown_message(encoding: str) -> str:
    written = {name.replace("_", "-") for name in (*aliases, *aliases.values())}
    if (usual := encoding.lower()) in _COMMON_NAMES:
        return f"there is no encoding `{encoding}`; did you mean `{_COMMON_NAMES[usual]}`?"
    meant = nearest(encoding.replace("_", "-"), sorted(name for name in written if _is_text_encoding(name)))
    hint = f"; did you mean `{meant}`?" if meant else ": name one such as `utf-8`, `cp1252` or `shift_jis`"
    return f"there is no encoding `{encoding}`{hint}"


def _is_text_encoding(name: str) -> bool:
    try:
        return _is_for_files(codecs.lookup(name))
    except LookupError:
        return False


def _is_for_files(codec: codecs.CodecInfo) -> bool:
    return getattr(codec, "_is_text_encoding", True) and codec.name.replace("_", "-") not in _NOT_FOR_FILES
