"""Before, after and done are what was measured; what no check can show is a person's statement."""

import threading
from dataclasses import replace

import pytest
from scripted_world import APPROVER, OPERATOR, by_hand, is_now, set_to, simple, state, step

from bot.api.command import Risk
from bot.api.plan import Check, CompareToBefore, Expect, Group, Plan, Step
from bot.audit.ticket_history import story_of
from bot.dispatch.pipeline import Request
from bot.errors import LedgerError
from bot.executor import measuring, polling
from bot.tickets.plan_digest import digest, plan_from_json, plan_to_json


def outcome(bench, ticket):
    return bench.ledger.entries(ticket=ticket, kind="outcome")[0].data


def intent(bench, ticket):
    return bench.ledger.entries(ticket=ticket, kind="intent")[-1].data


def person_presses_done(bench, world, ticket, then):
    """Somebody changes what is looked at, or does not, and says that it is done."""
    pressed = []

    async def sleep(seconds):
        await bench.clock.sleep(seconds)
        if not pressed:
            pressed.append(seconds)
            then(world)
            bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleep)


@pytest.mark.parametrize(
    ("before", "then", "held", "basis", "says"),
    [
        ("yes", "yes", "yes", "statement", "not verified: the check was already met before the step"),
        ("", "yes", "no", "changed", "the check was not met before and is met now"),
    ],
)
async def test_done_by_hand_is_a_statement_where_the_check_held_before(bench, world, before, then, held, basis, says):  # noqa: PLR0917
    world.hosts["hv03"]["seen"] = before
    bench.plans["reset"] = lambda on, _facts: simple(on, by_hand(on))
    ticket = await bench.approved()
    person_presses_done(bench, world, ticket, lambda world: world.hosts["hv03"].update(seen=then))
    await bench.runs()
    assert intent(bench, ticket).held_before == held
    assert outcome(bench, ticket).basis == basis
    assert outcome(bench, ticket).message == f"confirmed by person 1; {says}"
    word = "; confirmed but not verified: step 1" if basis == "statement" else ""
    assert bench.last(ticket).message == f"the step is done{word}"
    told = "\n".join(f"{line.says} {line.lines}" for line in story_of(bench.ledger.story(ticket)))
    assert ("confirmed, not verified" in told) == (basis == "statement")
    assert "seen yes" in told


async def test_what_nobody_could_ask_before_is_a_statement_too(bench, world):
    bench.plans["reset"] = lambda on, _facts: simple(on, replace(by_hand(on), done=(is_now("hv04", seen="yes"),)))
    world.silent = {"hv04"}
    world.hosts["hv04"]["seen"] = "yes"
    ticket = await bench.approved()
    person_presses_done(bench, world, ticket, lambda world: world.silent.clear())
    await bench.runs()
    assert intent(bench, ticket).held_before == "not known"
    assert outcome(bench, ticket).basis == "statement"
    assert "it is not known whether the check was met before" in outcome(bench, ticket).message


async def test_an_act_whose_check_held_before_was_already_so(bench, world):
    world.hosts["hv03"]["a"] = "1"
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"), step("b", on, b="2"))
    ticket = await bench.approved()
    await bench.runs()
    first, second = (entry.data for entry in reversed(bench.ledger.entries(ticket=ticket, kind="outcome")))
    assert (first.basis, second.basis) == ("already so", "changed")
    assert "the check was already met before the action" in first.message
    assert second.message == ""
    assert bench.last(ticket).message == "all 2 steps are done; already done before: step 1"


async def test_what_has_to_be_new_cannot_have_been_so_before(bench, world):
    new = Check(state("hv03"), (CompareToBefore("it", ("instance",), same=False),), within=60)
    kept = Check(state("hv03"), (CompareToBefore("it", ("name",)),), within=60)
    bench.plans["reset"] = lambda on, _facts: simple(
        on, Step("it", "It", set_to(on, instance="2"), (new, kept), before=state(on))
    )
    ticket = await bench.approved()
    await bench.runs()
    assert intent(bench, ticket).held_before == "no"
    assert outcome(bench, ticket).basis == "changed"


async def test_a_step_that_only_waits_rests_on_nothing_else(bench):
    bench.plans["reset"] = lambda on, _facts: simple(on, Step("w", "Wait", None, (is_now(on, locked="no"),)))
    ticket = await bench.approved()
    await bench.runs()
    assert "held_before" not in bench.ledger.entries(ticket=ticket, kind="intent")[0].fields
    assert outcome(bench, ticket).basis == ""
    assert outcome(bench, ticket).measured == ("name hv03: locked no",)


async def test_before_is_what_the_look_before_the_start_saw(bench, world):
    bench.plans["reset"] = lambda on, facts: simple(
        on, step("a", on, a="1"), current_state=f"count {facts.get('count', '1')}", expected_state="all is well"
    )
    ticket = await bench.approved()
    world.hosts["hv03"]["count"] = "2"
    await bench.runs()
    (started,) = bench.ledger.entries(ticket=ticket, kind="started")
    assert started.data.measured == "count 2"
    told = str(story_of(bench.ledger.story(ticket)))
    assert "('Before', 'count 2')" in told
    assert "all is well" not in told


