"""The undo of a ticket beside other tickets: earlier undos of it, and changes that came after it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
import scripted_world as scripted
from scripted_world import is_now, set_to, step

from bot.api.actions import InstanceReference, InvokeMethod, ManualStep, RowTransaction, RunProgram, Update
from bot.api.plan import Group, Plan
from bot.api.queries import make_params
from bot.dispatch.pipeline import Request
from bot.errors import NoPlan, TargetTimeout
from bot.ledger import Ledger
from bot.ledger.envelope import to_timestamp
from bot.tickets import other_tickets
from bot.tickets.proposal import proposal_of

RESTART = InvokeMethod("hv03", "root/cimv2", (), "Win32_OperatingSystem", "Reboot")


def switch(key, on="hv03", value="1"):
    """Set a value; the undo sets it back to 0."""
    return replace(
        step(key, on, **{key: value}), undo=set_to(on, **{key: "0"}), undone=(is_now(on, 60, **{key: "0"}),),
        undo_says=f"Set {key} of {on} back", before=scripted.state(on),
    )  # fmt: skip


def about(key, on="hv03", program="other"):
    """The same by another program than all others."""
    made = switch(key, on, "2")
    return replace(made, act=replace(made.act, what=program), undo=replace(made.undo, what=program))


def plan_of(*steps, **more):
    """A plan of these steps under the lock of a cluster."""
    return lambda *_: Plan("why", "all stops", "none", ("cluster:prod",), (), (Group("all", steps, **more),))


def add(bench, **plans):
    for name, plan in plans.items():
        bench.plans[name] = plan
        bench.planner._registry.commands[name] = scripted.command(name, partial(bench._plan, name))


@pytest.fixture
def ready(bench, world):
    for values in world.hosts.values():
        values.update(dict.fromkeys("abc", "0"))
    add(
        bench,
        work=plan_of(*map(switch, "abc")),
        more=plan_of(*(switch(key, value="2") for key in "abc")),
        back=plan_of(replace(step("back", "hv03", a="0"), key="back")),
        other=plan_of(about("b")),
    )
    return bench


async def done(bench, line):
    ticket = await bench.approved(line)
    await bench.runs()
    assert bench.last(ticket).kind == "done"
    return ticket


async def undo(bench, ticket="T-1", by=scripted.OPERATOR):
    return await bench.proposals.undo(Request(by, f"undo {ticket}", "button", "C0OPS"), ticket)


async def runs(bench, ticket, answers=()):
    bench.decisions.approve(bench.press(scripted.APPROVER, ticket), answers)
    await bench.runs()
    return bench.last(ticket)


async def stopped_undo(bench, world, steps=1):
    """T-1 is done, and T-2 undoes the newest steps of it before somebody stops it."""
    await done(bench, "/work hv03")
    found = (await undo(bench)).ticket
    world.hooks[3 + steps] = lambda: bench.decisions.cancel(bench.press(scripted.OPERATOR, found))
    assert (await runs(bench, found)).kind == "cancelled"
    return found


def keys(proposed):
    return [one.key for one in proposed.proposal.plan.steps]


async def test_what_an_earlier_undo_has_done_is_not_undone_again(ready, world):
    await stopped_undo(ready, world)
    world.hosts["hv03"]["c"] = "1"  # somebody has set it on purpose since
    again = await undo(ready)
    assert keys(again) == ["undo-b", "undo-a"]
    assert again.proposal.plan.reason.endswith("Already done by T-2: Set c of hv03 back.")
    assert (await runs(ready, again.ticket)).kind == "done"
    assert [world.hosts["hv03"][key] for key in "abc"] == ["0", "0", "1"]


async def test_a_third_undo_counts_what_both_before_it_have_done(ready, world):
    await stopped_undo(ready, world)
    again = await undo(ready)
    world.hooks[5] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, again.ticket))
    assert (await runs(ready, again.ticket)).kind == "cancelled"
    third = await undo(ready)
    assert keys(third) == ["undo-a"]
    both = "Already done by T-2: Set c of hv03 back. Already done by T-3: Set b of hv03 back."
    assert both in third.proposal.plan.reason
    assert (await runs(ready, third.ticket)).kind == "done"
    assert len(world.order) == 6


async def test_what_an_earlier_undo_may_have_done_is_found_out_by_the_next_one(ready, world):
    """It was sent, and somebody stopped it while it was waited for."""
    await done(ready, "/work hv03")
    first = (await undo(ready)).ticket
    world.faults = [("slow", 86_400)]
    world.hooks[4] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    assert (await runs(ready, first)).kind == "cancelled"
    assert [one.data.result for one in ready.ledger.story(first) if one.kind == "outcome"] == ["abandoned"]
    assert keys(await undo(ready)) == ["undo-c", "undo-b", "undo-a"]


async def unseen_undo(bench, world, comes_after):
    """T-1 is done, and the first act of its undo is taken at once and comes later; its wait is ended before that."""
    await done(bench, "/work hv03")
    found = (await undo(bench)).ticket
    world.faults = [("slow", comes_after)]
    world.hooks[4] = lambda: bench.decisions.cancel(bench.press(scripted.OPERATOR, found))
    assert (await runs(bench, found)).kind == "cancelled"
    (outcome,) = (one.data for one in bench.ledger.story(found) if one.kind == "outcome")
    assert outcome.result == "abandoned"
    return found


async def test_an_undo_waits_for_what_an_earlier_one_sent_and_nobody_saw_the_end_of(ready, world, clock):
    """Else it would come beside its double, or after whatever is done on purpose once all is undone."""
    sent = clock()
    await unseen_undo(ready, world, comes_after=150)
    again = await undo(ready)
    (gate,) = again.proposal.plan.gates
    assert gate.finding.startswith("“Undo: Set c of hv03 back” was sent and may still be in progress until")
    assert datetime.fromisoformat(gate.passes_at) >= sent + timedelta(seconds=60 + 60), "the act, and its checks"
    assert (await runs(ready, again.ticket)).kind == "approved", "it waits"
    assert len(world.order) == 4
    clock.forward(seconds=200)
    await ready.runs(2)
    assert ready.last(again.ticket).kind == "done"
    assert not world.later, "nothing comes any more"
    assert [world.hosts["hv03"][key] for key in "abc"] == ["0", "0", "0"]


async def test_an_undo_waits_for_the_unseen_act_of_any_earlier_one(ready, world, clock):
    """Two undos back, and the one in between was withdrawn before it began anything."""
    await unseen_undo(ready, world, comes_after=150)
    between = (await undo(ready)).ticket
    ready.decisions.withdraw(ready.press(scripted.OPERATOR, between))
    (gate,) = (await undo(ready)).proposal.plan.gates
    assert "“Undo: Set c of hv03 back” was sent" in gate.finding


async def test_an_undo_after_the_time_of_what_an_earlier_one_sent_waits_for_nothing(ready, world, clock):
    await unseen_undo(ready, world, comes_after=150)
    clock.forward(seconds=200)
    again = await undo(ready)
    assert again.proposal.plan.gates == ()
    assert (await runs(ready, again.ticket)).kind == "done"


@pytest.mark.parametrize("line", ["/work hv03", "/back hv03"])
async def test_a_change_of_the_same_thing_waits_for_what_a_ticket_sent_that_somebody_ended(ready, world, clock, line):
    """Else what is done and approved since would be reversed by it, and nobody would hear of it."""
    add(ready, work=plan_of(switch("a")), back=plan_of(replace(step("back", "hv03", a="0"), key="back")))
    await done(ready, "/work hv03")
    first = (await undo(ready)).ticket
    world.faults = [("slow", 150)]
    world.hooks[2] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    assert (await runs(ready, first)).kind == "cancelled"
    world.hosts["hv03"]["a"] = "2"
    again = await ready.propose(line)
    (gate,) = again.proposal.plan.gates
    assert "“Undo: Set a of hv03 back” was sent and may still be in progress until" in gate.finding
    assert (await runs(ready, again.ticket)).kind == "approved", "it waits"
    assert len(world.order) == 2
    clock.forward(seconds=200)
    await ready.runs(2)
    assert ready.last(again.ticket).kind == "done"
    assert not world.later
    assert world.rows("hv03")[0]["a"] == ("1" if line == "/work hv03" else "0")


async def restarting(ready, world, clock, act=RESTART):
    """T-1 has set a value, and T-2 was closed while the restart of the whole host, of which nothing was heard, was to come."""
    add(ready, work=plan_of(switch("a")), boot=plan_of(replace(step("boot", "hv03", 600, booted="2"), act=act)))
    world.hosts["hv03"]["booted"] = "1"
    first = await done(ready, "/work hv03")
    second = await ready.approved("/boot hv03")

    async def invoke(action, seconds):
        world.order.append(action.method)
        world.later.append((clock() + timedelta(seconds=480), "hv03", {"booted": "2"}))
        ready.decisions.cancel(ready.press(scripted.OPERATOR, second))
        raise TargetTimeout("hv03", "no answer in time.")

    world.invoke = invoke
    await ready.runs(3)
    shown = replace(ready.press(scripted.OPERATOR, second), shown=ready.ledger.ticket(second).attempt)
    if ready.last(second).kind == "interrupted":
        ready.decisions.close(shown, "leave it")
    assert ready.ledger.ticket(second).end
    return first


async def test_an_undo_waits_for_what_an_ended_ticket_sent_the_whole_host(ready, world, clock):
    """Else what it brings back is on a node that restarts minutes later."""
    again = await undo(ready, await restarting(ready, world, clock))
    waits = [gate.finding for gate in again.proposal.plan.gates if gate.passes_at]
    assert [one for one in waits if one.startswith("“boot hv03” was sent and may still be in progress until")] == waits
    assert len(waits) == 1


async def test_what_a_plan_does_to_a_whole_host_waits_for_all_that_an_ended_ticket_sent_there(ready, world, clock):
    """Packages of one update were still being removed, and the next one restarted the node in the middle of that."""
    program = RunProgram("hv03", "dism remove package", make_params(package="Package_for_KB1"))
    await restarting(ready, world, clock, program)
    for on, waits in (("hv03", 1), ("HV03.corp.example", 1), ("hv04", 0)):
        boot = replace(step("boot", on, 600, booted="3"), act=replace(RESTART, on=on))
        found = await ready.planner.left_behind(plan_of(boot)())
        assert [gate.finding[:16] for gate in found] == ["“boot hv03” was "] * waits
    other = replace(step("add", "hv03", 600, booted="3"), act=replace(program, what="dism add package"))
    assert await ready.planner.left_behind(plan_of(other)()) == ()


@pytest.mark.parametrize(
    ("name", "on"),
    [("srmsvc", "hv03"), ("SrmSvc", "hv03"), ("SRMSVC", "HV03.corp.example"), ("srmsvc", "hv03.")],
)
async def test_a_change_of_one_thing_waits_however_its_name_is_written(ready, world, clock, name, on):
    """A rule file and its host spell a service in different cases, to which Windows is blind."""
    await restarting(ready, world, clock, service("StopService", "srmsvc"))
    again = replace(step("again", "hv03", 600, booted="3"), act=service("StopService", name, on))
    (gate,) = await ready.planner.left_behind(plan_of(again)())
    assert gate.finding.startswith("“boot hv03” was sent and may still be in progress until")


async def test_a_change_of_another_service_or_of_another_host_like_it_waits_for_nothing(ready, world, clock):
    await restarting(ready, world, clock, service("StopService", "srmsvc"))
    for name, on in (("srm", "hv03"), ("srmsvc", "hv033"), ("srmsvc", "hv04.corp.example")):
        other = replace(step("other", "hv03", 600, booted="3"), act=service("StopService", name, on))
        assert await ready.planner.left_behind(plan_of(other)()) == ()


async def test_what_a_later_ticket_did_to_a_host_by_its_whole_name_keeps_an_undo_back(ready, world):
    """Each of the two names its host as its own source does."""
    for values in (world.hosts["hv03"], world.hosts.setdefault("hv03.corp.example", dict(world.hosts["hv03"]))):
        values["a"] = "0"
    add(ready, work=plan_of(switch("a")), there=plan_of(switch("a", "hv03.corp.example", "2")))
    await done(ready, "/work hv03")
    await done(ready, "/there hv03")
    with pytest.raises(NoPlan, match=r"hvops has changed hv03 since: T-2 \(/there hv03, done\)"):
        await undo(ready)


@pytest.mark.parametrize("apart", [0.0, 60.0])
async def test_what_was_ended_long_ago_is_read_no_more_once_the_clock_was_not_set_for_as_long(
    ready, clock, monkeypatch, apart
):
    """Nobody knows how long ago it was where the clock was set since; a day later that is known again.

    The clock of another bot, which ended it, may be behind.
    """
    asked = []
    monkeypatch.setattr(Ledger, "clock_skew", apart)
    monkeypatch.setattr(ready.ledger, "left_unseen", lambda since, _locks, _hosts: asked.append(since) or [])
    for seconds in (None, 60.0, 86_400.0 + apart - 1, 86_400.0 + apart + 1):
        monkeypatch.setattr(ready.planner, "_steady_seconds", lambda told=seconds: told)
        await ready.planner.left_behind(plan_of(switch("a"))())
    since = to_timestamp(clock() - timedelta(days=1, seconds=apart))
    assert asked == [since, "", "", since]


async def test_of_the_tickets_that_were_ended_there_none_is_left_out(ready, world, monkeypatch):
    """The oldest of them may be the one whose action is still to come."""
    add(ready, work=plan_of(switch("a")))
    first = await ready.approved("/work hv03")
    world.faults = [("slow", 150)]
    world.hooks[1] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    await ready.runs(2)
    listed = ready.ledger.left_unseen
    other = await done(ready, "/other hv03")
    monkeypatch.setattr(ready.ledger, "left_unseen", lambda *about: [other] * 300 + listed(*about))
    (gate,) = await ready.planner.left_behind(plan_of(switch("a"))())
    assert gate.finding.startswith("“a hv03” was sent")


async def test_what_a_failed_ticket_sent_to_undo_what_had_not_happened_is_waited_for_too(ready, world):
    """Its check was met before, so nobody saw the end of it: it would reverse what the next ticket does."""
    add(ready, work=plan_of(switch("a"), switch("b"), on_failure="undo"))
    world.faults = [None, "refused", ("late", 55)]
    assert (await runs(ready, (await ready.propose("/work hv03")).ticket)).kind == "failed"
    assert world.later, "the host is still at it"
    (gate,) = await ready.planner.left_behind(plan_of(switch("b", value="2"))())
    assert "was sent and may still be in progress until" in gate.finding
    assert await ready.planner.left_behind(plan_of(switch("b", "hv04"))()) == ()


async def test_a_change_of_something_else_waits_for_nothing(ready, world):
    add(ready, work=plan_of(switch("a")), there=plan_of(switch("a", "hv04")))
    await done(ready, "/work hv03")
    first = (await undo(ready)).ticket
    world.faults = [("slow", 150)]
    world.hooks[2] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    assert (await runs(ready, first)).kind == "cancelled"
    for line in ("/other hv03", "/there hv04"):
        assert (await ready.propose(line)).proposal.plan.gates == ()


async def test_what_was_approved_before_somebody_ended_another_one_there_is_proposed_again(ready, world):
    """It would start as soon as the other one is ended, whatever that one's host is still at."""
    add(ready, work=plan_of(switch("a")))
    first, second = await ready.approved("/work hv03"), await ready.approved("/work hv03")
    world.faults = [("slow", 100)]
    world.hooks[1] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, first))
    await ready.runs(2)
    assert (ready.last(first).kind, ready.last(second).kind) == ("cancelled", "voided")
    assert "in progress" in "".join(ready.last(second).data.difference)
    (gate,) = proposal_of(ready.ledger, "T-3").plan.gates
    assert gate.finding.startswith("“a hv03” was sent and may still be in progress until")
    assert len(world.order) == 1


