"""One ticket that a newer version wrote, and this one cannot read, stands still; all others go their way."""

from __future__ import annotations

import asyncio

import newer_version
import pytest
from entry_samples import entry_data
from scripted_world import OPERATOR
from structlog.testing import capture_logs

from bot.errors import LedgerError
from bot.executor import scheduler
from bot.ledger.entries import RULES_VERSION

pytestmark = pytest.mark.sqlite  # what a newer version wrote is put into the file


async def overdue_with_a_new_kind(bench, clock):
    sick = (await bench.propose("/reset hv04")).ticket
    newer_version.write(bench.ledger, "novel", {"a": 1}, sick)
    clock.forward(hours=200)
    return sick


async def overdue_with_a_new_field(bench, clock):
    sick = (await bench.propose("/reset hv04")).ticket
    newer_version.add_field(bench.ledger, bench.ledger.story(sick)[0])
    clock.forward(hours=200)
    return sick


async def approved_with_a_new_field(bench, clock):
    sick = await bench.approved("/reset hv04")
    newer_version.add_field(bench.ledger, bench.ledger.story(sick)[0])
    return sick


async def approved_with_another_risk(bench, clock):
    sick = await bench.approved("/reset hv04")
    newer_version.add_field(bench.ledger, bench.ledger.story(sick)[0], "risk", "extreme")
    return sick


async def approved_with_a_plan_without_locks(bench, clock):
    sick = await bench.approved("/reset hv04")
    newer_version.add_field(bench.ledger, bench.ledger.story(sick)[0], "plan", {"novel": 1})
    return sick


async def lapsing_with_a_new_kind(bench, clock):
    sick = await bench.approved("/reset hv04")
    newer_version.write(bench.ledger, "novel", {"a": 1}, sick)
    clock.forward(hours=200)
    return sick


async def running_with_a_new_kind(bench, clock):
    sick = await bench.approved("/reset hv04")
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv04"]}), sick)
    newer_version.write(bench.ledger, "novel", {"a": 1}, sick)
    return sick


async def interrupted_with_locks(bench, clock, *, yields_locks=False):
    sick = await bench.approved("/reset hv04")
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv04"]}), sick)
    bench.ledger.append("bot", entry_data("interrupted", {"yields_locks": yields_locks}), sick)
    newer_version.add_field(bench.ledger, bench.ledger.story(sick)[0])
    return sick


async def interrupted_and_giving_way(bench, clock):
    return await interrupted_with_locks(bench, clock, yields_locks=True)


async def interrupted_and_giving_way_with_an_impossible_move(bench, clock):
    sick = await bench.approved("/reset hv04")
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv04"]}), sick)
    rules = {"rules_version": RULES_VERSION + 1}
    told = {"reason": "because", "yields_locks": True, **rules}
    newer_version.write(bench.ledger, "started", {"attempt": 7, "locks": ["node:hv04"], **rules}, sick)
    newer_version.write(bench.ledger, "interrupted", told, sick)
    return sick


SICK = [
    overdue_with_a_new_kind,
    overdue_with_a_new_field,
    approved_with_a_new_field,
    approved_with_another_risk,
    approved_with_a_plan_without_locks,
    lapsing_with_a_new_kind,
    running_with_a_new_kind,
    interrupted_with_locks,
    interrupted_and_giving_way,
    interrupted_and_giving_way_with_an_impossible_move,
]


@pytest.mark.parametrize("makes", SICK)
async def test_all_others_run_expire_and_lapse(bench, clock, world, makes):
    world.add("hv05", "hv06")
    sick = await makes(bench, clock)
    before = bench.kinds(sick)
    well = await bench.approved()
    with capture_logs() as logs:
        await bench.runs(4)
    assert bench.last(well).kind == "done"
    assert bench.kinds(sick) == before
    assert not [one for one in logs if "nothing runs" in one["event"] or "our bug" in one["event"]]
    if makes is not interrupted_with_locks:  # nobody has to read that one
        told = [one for one in logs if one.get("ticket") == sick and one["log_level"] == "warning"]
        assert [one["event"] for one in told] == ["a ticket cannot be read and stands still"]
    stale, late = (await bench.propose("/reset hv05")).ticket, await bench.approved("/reset hv06")
    clock.forward(hours=200)
    await bench.runs()
    assert bench.last(stale).kind == "expired"
    assert bench.last(late).kind == "lapsed"


