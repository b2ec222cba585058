"""The previewer tells the truth about what Slack would show, as far as we know it."""

from __future__ import annotations

import pytest

from alerting.slack_text import literal, markup
from tests.alerting import samples
from tests.alerting.blockkit import block, page, text


def test_plain_text_is_shown_as_it_is_written() -> None:
    assert text(literal("a *b* `c` &amp; &lt;x&gt;")) == "a *b* `c` &amp; &lt;x&gt;"


def test_markup_is_bold_and_code_and_nothing_within_code() -> None:
    assert text(markup("*Who* `a*b*`\n```x\n  y```\nend")) == "<b>Who</b> <code>a*b*</code>\n<pre>x\n  y</pre>end"


def test_nothing_of_an_alert_is_html() -> None:
    assert "<script>alert" not in text(literal("<script>alert(1)</script>"))
    assert text(markup("`<img onerror=x>`")) == "<code>&lt;img onerror=x&gt;</code>"


def test_every_block_of_every_sample_can_be_shown() -> None:
    for shown in samples.messages().values():
        assert "class=message" in page(shown, 390)
    with pytest.raises(KeyError):
        block({"type": "video", "text": literal("x")})
