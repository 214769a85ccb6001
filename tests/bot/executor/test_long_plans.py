"""A host makes a plan as long as it likes: it is made, compared and proposed anew beside the loop, which is everybody's."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from scripted_world import reset_plan

from bot.executor import revalidate
from bot.tickets import planner


@pytest.fixture
def on_the_loop(monkeypatch):
    """The names of the functions that ran on the loop's own thread."""
    loop, found, called = threading.get_ident(), set(), set()

    def watch(module, name):
        real = getattr(module, name)

        def noting(*told, **named):
            called.add(name)
            if threading.get_ident() == loop:
                found.add(name)
            return real(*told, **named)

        monkeypatch.setattr(module, name, noting)

    watch(planner, "build_undo")
    for name in ("difference", "digest_as_approved", "draft_proposal"):
        watch(revalidate, name)
    yield found
    assert called == {"build_undo", "difference", "digest_as_approved", "draft_proposal"}


async def test_a_plan_is_made_compared_and_proposed_anew_beside_the_loop(bench, on_the_loop):
    loop, made = threading.get_ident(), []

    def plan(on, facts, **other):
        made.append(threading.get_ident() == loop)
        return replace(reset_plan(on, facts), **other)

    bench.plans["reset"] = plan
    first = await bench.approved()
    await bench.runs()
    assert bench.last(first).kind == "done"
    again = await bench.approved()
    bench.plans["reset"] = lambda on, facts: plan(on, facts, rollback="none at all")
    await bench.runs()
    assert bench.last(again).kind == "voided"
    await bench.planner.undo(first)
    assert len(made) >= 5
    assert not any(made)
    assert on_the_loop == set()
