from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from alerting import clicks as module
from alerting.clicks import Clicks, Slack
from alerting.interaction import Answer, Click, Malformed
from alerting.notifier import Permanent, Retry
from alerting.store import StoreUnavailable
from tests.alerting.clicking import BOB, payload
from tests.alerting.conftest import NOON
from tests.alerting.slack_server import TEAM


@dataclass
class Desk:
    """Handlers that note what they get, and a Slack that notes what it is told to whisper."""

    answer: Answer | Exception = field(default_factory=Answer)
    team: str = TEAM
    got: list[Click] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    trouble: Exception | None = None

    async def handle(self, click: Click) -> Answer:
        self.got.append(click)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def evidence(self, click: Click) -> Answer:
        return Answer("evidence")

    async def ours(self) -> str:
        return self.team

    async def whisper(self, click: Click, text: str) -> None:
        if self.trouble:
            raise self.trouble
        self.told.append((click.user, text))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clicks(desk: Desk) -> Clicks:
    table = {"case": desk.handle, "case.evidence": desk.evidence}
    return Clicks(table, lambda user: {BOB: "bob"}.get(user, ""), Slack(desk.ours, desk.whisper), lambda: NOON)


async def test_the_click_comes_with_the_person_and_an_answer_goes_to_him_alone(desk: Desk, clicks: Clicks) -> None:
    desk.answer = Answer("Already done")
    clicks.accept(payload())
    assert desk.got == [], "the work begins after the acknowledgement"
    await clicks.finish()
    (click,) = desk.got
    assert (click.action, click.user, click.person, click.at) == ("case.ack", BOB, "bob", NOON)
    assert desk.told == [(BOB, "Already done")]


async def test_what_is_seen_in_the_message_is_not_said_again(desk: Desk, clicks: Clicks) -> None:
    clicks.accept(payload())
    await clicks.finish()
    assert desk.told == []


@pytest.mark.parametrize(
    ("action", "said"), [("case.evidence", "evidence"), ("nothing.known", "another version"), ("", "another version")]
)
async def test_the_whole_id_goes_before_its_first_word(desk: Desk, clicks: Clicks, action: str, said: str) -> None:
    clicks.accept(payload(action))
    await clicks.finish()
    assert said in desk.told[0][1]
    assert desk.got == []


async def test_the_same_interaction_counts_once(desk: Desk, clicks: Clicks) -> None:
    for _ in range(3):
        clicks.accept(payload(trigger="7.7.x"))
    clicks.accept(payload(trigger="8.8.x"))
    await clicks.finish()
    assert [click.id for click in desk.got] == ["7.7.x", "8.8.x"]


async def test_what_is_remembered_is_bounded(desk: Desk, clicks: Clicks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in (1, 2, 3, 4, 4, 1):
        clicks.accept(payload(trigger=str(number)))
    await clicks.finish()
    assert [click.id for click in desk.got] == ["1", "2", "3", "4", "1"]
    assert len(clicks._seen) == 3


async def test_somebody_of_another_workspace_is_turned_away(desk: Desk, clicks: Clicks) -> None:
    clicks.accept(payload(user="U0EVIL") | {"user": {"id": "U0EVIL", "team_id": "T0EVIL"}})
    await clicks.finish()
    assert (desk.got, desk.told) == ([], [("U0EVIL", "Only members of this workspace can do that.")])


@pytest.mark.parametrize("problem", [StoreUnavailable("no Redis"), Retry("429")])
async def test_what_is_away_is_said_to_come_back(desk: Desk, clicks: Clicks, problem: Exception) -> None:
    desk.answer = problem
    clicks.accept(payload())
    await clicks.finish()
    assert "try again" in desk.told[0][1]


async def test_a_fault_of_ours_is_logged_and_told(desk: Desk, clicks: Clicks, caplog: pytest.LogCaptureFixture) -> None:
    desk.answer = KeyError("oops")
    clicks.accept(payload())
    await clicks.finish()
    assert "the dispatcher's log says why" in desk.told[0][1]
    assert "KeyError" in caplog.text
    desk.answer = Answer()
    clicks.accept(payload(trigger="next"))
    await clicks.finish()
    assert len(desk.got) == 2


@pytest.mark.parametrize("trouble", [Retry("429"), Permanent("user_not_in_channel"), KeyError("oops")])
async def test_an_answer_that_cannot_be_told_is_logged(
    desk: Desk, clicks: Clicks, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk.answer, desk.trouble = Answer("no"), trouble
    clicks.accept(payload())
    await clicks.finish()
    assert len(desk.got) == 1
    assert f"{BOB} cannot be told 'no'" in caplog.text


async def test_what_cannot_be_read_is_refused_at_once(desk: Desk, clicks: Clicks) -> None:
    with pytest.raises(Malformed):
        clicks.accept({"type": "block_actions"})
    await clicks.finish()
    assert desk.got == []


async def test_a_flood_does_not_pile_up(
    desk: Desk, clicks: Clicks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 5)
    for number in range(50):
        clicks.accept(payload(trigger=f"t{number}"))
    await clicks.finish()
    assert len(desk.got) == 5
    assert "left out" in caplog.text


async def test_what_hangs_does_not_keep_the_process_from_ending(
    desk: Desk, clicks: Clicks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FINISH_SECONDS", 0.05)
    forever = asyncio.Event()

    async def hang(click: Click) -> Answer:
        await forever.wait()
        return Answer()

    monkeypatch.setattr(desk, "handle", hang)
    clicks.handlers = {"case": hang}
    clicks.accept(payload())
    await asyncio.wait_for(clicks.finish(), 1)
    assert "case.ack on alert" in caplog.text
    assert "is not done to its end" in caplog.text