def look():
    """A step by hand, which gives the locks of its ticket away while it waits."""
    found = step("look", "hv03", deadline=86_400)
    return replace(found, act=ManualStep("Look at it.", "operator"), done=(is_now("hv03", seen="yes"),))


async def until(bench, holds):
    """Sweep until something holds, while runs wait."""
    for _ in range(2_000):
        if holds():
            return
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def beside_what_another_left(ready, world, work):
    """T-1 waits for a person, T-2 is ended under its locks while its action is still to come, and T-1 has just gone on."""
    add(ready, work=work, back=plan_of(step("back", "hv03", deadline=600, a="2")))
    world.hosts["hv03"]["seen"] = "no"
    first = await ready.approved("/work hv03")
    await until(ready, lambda: ready.ledger.ticket(first).intent is not None)
    second = await ready.approved("/back hv03")
    world.faults = [("slow", 500)]
    world.hooks[1] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, second))
    await until(ready, lambda: ready.ledger.ticket(second).end)
    assert [one.data.result for one in ready.ledger.story(second) if one.kind == "outcome"] == ["abandoned"]
    await until(ready, lambda: "resumed" in ready.kinds(first))
    world.hosts["hv03"]["seen"] = "yes"
    ready.decisions.confirm_manual_step(ready.press(scripted.OPERATOR, first))
    await until(ready, lambda: ready.ledger.ticket(first).end)
    return first


