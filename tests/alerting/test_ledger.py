"""Records: one JSON line, its MAC last, made with a key that shows nowhere; the same decision has the same id."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.ledger import (
    GENESIS,
    LONGEST,
    MOST_DETAILS,
    NO_KEY,
    NO_LEDGER,
    Decision,
    Key,
    chain,
    keys_of,
    opened,
    read_record,
    sealed,
    short,
)
from tests.alerting.conftest import NOON

SECRET = "0123456789abcdef0123456789abcdef"
KEY = keys_of(SECRET)[0]


def a_decision(number: int = 1, **changes: object) -> Decision:
    values: dict[str, object] = {"kind": "sent", "subject": f"alert{number}", "at": NOON + number, "by": "dispatcher"}
    return Decision(**values | {"details": {"revision": "1"}} | changes)  # type: ignore[arg-type]


class TestLines:
    def test_a_line_is_json_with_everything_in_it(self) -> None:
        (line,), head = chain(GENESIS, [a_decision(by="ada", details={"channel": "#soc", "note": "ok"})], KEY)
        assert json.loads(line) == {
            "seq": 1,
            "at": "2026-01-31T12:00:00.000001Z",
            "kind": "sent",
            "subject": "alert1",
            "by": "ada",
            "details": {"channel": "#soc", "note": "ok"},
            "id": a_decision(by="ada", details={"channel": "#soc", "note": "ok"}).id,
            "key": KEY.name,
            "mac": head.mac,
        }
        assert read_record(line).seq == head.seq == 1

    def test_the_mac_is_hmac_sha256_over_the_mac_before_and_the_body(self) -> None:
        lines, head = chain(GENESIS, [a_decision(1), a_decision(2)], KEY)
        first, second = map(opened, lines)
        expected = hmac.new(SECRET.encode(), first[1].encode() + second[0], hashlib.sha256).hexdigest()
        assert second[1] == expected == head.mac

    def test_another_key_another_mac_and_the_key_is_in_neither(self) -> None:
        lines, _ = chain(GENESIS, [a_decision()], KEY)
        others, _ = chain(GENESIS, [a_decision()], keys_of("f" * 32)[0])
        assert opened(lines[0])[1] != opened(others[0])[1]
        assert SECRET not in lines[0].decode() + repr(KEY)

    def test_going_on_from_a_head_gives_what_one_go_gives(self) -> None:
        decisions = [a_decision(number) for number in range(5)]
        whole, end = chain(GENESIS, decisions, KEY)
        first, middle = chain(GENESIS, decisions[:2], KEY)
        rest, last = chain(middle, decisions[2:], KEY)
        assert (first + rest, last) == (whole, end)

    @given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=40))
    def test_whatever_is_in_it_a_line_is_one_line_and_opens(
        self, subject: str, by: str, details: dict[str, str]
    ) -> None:
        (line,), head = chain(GENESIS, [a_decision(subject=subject, by=by, details=details)], KEY)
        assert b"\n" not in line
        assert len(line) < 20_000 * 4
        body, mac = opened(line)
        assert (sealed(body, mac), mac) == (line, head.mac)
        assert len(read_record(line).details) <= MOST_DETAILS

    def test_long_and_secret_texts_are_cut_and_hidden(self) -> None:
        details = {"long": "x y " * 100_000, "note": "password=hunter2 AKIAIOSFODNN7EXAMPLE"}
        record = read_record(chain(GENESIS, [a_decision(details=details)], KEY)[0][0])
        assert len(record.details["long"]) <= LONGEST
        assert "AKIAIOSFODNN7EXAMPLE" not in record.details["note"]

    @pytest.mark.parametrize("line", [b"", b"{}", b'{"seq":1}', b'{"seq":1,"mac":"short"}', b"x" * 200])
    def test_no_record(self, line: bytes) -> None:
        with pytest.raises(ValueError, match="mac"):
            opened(line)


class TestIdentity:
    def test_once_makes_a_repetition_the_same_decision(self) -> None:
        one, again = a_decision(once="revision 1"), a_decision(once="revision 1", at=NOON + 99, by="another")
        assert one.id == again.id
        assert one.id != a_decision(once="revision 2").id

    @pytest.mark.parametrize(
        "changes", [{"at": 5}, {"by": "eve"}, {"details": {}}, {"kind": "muted"}, {"subject": "other"}]
    )
    def test_without_it_everything_counts(self, changes: dict[str, object]) -> None:
        assert a_decision().id == a_decision().id
        assert a_decision().id != a_decision(**changes).id


class TestKeys:
    def test_several(self) -> None:
        keys = keys_of(f" {SECRET},\n{'b' * 40}  ")
        assert [key.secret for key in keys] == [SECRET.encode(), b"b" * 40]
        assert len({key.name for key in keys}) == 2
        assert all(len(key.name) == 8 for key in keys)

    def test_none(self) -> None:
        assert keys_of(" ") == ()
        assert Key("", b"") == NO_KEY

    def test_a_short_one_is_refused_without_being_shown(self) -> None:
        with pytest.raises(ValueError, match="32 characters") as error:
            keys_of("tooshort")
        assert "tooshort" not in str(error.value)


async def test_no_ledger_takes_everything() -> None:
    await NO_LEDGER.write(a_decision())
    assert vars(NO_LEDGER) == {}, "and keeps nothing of it"


def test_a_few_words_for_a_log_line() -> None:
    assert short([a_decision(1)]) == "sent alert1"
    assert short([a_decision(number) for number in range(5)]) == "sent alert0, sent alert1, sent alert2 and 2 more"
