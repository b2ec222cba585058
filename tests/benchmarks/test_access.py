from __future__ import annotations

import random

from benchmarks import access as benchmark
from rules.access import Access


def test_the_organisation_is_as_large_as_it_says_and_asks_for_all_kinds_of_things() -> None:
    rng = random.Random(7)
    context = benchmark.organisation(rng)
    declared = context.declared
    assert (len(declared.users), len(declared.roles), len(declared.temporary_grants)) == (1_000, 50, 1_000)
    assert {len(role.actions) for role in declared.roles} == {200}
    globs = sum("*" in action for role in declared.roles for action in role.actions)
    assert 0.25 < globs / 10_000 < 0.4
    asked = benchmark.questions(context, 2_000, rng)
    access = Access(context)
    kinds = []
    for who, what, event in asked:
        table = access.table(who)
        assert table is not None
        kinds.append(access.judge(table, what, event, {}).kind)
    assert set(kinds) == {"permitted", "undeclared", "expired"}
    assert kinds.count("permitted") / len(kinds) > 0.9
    assert benchmark.decisions(access, asked) > 10_000
