"""Text from a log made harmless: whoever wrote the log may be the attacker."""

from __future__ import annotations

import re

_TERMINAL_CODES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"  # colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,2000}(?:\x07|\x1b\\|\x9c)?"  # titles, hyperlinks
    r"|\x1b[ -/]{0,8}[0-~]?"
)


def plain(text: str, limit: int) -> str:
    """One line of at most `limit` printable characters; what was cut shows as an ellipsis.

    Terminal codes, control, bidirectional and other invisible characters are gone, white space is one space.
    """
    whole = len(text) <= 8 * limit
    text = text[: 8 * limit]
    if not text.isprintable():
        text = "".join(map(_printable, _TERMINAL_CODES.sub("", text)))
    text = " ".join(text.split())
    return text if whole and len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else ""
