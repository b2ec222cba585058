"""Whether people who go round a decision are found: what the authorization model and the check of grants are worth.

    python -m benchmarks.bypasses

plays simulated organisations with `bypasses` through the worker's own processor and prints, of each kind, how many were
played, how many an alert at 10 a day rests on, and what those alerts say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.evaluate import Campaign, Measured, evaluate
from streams.evaluate_labels import Labelled, simulated
from streams.load import rule_folders
from streams.simulate.organisation import simulate

SEEDS, USERS, DAYS, BUDGET = (11, 12, 13), 100, 14, 10.0
KINDS = (
    "contractor_after_end", "expired_grant", "approval_bypass", "shadow_access", "self_grant", "separation_broken",
)  # fmt: skip
MOST_CAUSES = 4


def play(labelled: Labelled) -> Measured:
    """What a team with the budget is told about one organisation, by the library and the model that ship."""
    rules = sigma.load(rule_folders(()))
    return evaluate(labelled, Detections(rules, default_model(), labelled.context), (BUDGET,))[0]


def resolved(labelled: Labelled) -> float:
    """The share of events whose actor is somebody declared."""
    known = [event.actor.id in labelled.context.people.by_id for event in labelled.events()]
    return sum(known) / len(known)


def rows(campaigns: list[Campaign]) -> Iterator[str]:
    """A line a kind."""
    for kind in KINDS:
        played = [each for each in campaigns if each.kind == kind]
        found = [each for each in played if each.delay is not None]
        causes = Counter(cause for each in found for cause in each.causes).most_common(MOST_CAUSES)
        named = "; ".join(f"{cause} ({count})" for cause, count in causes)
        yield f"| {kind} | {len(played)} | {len(found)} | {named} |"


def main() -> None:
    """Prints the figures."""
    organisations = [simulated(simulate(USERS, DAYS, seed, bypasses=True)) for seed in SEEDS]
    measured = [play(each) for each in organisations]
    print(f"{len(SEEDS)} organisations of {USERS} people, {DAYS} days, {BUDGET:g} alerts a day")
    print("| kind | played | found | what the alerts say |\n|---|---|---|---|")
    print("\n".join(rows([each for one in measured for each in one.campaigns])))
    false = sum(not alert.true for one in measured for alert in one.alerts)
    print(f"alerts {sum(len(one.alerts) for one in measured)}, of those false {false}")
    print(f"events of somebody declared: {min(map(resolved, organisations)):.2%} at least")


if __name__ == "__main__":
    main()
