from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import parse_rfc3339
from audit.sources.fields import (
    LONGEST_TEXT,
    UNTIMED,
    Unreadable,
    address,
    country_code,
    endpoint,
    first,
    instant,
    mapping,
    milliseconds,
    record_id,
    sequence,
    text,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(anything)
def test_whatever_comes_the_right_type_or_nothing_goes(value: Any) -> None:
    assert isinstance(text(value), str | None)
    assert text(value) != ""
    assert isinstance(mapping(value), dict)
    assert isinstance(sequence(value), list)
    assert isinstance(address(value), str | None)
    assert isinstance(endpoint(value), str | None)
    assert isinstance(country_code(value), str | None)
    first(value)
    for reads in (instant, milliseconds):
        with suppress(Unreadable):
            assert reads(value) >= UNTIMED


def test_text_is_bounded() -> None:
    assert text("x" * 10_000) == "x" * LONGEST_TEXT
    assert text(111122223333) == "111122223333"
    assert text(True) is None


@given(st.ip_addresses())
def test_addresses_are_kept(value: Any) -> None:
    kept = address(str(value))
    if getattr(value, "scope_id", None) is None:
        assert kept is not None
        assert ip_address(kept) == (getattr(value, "ipv4_mapped", None) or value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%<script>", None),
        ("00.000.000.00", None),
        ("ec2.amazonaws.com", None),
        ("AWS Internal", None),
        ("203.0.113.9:443", None),
        ("1" * 1000, None),
        (3232235777, None),
    ],
)
def test_an_address_or_nothing(written: Any, kept: str | None) -> None:
    assert address(written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:443", "203.0.113.9"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
        ("mail.example:443", None),
        ("XX:2001:db8::1", None),
        ("[fe80::1%x]:1", None),
        (":", None),
        ("[", None),
        ("203.0.113.9:" + "1" * 1000, None),
        (None, None),
    ],
)
def test_endpoints(written: Any, kept: str | None) -> None:
    assert endpoint(written) == kept


@pytest.mark.parametrize(
    "written", ["", "...", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59", 5, [], "1969-12-31T23:59:59Z"]
)
def test_times_nobody_can_read(written: Any) -> None:
    with pytest.raises(Unreadable, match="time"):
        instant(written)


def test_times() -> None:
    assert instant("2026-03-02T08:15:30Z") == milliseconds(1772439330000) == parse_rfc3339("2026-03-02T08:15:30Z")
    assert instant("2026-03-02T10:15:30.5+02:00") == milliseconds(1772439330500)
    assert instant(None) == milliseconds(None) == UNTIMED


def test_ids() -> None:
    assert record_id("abc", b"{}") == "abc"
    for missing in (None, "", 5, {}, "x" * 5000):
        assert record_id(missing, b"{}") == "sha256:44136fa355b3678a1146ad16f7e8649e"