async def test_what_gave_its_locks_away_waits_for_what_another_ticket_left_under_way(ready, world):
    """Else the action of T-2 would come after that of T-1 and reverse it, and T-1 would stay “done”."""
    first = await beside_what_another_left(ready, world, plan_of(look(), replace(switch("a"), before=None)))
    assert ready.last(first).kind == "done"
    assert not world.later, "nothing comes any more"
    assert world.rows("hv03")[0]["a"] == "1"


async def test_before_a_group_without_an_image_so_far_what_another_ticket_left_voids_the_rest(ready, world):
    def work(*_):
        groups = (Group("hand", (look(),)), Group("acts", (replace(switch("a"), before=None),)))
        return Plan("why", "all stops", "none", ("cluster:prod",), (), groups)

    first = await beside_what_another_left(ready, world, work)
    assert ready.last(first).kind == "voided"
    assert "may still be in progress until" in ready.last(first).data.reason
    assert len(world.order) == 1


async def test_an_undo_that_was_stopped_counts_itself_when_it_is_checked_again(ready, world):
    """Made anew for its own start, nothing of it is left out."""
    found = await undo(ready, await done(ready, "/work hv03"))
    made = await ready.planner.rebuild(found.proposal)
    assert made.digest == found.proposal.made.digest
    await runs(ready, found.ticket)
    assert [one.key for one in (await ready.planner.rebuild(found.proposal)).plan.steps] == keys(found)


