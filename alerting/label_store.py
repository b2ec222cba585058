"""Labels beside the outbox: one an alert, bounded and expiring; written in the step of the verdict they come from.

In Redis: a hash alert id -> "CASE_VERSION:label" (KEYS[5] of the outbox' scripts) and a sorted set by the time of the
verdict (KEYS[6]), under the hash tag of the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alerting.alert import Alert
from alerting.case import Case
from alerting.label import KEPT, MOST, Label, label_of
from audit.event import MICROSECONDS

PAGE = 1_000

LABEL = """
local function label(id, version, blob, at, forgotten, most, kept)
  local old = redis.call('HGET', KEYS[5], id)
  if old and tonumber(string.match(old, '^%d+')) > tonumber(version) then return end
  if blob == '' then
    if old then redis.call('HDEL', KEYS[5], id) redis.call('ZREM', KEYS[6], id) end
    return
  end
  redis.call('HSET', KEYS[5], id, version .. ':' .. blob)
  redis.call('ZADD', KEYS[6], at, id)
  local gone = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', '(' .. forgotten, 'LIMIT', 0, 100)
  local over = redis.call('ZCARD', KEYS[6]) - tonumber(most)
  if over > 0 then
    for _, one in ipairs(redis.call('ZRANGE', KEYS[6], 0, math.min(over, 100) - 1)) do gone[#gone + 1] = one end
  end
  for _, one in ipairs(gone) do redis.call('HDEL', KEYS[5], one) redis.call('ZREM', KEYS[6], one) end
  redis.call('EXPIRE', KEYS[5], kept)
  redis.call('EXPIRE', KEYS[6], kept)
end
"""
"""Goes before a script that calls it. An older version's word changes nothing; an empty one takes a label back."""


def arguments(alert: Alert, case: Case, most: int = MOST) -> tuple[int | bytes, ...]:
    """What LABEL takes after the alert's id."""
    label = label_of(alert, case)
    if label is None:
        return case.version, b"", 0, 0, most, KEPT
    blob = msgspec.msgpack.encode(label)
    return case.version, blob, label.at, max(0, label.at - KEPT * MICROSECONDS), most, KEPT


def read(stored: Sequence[bytes | None]) -> list[Label]:
    """The labels of these values of the hash; what is gone or of another version of ours is left out."""
    found = []
    for value in stored:
        try:
            found += [_LABELS.decode(value.partition(b":")[2])] if value else []
        except msgspec.DecodeError:
            continue
    return found


class MemoryLabels:
    """The same for the outbox in memory; nothing expires but by number."""

    def __init__(self, most: int = MOST) -> None:
        self._labels: dict[str, Label] = {}
        self._most = most

    def note(self, alert: Alert, case: Case) -> None:
        """Keeps, replaces or takes back the label of an alert, as its case stands."""
        old, label = self._labels.get(alert.id), label_of(alert, case)
        if old and old.case_version > case.version:
            return
        self._labels.pop(alert.id, None)
        if label:
            self._labels[alert.id] = label
        for _ in range(len(self._labels) - self._most):
            del self._labels[min(self._labels, key=lambda name: self._labels[name].at)]

    def since(self, time: int) -> list[Label]:
        """Those whose verdict is not older, oldest first."""
        return sorted((one for one in self._labels.values() if one.at >= time), key=lambda one: (one.at, one.alert_id))


_LABELS = msgspec.msgpack.Decoder(Label)
