"""Extract what people read from the repository: messages, docstrings with comments, documents, names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MESSAGE, DOCSTRING, DOCUMENT, NAME = "messages", "docstrings", "docs", "names"

_SQL = re.compile(
    r"\s*\(?(select|with|create|insert|delete|update|from|where|and|or|join|union|case|when|drop|alter|order)\b", re.I
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Text:
    """One text, with the place where it stands. ``opens``: it is the docstring of a module."""

    scope: str
    path: Path
    line: int
    text: str
    opens: bool = False


def python_texts(path: Path) -> Iterator[Text]:
    """The docstrings, comments, messages (text literals with a space that are not SQL) and names of a module."""
    source = path.read_text(encoding="utf-8")
    tree, docstrings = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            if not isinstance(node, ast.Module):
                yield Text(NAME, path, node.lineno, node.name.replace("_", " "))
            if text := ast.get_docstring(node):
                docstrings.add(id(node.body[0].value))  # type: ignore[attr-defined]  # it is an expression
                yield Text(DOCSTRING, path, node.body[0].lineno, text, opens=isinstance(node, ast.Module))
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings and " " in text.strip():
                if not _SQL.match(text):
                    yield Text(MESSAGE, path, node.lineno, text)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(DOCSTRING, path, token.start[0], token.string.lstrip("#: "))


def document_texts(path: Path) -> Iterator[Text]:
    """The lines of a Markdown document outside code blocks; one text for each paragraph."""
    fenced, started, lines = False, 1, list[str]()
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        ends = fenced or not line.strip() or line.startswith(("    ", "|", "#", "```", "- ", "* "))
        if ends and lines:
            yield Text(DOCUMENT, path, started, "\n".join(lines))
            lines = []
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.strip() and not line.startswith("    "):
            started = started if lines else number
            lines.append(line)


def sentences(text: Text) -> Iterator[str]:
    """The sentences of a docstring or of a paragraph, without what is code in it; a table has none."""
    plain = re.sub(r"``[^`]*``|`[^`]*`", "x", text.text)
    for paragraph in re.split(r"\n\s*\n", plain):
        if not paragraph.lstrip().startswith(("|", "-", "*", "#")):
            parts = re.split(r"(?<=[.!?])\s+", paragraph.replace("\n", " "))
            yield from (part.strip() for part in parts if part.strip())


def repository_texts(root: Path) -> Iterator[Text]:
    """All texts of the program and its documents, without decisions (history) and the glossary (it lists old words)."""
    for path in sorted((root / "audience_sync").rglob("*.py")):
        yield from python_texts(path)
    documents = [root / name for name in ("README.md", "CONTRIBUTING.md")]
    documents += sorted(
        path for path in (root / "docs").rglob("*.md") if "decisions" not in path.parts and path.name != "glossary.md"
    )
    for path in documents:
        yield from document_texts(path)