# Changes that came after it


async def test_what_a_later_ticket_changed_too_is_not_undone_before_it(ready, world):
    """T-2 has put T-1 back, and T-3 has done the same again on purpose."""
    add(ready, work=plan_of(switch("a")))
    for line in ("/work hv03", "/back hv03", "/work hv03"):
        await done(ready, line)
    with pytest.raises(NoPlan) as refused:
        await undo(ready)
    assert "hvops has changed hv03 since: T-2 (/back hv03, done), T-3 (/work hv03, done)." in str(refused.value)
    assert "Undo the newest first" in str(refused.value)
    assert ready.ledger.head().kind == "refused"
    assert (await runs(ready, (await undo(ready, "T-3")).ticket)).kind == "done"


async def test_a_later_ticket_that_was_wholly_undone_keeps_no_undo_back(ready, world):
    await done(ready, "/work hv03")
    await done(ready, "/more hv03")
    with pytest.raises(NoPlan, match=r"hvops has changed hv03 since: T-2"):
        await undo(ready)
    assert (await runs(ready, (await undo(ready, "T-2")).ticket)).kind == "done"
    assert (await undo(ready)).proposal.plan.gates == ()


async def test_a_later_ticket_whose_undo_left_what_has_no_undo_still_counts(ready, world):
    """The undo of T-2 is done and says what it left, which is what has put T-1 back; somebody has set it on purpose since."""
    add(ready, work=plan_of(switch("a")), later=plan_of(switch("b"), step("back", "hv03", a="0")))
    await done(ready, "/work hv03")
    await done(ready, "/later hv03")
    second = await undo(ready, "T-2")
    assert keys(second) == ["undo-b"]
    assert "Not undone: back hv03" in second.proposal.plan.reason
    assert (await runs(ready, second.ticket)).kind == "done"
    world.hosts["hv03"]["a"] = "1"
    with pytest.raises(NoPlan, match=r"hvops has changed hv03 since: T-2 \(/later hv03, done\)"):
        await undo(ready)
    assert world.hosts["hv03"]["a"] == "1"


