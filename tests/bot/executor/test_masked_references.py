"""What a service calls its session token is masked wherever it stands, but not in what entries are found by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_world import APPROVER, simple, state, step

from bot.api.actions import RunProgram
from bot.api.plan import Check, CompareToBefore, Gate, GateOutcome, OpenQuestion, Step
from bot.ledger.entries import MODELS, REFERENCES, Approved, Clicked, StepConfirmed, restore_references
from bot.redaction import SESSION_TOKENS

LOCK = "cluster:frankfurt-prod-01"
KEY = "stop-there-app-frankfurt-01"
SERVICE = "https://backup.corp.example/api"


@pytest.fixture(autouse=True)
def no_tokens():
    yield
    SESSION_TOKENS.clear()


async def test_a_token_that_is_the_name_of_a_lock_lets_no_second_change_under_it(bench, world):
    """The entry that took the lock said "[masked]": once the token was gone, another change of the cluster began beside it."""
    bench.plans["reset"] = lambda on, _facts: replace(simple(on, step("pause", on, paused="yes")), locks=(LOCK,))
    first, second = await bench.approved(), await bench.approved("/reset hv04")
    SESSION_TOKENS.add(SERVICE, LOCK)
    assert SESSION_TOKENS.redact(LOCK) != LOCK
    seen = []
    world.hooks[1] = lambda: (SESSION_TOKENS.clear(), seen.append((bench.ledger.locks(), bench.last(second).kind)))
    await bench.runs(1)
    assert seen == [({LOCK: first}, "approved")]
    await bench.runs(2)
    assert [bench.last(one).kind for one in (first, second)] == ["done", "done"]
    assert bench.ledger.verify().holds


def restart(on, _facts):
    new = Check(state(on), (CompareToBefore(KEY, ("instance",), same=False),), within=120)
    act = Step(KEY, f"Restart a service on {on}", RunProgram(on, "restart"), (new,), before=state(on), deadline=30)
    return simple(on, act, step("resume", on, paused="no"))


@pytest.mark.parametrize("when", ["before the intent", "during the act"])
async def test_a_token_that_is_the_key_of_a_step_keeps_its_outcome_in_the_ledger(bench, world, when):
    bench.plans["reset"] = restart
    ticket = await bench.approved()

    def give_out():
        SESSION_TOKENS.add(SERVICE, KEY)

    if when == "during the act":
        world.hooks[1] = give_out
    else:
        give_out()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    told = [
        (entry.kind, entry.data.step) for entry in bench.ledger.story(ticket) if entry.kind in ("intent", "outcome")
    ]
    assert told == [("intent", KEY), ("outcome", KEY), ("intent", "resume"), ("outcome", "resume")]
    assert bench.ledger.verify().holds


async def test_a_token_that_is_a_question_of_a_plan_keeps_nobody_from_answering_it(bench):
    room = "free space of crm-frankfurt-0003"
    gate = Gate("Every guest has room", GateOutcome.NOT_KNOWN, "asked", unknowns=(OpenQuestion(room, "timed out"),))
    bench.plans["reset"] = lambda on, _facts: replace(simple(on, step("pause", on, paused="yes")), gates=(gate,))
    ticket = (await bench.propose()).ticket
    SESSION_TOKENS.add(SERVICE, room)
    bench.decisions.approve(bench.press(APPROVER, ticket), ("I looked, and 40 GB are free",))
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    (approved,) = [entry.data for entry in bench.ledger.story(ticket) if entry.kind == "approved"]
    assert [(one.what, one.answer) for one in approved.answers] == [(room, "I looked, and 40 GB are free")]


@pytest.mark.parametrize("model", sorted(MODELS.values(), key=lambda one: one.kind), ids=lambda one: one.kind)
def test_whatever_a_mask_hides_entries_are_found_by_what_they_were_given(model):
    given = {name: ["x1", "x2"] if name in ("locks", "places") else f"x-{name}" for name in model.model_fields}
    if "answers" in given and model is not Clicked:
        given["answers"] = [{"what": "x-what", "answer": "x-answer"}]
    told = restore_references(given, hidden(given))
    assert {name: told[name] for name in REFERENCES & given.keys()} == {
        name: given[name] for name in REFERENCES & given.keys()
    }
    assert told["answers"] == [{"what": "x-what", "answer": "[masked]"}] if model in (Approved, StepConfirmed) else True
    assert all(told[name] == hidden(given[name]) for name in given.keys() - REFERENCES - {"answers"})


def hidden(data):
    """Everything masked."""
    if isinstance(data, dict):
        return {name: hidden(value) for name, value in data.items()}
    return [hidden(one) for one in data] if isinstance(data, list) else "[masked]"