async def test_after_is_read_once_more_and_never_what_the_plan_expects(bench, world):
    """What an earlier step saw is over: the second step has undone it."""
    first, last = step("a", "hv03", a="1"), step("b", "hv03", b="2")
    bench.plans["reset"] = lambda on, _facts: simple(
        on, first, last, expected_state="a is 1", afterwards=(*first.done, is_now("br01", broken="yes"))
    )
    world.hooks[2] = lambda: (world.hosts["hv03"].update(a="0"), world.silent.add("br01"))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.measured == (
        "not as expected (a is 0, not 1)",
        "not measured (br01: no answer in 20 s)",
        "name hv03: b 2",
    )


async def test_what_the_last_step_saw_in_another_life_is_read_anew(bench, world, monkeypatch):
    bench.plans["reset"] = lambda on, _facts: simple(on, step("a", on, a="1"))
    ticket = await bench.approved()
    write = bench.ledger.append_together

    def dies(*drafts, **how):
        if drafts[0].data.kind == "done":
            raise LedgerError("no space")
        return write(*drafts, **how)

    monkeypatch.setattr(bench.ledger, "append_together", dies)
    await bench.runs()
    assert bench.last(ticket).kind == "outcome"
    await bench.dies()
    monkeypatch.setattr(bench.ledger, "append_together", write)
    world.hosts["hv03"]["a"] = "3"
    await bench.runs()
    assert bench.last(ticket).data.measured == ("not as expected (a is 3, not 1)",)


async def test_an_undo_says_what_is_back_and_what_is_not(bench, world):
    world.hosts["hv03"]["a"] = "0"
    first = Step(
        "a", "Set a", set_to("hv03", a="1"), (is_now("hv03", 60, a="1"),), before=state("hv03"),
        undo=set_to("hv03", a="0", instance="7"), undone=(is_now("hv03", 60, a="0"),),
    )  # fmt: skip
    bench.plans["reset"] = lambda on, _facts: simple(on, first)
    ticket = await bench.approved()
    await bench.runs()
    undo = (await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C0OPS"), ticket)).ticket
    bench.decisions.approve(bench.press(APPROVER, undo))
    await bench.runs()
    (compared, last) = bench.last(undo).data.measured
    assert "changed: instance was 1, is 7" in compared
    assert "a 0" in compared.partition("not as before")[0]
    assert last == "name hv03: a 0"


async def test_a_group_that_is_taken_back_says_what_is_back(bench, world):
    world.hosts["hv03"]["a"] = "0"
    first = Step(
        "a", "Set a", set_to("hv03", a="1"), (is_now("hv03", 60, a="1"),), before=state("hv03"),
        undo=set_to("hv03", a="0"), undone=(is_now("hv03", 60, a="0"),),
    )  # fmt: skip
    never = Step("b", "Never", None, (is_now("hv03", b="1", give_up=Expect()),))
    bench.plans["reset"] = lambda on, _facts: Plan(
        "why", "none", "none", (f"node:{on}",), (), (Group("all", (first, never), on_failure="undo"),)
    )
    ticket = await bench.approved()
    await bench.runs()
    failed = bench.last(ticket).data
    assert failed.rolled_back
    assert failed.measured[0].startswith("same as recorded before “Set a” (unchanged: name hv03")


def boom(_told):
    raise KeyError("State")


def refuses(_told):
    raise ValueError("State")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            lambda told: [f"{told.target}: {told.answers[0].value[0]['a']}, was {told.before['a'][0]['a']}"],
            "hv03: 1, was 0",
        ),
        (refuses, "name hv03: a 1"),
        (boom, "name hv03: a 1"),
        (None, "name hv03: a 1"),
    ],
)
async def test_a_command_puts_what_was_read_in_words_and_cannot_hold_up_the_end(bench, world, words, says):
    world.hosts["hv03"]["a"] = "0"
    first = replace(step("a", "hv03", a="1"), before=state("hv03"))
    bench.plans["reset"] = lambda on, _facts: simple(on, first, step("b", on, b="2"), afterwards=first.done)
    commands = bench.planner._registry.commands
    commands["reset"] = replace(commands["reset"], spec=replace(commands["reset"].spec, describe_after=words))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).data.measured == (says, "name hv03: b 2")


def test_what_only_tells_is_not_signed():
    told = simple("hv03", step("a", "hv03", a="1"))
    with_it = replace(told, afterwards=(is_now("hv03", a="1"),), current_state="a", expected_state="b")
    assert digest(told, Risk.HIGH, "1") == digest(with_it, Risk.HIGH, "1")
    assert plan_from_json(plan_to_json(with_it)) == with_it


async def test_what_a_host_tells_at_the_end_and_before_an_act_is_read_beside_the_loop(bench, world, monkeypatch):
    """It may be as many rows as an answer takes: words for them, or what they weigh, would hold up everybody."""
    first = replace(step("a", "hv03", a="1"), before=state("hv03"))
    bench.plans["reset"] = lambda on, _facts: simple(on, first, step("b", on, b="2"), afterwards=first.done)
    on_the_loop, rows = [], world.rows
    world.rows = lambda on: (*rows(on), *({"name": f"junk-{number}"} for number in range(1_001)))

    def noting(name, real):
        def reads(*given):
            on_the_loop.append((name, threading.current_thread() is threading.main_thread()))
            return real(*given)

        return reads

    for module, name in ((measuring, "_worded"), (polling, "weigh")):
        monkeypatch.setattr(module, name, noting(name, getattr(module, name)))
    ticket = await bench.approved()
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    assert set(on_the_loop) == {("_worded", False), ("weigh", False)}