async def test_a_later_ticket_that_was_undone_in_part_still_counts(ready, world):
    await done(ready, "/work hv03")
    await done(ready, "/more hv03")
    second = (await undo(ready, "T-2")).ticket
    world.hooks[7] = lambda: ready.decisions.cancel(ready.press(scripted.OPERATOR, second))
    assert (await runs(ready, second)).kind == "cancelled"
    with pytest.raises(NoPlan, match=r"since: T-2 \(/more hv03, done\)\. Undo"):
        await undo(ready)


@pytest.mark.parametrize("how", ["another host", "another lock", "nothing was begun", "rolled back", "put back itself"])
async def test_what_has_nothing_to_do_with_it_keeps_no_undo_back(ready, world, how):
    await done(ready, "/work hv03")
    line, ends = "/later hv03", "done"
    later = plan_of(switch("a", value="2"))
    if how == "another host":
        line, later = "/later hv04", plan_of(switch("a", "hv04"))
    elif how == "another lock":
        later = lambda *_: replace(plan_of(switch("a", value="2"))(), locks=("audit-policy:hv03",))  # noqa: E731
    elif how == "nothing was begun":
        ends = "failed"
        later = plan_of(switch("a", "hv04"), replace(switch("b"), guard=(is_now("hv03", b="no"),)))
    elif how == "rolled back":
        world.faults, ends = [None, "refused"], "failed"
        later = plan_of(switch("a", value="2"), switch("b", value="2"), on_failure="undo")
    elif how == "put back itself":
        later = plan_of(switch("a", value="2"), replace(step("again", "hv03", a="0"), act=switch("a").undo))
    add(ready, later=later)
    ticket = await ready.approved(line)
    await ready.runs()
    assert ready.last(ticket).kind == ends
    assert (await undo(ready)).proposal.plan.gates == ()


