from __future__ import annotations

from aiokafka import TopicPartition

from streams.clock import Reading
from streams.kafka import EVENTS, FINDINGS, RAW
from streams.passage import Passage

E0, E1, F0, R0 = (TopicPartition(topic, at) for topic, at in ((EVENTS, 0), (EVENTS, 1), (FINDINGS, 0), (RAW + "x", 0)))
FIRST, SECOND, THIRD = Reading({"okta": 1}), Reading({"okta": 2}), Reading({"okta": 3})


def test_a_reading_passes_once_all_stages_came_to_where_the_logs_ended() -> None:
    passage = Passage()
    assert passage.look(FIRST, {E0: 7, F0: 5, R0: 99}, {E0: 4, F0: 5, R0: 0}) is None
    assert passage.look(SECOND, {E0: 8, F0: 5, R0: 200}, {E0: 8, F0: 5, R0: 98}) is None
    assert passage.look(SECOND, {E0: 10, F0: 5, R0: 200}, {E0: 9, F0: 5, R0: 99}) is None
    assert passage.look(SECOND, {E0: 90, F0: 6, R0: 200}, {E0: 9, F0: 6, R0: 99}) is None
    assert passage.look(SECOND, {E0: 90, F0: 9, R0: 200}, {E0: 10, F0: 6, R0: 99}) is None
    assert passage.look(SECOND, {E0: 90, F0: 50, R0: 200}, {E0: 10, F0: 8, R0: 99}) is None
    assert passage.look(SECOND, {E0: 90, F0: 50, R0: 200}, {E0: 10, F0: 9, R0: 99}) is FIRST


def test_it_passes_under_load_and_goes_on_with_the_next() -> None:
    passage = Passage()
    passed = []
    for at in range(30):
        ends = {E0: 100 * at + 50, F0: 100 * at + 50, R0: 100 * at + 50}
        passed.append(passage.look(Reading({"okta": at}), ends, {E0: 100 * at, F0: 100 * at, R0: 100 * at}))
    found = [one.latest for one in passed if one]
    assert len(found) >= 6
    assert found == sorted(found)


def test_a_partition_on_hold_is_waited_for() -> None:
    passage = Passage()
    passage.look(FIRST, {E0: 1, F0: 0}, {E0: 1, F0: 0})
    assert passage.look(SECOND, {E0: 1, F0: 0}, {E0: None, F0: 0}) is None
    assert passage.look(SECOND, {E0: 1, F0: 3}, {E0: 1, F0: 0}) is None
    assert passage.look(SECOND, {E0: 1, F0: 3}, {E0: 1, F0: None}) is None
    assert passage.look(SECOND, {E0: 1, F0: 3}, {E0: 1, F0: 3}) is FIRST


def test_it_begins_again_when_partitions_come_or_go() -> None:
    passage = Passage()
    passage.look(FIRST, {E0: 1, F0: 0}, {E0: 1, F0: 0})
    assert passage.look(SECOND, {E0: 1, E1: 7, F0: 0}, {E0: 1, E1: 0, F0: 0}) is None
    assert passage.look(THIRD, {E0: 1, E1: 7, F0: 0}, {E0: 1, E1: 7, F0: 0}) is None
    assert passage.look(THIRD, {E0: 1, E1: 7, F0: 0}, {E0: 1, E1: 7, F0: 0}) is None
    assert passage.look(THIRD, {E0: 1, E1: 7, F0: 0}, {E0: 1, E1: 7, F0: 0}) is SECOND
    passage.look(FIRST, {E0: 1, F0: 0}, {E0: 1, F0: 0})
    passage.look(FIRST, {E0: 1, F0: 0}, {E0: 1, F0: 0})
    passage.look(FIRST, {E0: 1, F0: 0}, {E0: 1, F0: 0})
    assert passage.look(SECOND, {E0: 1}, {E0: 1}) is None
    assert passage.look(THIRD, {E0: 1}, {E0: 1}) is None


def test_without_partitions_time_passes_and_nobody_is_told() -> None:
    passage = Passage()
    assert passage.look(FIRST, {}, {}) is None
