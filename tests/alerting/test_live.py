from __future__ import annotations

from typing import get_args

import msgspec

from alerting.live import Deed, Delivered, Live
from alerting.route import HOUR, Routing


def test_every_deed_is_counted() -> None:
    assert set(get_args(Deed)) == {field.name for field in msgspec.structs.fields(Delivered)}


def test_each_run_has_news_of_its_own_and_nothing_is_routed() -> None:
    one, other = Live(), Live()
    one.news.set()
    assert not other.news.is_set()
    assert (one.routing, one.doubt_after) == (Routing(), HOUR)
    one.told("sent", 3)