async def test_what_a_later_ticket_did_there_otherwise_is_answered_by_an_approver(ready, world):
    """It is known that it worked on the host, and not whether it rests on what the older one left."""
    await done(ready, "/work hv03")
    await done(ready, "/other hv03")
    found = await undo(ready)
    (gate,) = found.proposal.plan.gates
    assert gate.is_open
    assert gate.finding == (
        "It is not known what undoing T-1 means for later tickets (since then hvops has worked on hv03: T-2 (/other hv03, done))"
    )
    assert found.proposal.made.open_questions == ("what undoing T-1 means for T-2 (/other hv03)",)
    assert (await runs(ready, found.ticket, ("b is no longer used by it",))).kind == "done"


async def test_what_a_ticket_put_back_itself_hides_no_later_ticket_from_an_approver(ready, world):
    """A reset of a writer had restarted the service that a later ticket stopped: resuming its node asked nobody about that."""
    there = replace(about("b"), undo=None, undone=(), undo_says="")
    back = replace(step("again", "hv03", b="0"), act=about("b").undo)
    add(ready, work=plan_of(switch("a"), there, back))
    await done(ready, "/work hv03")
    await done(ready, "/other hv03")
    found = await undo(ready)
    assert keys(found) == ["undo-a"]
    assert found.proposal.made.open_questions == ("what undoing T-1 means for T-2 (/other hv03)",)


async def test_a_later_ticket_that_found_the_same_so_already_is_answered_by_an_approver(ready, world):
    """It has no undo that could come first, and may rest on what the older one left."""
    await done(ready, "/work hv03")
    await done(ready, "/work hv03")
    with pytest.raises(NoPlan, match="Nothing that T-2 did can be undone"):
        await undo(ready, "T-2")
    found = await undo(ready)
    assert found.proposal.made.open_questions == ("what undoing T-1 means for T-2 (/work hv03)",)
    assert (await runs(ready, found.ticket, ("nobody needs it any more",))).kind == "done"
    assert [world.hosts["hv03"][key] for key in "abc"] == ["0", "0", "0"]


async def test_a_later_ticket_that_was_undone_meanwhile_voids_no_undo(ready, world):
    await done(ready, "/work hv03")
    await done(ready, "/other hv03")
    found, second = await undo(ready), await undo(ready, "T-2")
    assert (await runs(ready, second.ticket)).kind == "done"
    assert (await runs(ready, found.ticket, ("it is undone first",))).kind == "done"


async def test_the_undo_of_an_older_ticket_is_a_later_change_itself(ready, world):
    await done(ready, "/work hv03")
    await done(ready, "/other hv03")
    older, newer = await undo(ready), await undo(ready, "T-2")
    assert (await runs(ready, older.ticket, ("it does not use it",))).kind == "done"
    assert (await runs(ready, newer.ticket)).kind == "voided"
    assert "what undoing T-2 means for T-3 (undo T-1)" in ready.last("T-4").reason


