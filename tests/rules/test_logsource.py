from __future__ import annotations

from rules.logsource import LogSource, log_source_of


def test_a_log_source_covers_what_has_its_parts() -> None:
    aws, trail = LogSource("aws"), LogSource("aws", "cloudtrail")
    assert aws.covers(trail)
    assert trail.covers(trail)
    assert not trail.covers(aws)
    assert not LogSource("okta").covers(trail)
    assert LogSource().covers(trail)
    assert LogSource(category="authentication").covers(LogSource("linux", "", "authentication"))


def test_it_counts_and_says_what_it_names() -> None:
    assert LogSource("aws", "cloudtrail").named == 2
    assert str(LogSource("aws", "cloudtrail")) == "product: aws, service: cloudtrail"
    assert str(LogSource()) == "no log source"


def test_it_is_read_in_lower_case_from_whatever_is_there() -> None:
    assert log_source_of({"product": "AWS", "service": "CloudTrail"}) == LogSource("aws", "cloudtrail")
    assert log_source_of({"category": "x", "product": 7, "definition": "y"}) == LogSource("", "", "x")
    assert log_source_of(None) == log_source_of(["aws"]) == LogSource()