async def test_it_is_logged_again_once_in_a_while(bench, clock, monkeypatch):
    sick = await overdue_with_a_new_kind(bench, clock)
    now = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await bench.runs(3)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + scheduler.TROUBLE_SECONDS + 5)
        await bench.runner.tick()
        await bench.runner.tick()
    told = [one for one in logs if one.get("ticket") == sick]
    assert len(told) == 2
    assert "cannot be read by this version of hvops: There is no kind of entry named 'novel'" in told[0]["why"]


async def test_its_locks_are_given_to_nobody(bench, clock, world):
    sick = await interrupted_and_giving_way(bench, clock)
    other = await bench.approved("/reset hv04")
    await bench.runs(2)
    assert world.order == []
    assert bench.ledger.locks() == {"node:hv04": sick}
    assert f"{other} waits for {sick}, which holds what it needs." in [one.says for one in bench.told]


async def test_what_it_would_need_keeps_nobody_from_taking_it(bench, clock, world):
    sick, well = await approved_with_a_new_field(bench, clock), await bench.approved("/reset hv04")
    newer_version.write(bench.ledger, "novel", {"a": 1}, sick)
    await bench.runs(2)
    assert bench.last(well).kind == "done"
    assert not [one for one in bench.told if one.kind == "locked"]


@pytest.mark.parametrize("what", ["kind", "field"])
async def test_an_entry_that_only_speaks_about_a_ticket_does_not_stop_it(bench, what):
    ticket = await bench.approved()
    if what == "kind":
        newer_version.write(bench.ledger, "shown", {"what": "novel"}, ticket)
    else:
        newer_version.write(bench.ledger, "clicked", {"button": "look", "novel": 1}, ticket)
    await bench.runs(2)  # a press from before the restart is answered first
    assert bench.last(ticket).kind == "done"


async def test_a_refusal_about_it_stands_in_the_ledger(bench, clock):
    sick = await bench.approved("/reset hv04")
    newer_version.write(bench.ledger, "novel", {"a": 1}, sick)
    with pytest.raises(LedgerError, match="cannot be read by this version of hvops"):
        bench.decisions.withdraw(bench.press(OPERATOR, sick))
    proposed = (await bench.propose()).ticket
    newer_version.write(bench.ledger, "novel", {"a": 1}, proposed)
    with pytest.raises(Exception, match="so another approver must decide"):
        bench.decisions.approve(bench.press(OPERATOR, proposed))
    assert bench.last(proposed).kind == "refused"


@pytest.mark.parametrize("where", ["overdue", "_begin"])
async def test_what_is_wrong_with_the_whole_ledger_stops_everything(bench, clock, monkeypatch, where):
    late, well = (await bench.propose("/reset hv04")).ticket, None
    if where == "overdue":
        clock.forward(hours=200)
    well = await bench.approved()

    def full(*_, **__):
        raise LedgerError("the ledger cannot be used now: database or disk is full. Nothing was written.")

    if where == "overdue":
        monkeypatch.setattr(bench.ledger, "append_together", full)
    else:
        monkeypatch.setattr(scheduler, "proposal_of", full)
    with capture_logs() as logs:
        await bench.runs(2)
    assert bench.kinds(late) == ["proposed"]
    assert bench.kinds(well) == ["proposed", "approved"]
    assert [one["event"] for one in logs] == ["the ledger cannot be used; nothing runs"] * 2
    monkeypatch.undo()
    await bench.runs()
    assert bench.last(well).kind == "done"