async def test_a_change_between_approval_and_start_voids_the_undo(ready, world):
    add(ready, work=plan_of(switch("a")))
    await done(ready, "/work hv03")
    found = await undo(ready)
    await done(ready, "/back hv03")
    assert (await runs(ready, found.ticket)).kind == "voided"
    assert "hvops has changed hv03 since: T-3 (/back hv03, done)" in ready.last(found.ticket).reason
    assert len(world.order) == 2


async def test_the_impact_of_an_undo_is_its_own(ready):
    await done(ready, "/work hv03")
    assert (await undo(ready)).proposal.plan.impact == (
        "Set c of hv03 back; Set b of hv03 back; Set a of hv03 back. The impact of T-1, which this undoes, was: all stops"
    )


async def test_an_undo_after_one_that_failed_is_kept_back_by_neither(ready, world):
    await done(ready, "/work hv03")
    first = (await undo(ready)).ticket
    world.faults = ["refused"]
    assert (await runs(ready, first)).kind == "failed"
    again = await undo(ready)
    assert (again.proposal.plan.gates, keys(again)) == ((), ["undo-c", "undo-b", "undo-a"])


async def test_a_later_ticket_that_was_closed_half_done_counts(ready, world):
    await done(ready, "/work hv03")
    add(ready, half=plan_of(switch("a", value="2"), switch("b", value="2")))
    world.hooks[4] = lambda: world.silent.add("hv03")
    ticket = await ready.approved("/half hv03")
    await ready.runs()
    world.silent.clear()
    shown = ready.ledger.ticket(ticket).attempt
    ready.decisions.close(replace(ready.press(scripted.OPERATOR, ticket), shown=shown), "enough")
    with pytest.raises(NoPlan, match=r"since: T-2 \(/half hv03, closed\)"):
        await undo(ready)


async def test_what_a_person_may_have_done_by_hand_since_is_asked_about(ready, world):
    await done(ready, "/work hv03")
    add(ready, hand=plan_of(scripted.by_hand("hv03", deadline=60)))
    ticket = await ready.approved("/hand hv03")
    await ready.runs()
    assert ready.kinds(ticket)[-3:] == ["intent", "outcome", "failed"]
    assert (await undo(ready)).proposal.made.open_questions == ("what undoing T-1 means for T-2 (/hand hv03)",)


async def test_lists_that_show_no_later_ticket_let_no_undo_through(ready, world):
    """What decides comes out of the proved entries, not of a table or an index."""
    add(ready, work=plan_of(switch("a")))
    await done(ready, "/work hv03")
    await done(ready, "/back hv03")
    store = ready.ledger._store
    with store.transaction():
        store.write("DELETE FROM ticket WHERE id = ?", ("T-2",))
    with pytest.raises(NoPlan, match=r"hvops has changed hv03 since: T-2 \(/back hv03, done\)"):
        await undo(ready)
    assert ready.ledger.undos_of("T-1") == ()


async def test_of_very_many_later_tickets_not_all_are_read(ready, world, monkeypatch):
    monkeypatch.setattr(other_tickets, "_READ", 2)
    await done(ready, "/work hv03")
    await done(ready, "/work hv03")
    for _ in range(3):
        await done(ready, "/other hv03")
    asked = (await undo(ready)).proposal.made.open_questions
    assert asked == (
        "what undoing T-1 means for T-4 (/other hv03)",
        "what undoing T-1 means for T-5 (/other hv03)",
        "what undoing T-1 means for the tickets that hvops ran there since, up to T-3",
    )


def service(method, name="Spooler", on="hv03"):
    return InvokeMethod(on, "root/cimv2", make_params(Name=name), "Win32_Service", method)


def rows(key, on="vmm", database="vmm", table="t", column="Id"):
    return RowTransaction(on, database, (Update(table, make_params(**{column: key}), (), make_params(State="0")),))


def program(on="hv03", **params):
    return RunProgram(on, "set check", make_params(**params))


def node(name, on="hv03"):
    return InvokeMethod(on, "root/mscluster", make_params(Name=name), "MSCluster_Node", "Pause")


