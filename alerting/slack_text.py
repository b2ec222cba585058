"""Text and blocks as Slack takes them: log text in them can neither ping, link nor format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from alerting.plain import plain

Block = dict[str, Any]

_INDENT = 12
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"http(s?)://", re.IGNORECASE)


def units(text: str) -> int:
    """How long Slack finds a text: UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def safe(text: str, limit: int) -> str:
    """Log text for Slack: plain, escaped, links broken, at most `limit` UTF-16 units after escaping."""
    text = _LINK.sub(r"hxxp\1://", plain(text, limit)) or "-"
    whole = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if units(whole) < limit:
        return whole
    pieces: list[str] = []
    room = limit
    for char in text:
        piece = _ENTITIES.get(char, char)
        room -= len(piece) + (char > "\uffff")
        if room < 1:
            return "".join(pieces) + "…"
        pieces.append(piece)
    return "".join(pieces)


def unticked(text: str) -> str:
    """Without backticks: what is to stand between them."""
    return text.replace("`", "'")


def code(text: str, limit: int) -> str:
    """Log text for between backticks, where Slack interprets nothing."""
    return safe(unticked(text), limit)


def trusted(line: str, limit: int = 300) -> str:
    """A marked line (alerting/story.py) as mrkdwn: log text stays between its backticks."""
    parts = line.split("`")
    return "".join(f"`{code(part, limit)}`" if place % 2 else part for place, part in enumerate(parts))


def indented(line: str, limit: int) -> str:
    """The same for a line whose leading blanks order it."""
    bare = line.lstrip(" ")
    return " " * min(len(line) - len(bare), _INDENT) + safe(bare, limit)


def fitted(texts: Sequence[str], limit: int) -> str:
    """The lines that fit into `limit` UTF-16 units, and how many do not."""
    kept: list[str] = []
    room = limit - 20
    for place, text in enumerate(texts):
        room -= units(text) + 1
        if room < 0:
            return "\n".join([*kept, f"and {len(texts) - place} more lines"])
        kept.append(text)
    return "\n".join(kept)


def literal(text: str) -> Block:
    """A text object in which Slack interprets nothing."""
    return {"type": "plain_text", "text": text, "emoji": False}


def markup(text: str) -> Block:
    """A text object of our own markup, with log text between backticks only."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    """At most 150 units."""
    return {"type": "header", "text": literal(text)}


def section(text: Block) -> Block:
    """One text."""
    return {"type": "section", "text": text}


def context(texts: Iterable[str]) -> Block:
    """Fine print, at most ten texts."""
    return {"type": "context", "elements": [literal(text) for text in texts]}


def button(label: str, action: str, value: str, style: str = "") -> Block:
    """A button; `style` is "primary", "danger" or none."""
    made = {"type": "button", "text": literal(label), "action_id": action, "value": value}
    return made | ({"style": style} if style else {})
