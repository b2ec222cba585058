import msgspec
import pytest

from audit.context_schema import DAY, ROWS, SECTIONS, Declared, End, Leave, Moment, decode_moment
from audit.event import parse_rfc3339


def test_a_date_is_its_first_microsecond_and_as_an_end_its_last():
    start = parse_rfc3339("2026-03-06T00:00:00Z")
    assert decode_moment(Moment, "2026-03-06") == start
    assert decode_moment(End, "2026-03-06") == start + DAY - 1
    assert decode_moment(End, "2026-03-06T09:00:00+01:00") == parse_rfc3339("2026-03-06T08:00:00Z")
    assert decode_moment(Moment, "1969-12-31") == -DAY


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-02-30", "", "1700000000", "2026-03-06T25:00:00Z", []]
)
def test_what_is_no_time_is_refused_with_advice(text):
    with pytest.raises(ValueError, match="write 2026-03-31"):
        decode_moment(Moment, text)


def test_other_types_are_left_to_msgspec():
    with pytest.raises(NotImplementedError):
        decode_moment(bytes, "x")


def test_leave_until_friday_includes_friday():
    leave = msgspec.convert({"start": "2026-03-02", "end": "2026-03-06"}, Leave, dec_hook=decode_moment)
    assert leave.start <= parse_rfc3339("2026-03-06T23:59:59Z") <= leave.end


def test_every_section_of_the_file_has_its_place():
    assert set(SECTIONS) | {"geo_databases"} == set(Declared.__struct_fields__)
    assert all(kind.__struct_config__.forbid_unknown_fields and kind.__struct_config__.frozen for kind in ROWS.values())