def replica(machine, name="ComputerSystem", key="Name", namespace="root/virtualization/v2", cls="Msvm_ComputerSystem"):
    refers = (InstanceReference(name, cls, make_params(**{key: machine})),)
    return InvokeMethod(
        "hv03", namespace, make_params(CreationClassName="M"), "Msvm_ReplicationService", "Go", references=refers
    )


GUID = "0a6c3c5e-5f0e-4c1d-9a55-3f9a5d1c2b7f"
OTHER_GUID = "1a6c3c5e-5f0e-4c1d-9a55-3f9a5d1c2b7f"


@pytest.mark.parametrize(
    ("mine", "back", "theirs", "relation"),
    [
        (service("Stop"), service("Start"), service("Start"), "same"),
        (service("Stop"), service("Start"), service("Stop", "W32Time"), "another of its kind"),
        (service("Stop"), service("Start"), service("Stop", on="hv04"), "another of its kind"),
        (service("Stop"), service("Start"), program(vs="1"), ""),
        (service("Stop"), service("Start"), InvokeMethod("hv03", "root/cimv2", (), "Win32_Service", "All"), ""),
        (rows("1"), rows("1"), rows("1"), "same"),
        (rows("1"), rows("1"), rows("2"), "another of its kind"),
        (program(vs="1", to="x"), program(vs="1", to="y"), program(vs="1", to="z"), "same"),
        (program(vs="1", to="x"), program(vs="1", to="y"), program(vs="2", to="z"), ""),
        # The same under another spelling: of a service, a node, a machine, a file, a row, a host.
        (service("Stop", "srmsvc"), service("Start", "srmsvc"), service("Stop", "SrmSvc"), "same"),
        (service("Stop"), service("Start"), service("Stop", on="HV03.corp.example"), "same"),
        (service("Stop", on="hyperv-berlin-03"), service("Start"), service("Stop", on="HYPERV-BERLIN-0"), "same"),
        (
            service("Stop"),
            service("Start"),
            replace(service("Stop"), namespace="ROOT\\CIMV2", cls="WIN32_Service"),
            "same",
        ),
        (service("Stop"), service("Start"), replace(service("Stop"), path=make_params(NAME="spooler")), "same"),
        (node("hv03"), node("hv03"), node("HV03.corp.example"), "same"),
        (node("hv03"), node("hv03"), node("hv04"), "another of its kind"),
        (replica(GUID), replica(GUID), replica(f"{{{GUID.upper()}}}", "computersystem", "NAME"), "same"),
        (replica(GUID), replica(GUID), replica(OTHER_GUID), "another of its kind"),
        (replica(GUID), replica(GUID), replica(GUID, cls="MSVM_COMPUTERSYSTEM"), "same"),
        (rows(GUID), rows(GUID), rows(GUID.upper(), "VMM.corp.example", "VMM", "[dbo].[T]", "ID"), "same"),
        (rows(GUID), rows(GUID), rows(GUID, table="u"), "another of its kind"),
        (rows(GUID), rows(GUID), rows(GUID, database="other"), "another of its kind"),
        (rows(1), rows(1), rows("1"), "same"),
        (program(of="C:\\Fix\\a.msu"), program(of="C:\\Fix\\a.msu"), program(of="c:/fix//A.MSU/"), "same"),
        (program(of="C:\\Fix\\a.msu"), program(of="C:\\Fix\\a.msu"), program(of="C:\\Fix\\b.msu"), ""),
        (program(of=GUID), program(of=GUID), program("HV03.corp.example", of=f"{OTHER_GUID},{GUID.upper()}"), "same"),
    ],
)
def test_what_is_the_same_thing(mine, back, theirs, relation):
    older, later = SimpleNamespace(act=mine, undo=back), SimpleNamespace(act=theirs, undo=None)
    assert other_tickets._relation(older, later) == relation


async def test_what_was_so_already_and_was_ended_then_is_a_later_change(ready, world, clock):
    """It leaves things otherwise than they were: what the older ticket had set is not set any more."""
    on, off = replace(switch("a"), before=None), step("off", "hv03", a="0")
    add(ready, one=plan_of(switch("a")), two=plan_of(on, off))
    await done(ready, "/one hv03")
    clock.forward(hours=1)
    second = await done(ready, "/two hv03")
    clock.forward(hours=1)
    with pytest.raises(NoPlan, match=f"hvops has changed hv03 since: {second}"):
        await undo(ready)
