"""Messages as Slack shows them, as an HTML page: to look at, and to keep pictures of. Knows the blocks we send."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape, unescape
from typing import Any

from alerting.slack_message import Message

STYLE = """
body { margin: 0; background: #fff; color: #1d1c1d; font: 15px/1.46667 Lato, 'Noto Sans', sans-serif; }
.message { display: flex; gap: 8px; padding: 10px 16px 14px; }
.avatar { flex: none; width: 36px; height: 36px; border-radius: 8px; background: #1f2a44; color: #fff; display: flex;
  align-items: center; justify-content: center; font-size: 20px; }
.body { min-width: 0; flex: 1; }
.name { font-weight: 900; }
.app { background: #ddd; color: #454447; font-size: 10px; font-weight: 700; padding: 1px 3px;
  border-radius: 2px; vertical-align: 1px; margin: 0 4px; } .time { color: #616061; font-size: 12px; }
.header { font-size: 18px; font-weight: 900; line-height: 1.35; margin: 4px 0 6px; overflow-wrap: anywhere; }
.section { margin: 0 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
.context { margin: 0 0 4px; color: #616061; font-size: 13px; line-height: 1.4; white-space: pre-wrap;
  overflow-wrap: anywhere; }
code { font: 12px/1.5 'DejaVu Sans Mono', monospace; color: #c01343; background: #f6f6f6; border: 1px solid #ddd;
  border-radius: 3px; padding: 1px 3px; }
pre { font: 12px/1.5 'DejaVu Sans Mono', monospace; background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px;
  padding: 8px; margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 8px; }
.button { border: 1px solid #bbb; border-radius: 4px; padding: 4px 12px; font-weight: 700; font-size: 13px; }
.primary { background: #007a5a; border-color: #007a5a; color: #fff; } .danger { color: #e01e5a; border-color: #e01e5a; }
"""
_SPANS = re.compile(r"```(.*?)```\n?|`([^`\n]+)`|\*([^*\n]+)\*", re.DOTALL)


def page(messages: Iterable[Message], width: int) -> str:
    """The messages below each other, so many pixels wide; the title tells whoever takes a picture how high they are."""
    shown = "".join(map(_message, messages))
    measure = "<script>document.title = Math.ceil(document.querySelector('main').offsetHeight)</script>"
    main = f"<main style='width: {width}px'>{shown}</main>"
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{main}{measure}"


def _message(message: Message) -> str:
    blocks = "".join(map(block, message.blocks))
    head = "<span class=name>auditwatch</span><span class=app>APP</span><span class=time>12:41</span>"
    return f"<div class=message><div class=avatar>◉</div><div class=body>{head}{blocks}</div></div>"


def block(one: dict[str, Any]) -> str:
    """One block as HTML.

    Raises:
        KeyError: a kind of block we do not send.
    """
    kind = one["type"]
    if kind == "actions":
        return f"<div class=actions>{''.join(map(_element, one['elements']))}</div>"
    parts = one["elements"] if kind == "context" else [one["text"]]
    classes = {"header": "header", "section": "section", "context": "context"}
    return "".join(f"<div class={classes[kind]}>{text(part)}</div>" for part in parts)


def text(part: dict[str, Any]) -> str:
    """A text object as HTML: Slack knows &amp; &lt; &gt; and, in mrkdwn, code and bold."""
    if part["type"] == "plain_text":
        return _literal(part["text"])
    shown, end = [], 0
    for found in _SPANS.finditer(part["text"]):
        box, span, bold = found.groups()
        shown.append(_literal(part["text"][end : found.start()]))
        shown.append(
            f"<pre>{_literal(box)}</pre>"
            if box
            else f"<code>{_literal(span)}</code>"
            if span
            else f"<b>{_literal(bold)}</b>"
        )
        end = found.end()
    return "".join([*shown, _literal(part["text"][end:])])


def _literal(told: str) -> str:
    return escape(unescape(told))


def _element(one: dict[str, Any]) -> str:
    if one["type"] == "overflow":
        return "<span class=button>⋯</span>"
    return f"<span class='button {one.get('style', '')}'>{text(one['text'])}</span>"
