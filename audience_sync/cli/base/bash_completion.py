"""Complete in bash: names with spaces, quotes and colons, which bash inserts as they come and cuts at colons."""

from __future__ import annotations

import os
import re

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

#: Where bash begins a new word within an argument (`COMP_WORDBREAKS`): it replaces only what follows.
_BREAK = re.compile(r".*[:=]", re.DOTALL)
_SPECIAL = re.compile(r"[^\w%+,./:=@-]")
_QUOTES = ("'", '"')
_SCRIPT = """\
%(complete_func)s() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        if [[ $reply == file ]]; then
            compopt -o default
        elif [[ -n $reply ]]; then
            COMPREPLY+=("${reply#plain,}")
        fi
    done < <(AUDIENCE_SYNC_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Reads the line from ``AUDIENCE_SYNC_LINE``, and answers with words that bash can insert."""

    source_template = _SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """The arguments before the cursor, and the beginning of the one at the cursor."""
        line = self._line()
        words = split_arg_string(line)[1:]
        return (words, "") if not self._typed() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        """``plain,`` and the rest of the word, from where bash replaces it."""
        if item.type == "file":
            return "file"
        typed, value = self._typed(), str(item.value)
        if typed.startswith(_QUOTES):
            return f"plain,{value}"
        cut = _BREAK.match(typed)
        return f"plain,{_SPECIAL.sub(_escaped, value)[len(cut[0]) if cut else 0 :]}"

    def _line(self) -> str:
        return os.environ.get("AUDIENCE_SYNC_LINE", "")

    def _typed(self) -> str:
        """The argument at the cursor as typed, with its quotes and backslashes; empty after a space."""
        return last_word(self._line())


def last_word(line: str) -> str:
    """The last word of a line as typed; empty if the line ends between two words."""
    start, quote, is_escaped = 0, "", False
    for index, each in enumerate(line):
        if is_escaped:
            is_escaped = False
        elif each == "\\" and quote != "'":
            is_escaped = True
        elif quote:
            quote = "" if each == quote else quote
        elif each in _QUOTES:
            quote = each
        elif each.isspace():
            start = index + 1
    return line[start:]


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def register() -> None:
    """Use this in place of click's own."""
    add_completion_class(Bash)
