"""A drill there and back: what is measured is said, and what goes wrong half-way is taken back or left to a person."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from bot import services
from bot.errors import TargetFault
from lab.scenarios.drill import GUESTS, SERVICE
from lab.slack.plain_text import plain_text
from lab.world.os_releases import RELEASES
from lab.world.replica_methods import REPLICATING, _power, other_end

PLAN = f"Fail {SERVICE} over to branch and back"


@pytest.fixture(autouse=True)
def swift(monkeypatch):
    """What takes Hyper-V seconds has happened by the next question."""
    for name in ("SHUTDOWN", "SENDING", "FAILOVER", "START", "REVERSAL"):
        monkeypatch.setattr(f"lab.world.replica_methods.{name}_SECONDS", 0.0)


async def approved(ops, line=f"/drill {SERVICE}", title=PLAN):
    await ops.says(line)
    plan = await ops.sees(f"{title}?", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plan


async def waits(ops, step):
    return await ops.slack.person("operator").sees(re.compile(f"is waiting for a manual step: {step}"), "hv-ops")


async def says_done(ops, step):
    await ops.clicks(await waits(ops, step), "Done")


def entries(ops, kind):
    return [entry.data for entry in ops.ledger() if entry.ticket == "T-1" and entry.kind == kind]


def ends(ops, name):
    """Host -> mode and state of each end of a machine."""
    world = ops.estate.world
    return ops.estate.do(
        lambda: {
            one.node.name: (one.replication.mode, one.state)
            for cluster in world.clusters.values()
            for one in cluster.guests
            if one.name == name and one.replication
        }
    )


async def test_there_and_back_is_timed_and_proved(play):
    async with play("drill") as ops:
        before = {name: ends(ops, name) for name in GUESTS}
        await ops.says(f"/check-continuity {SERVICE}")
        await ops.sees("crm: 1 not proved")
        await approved(ops)
        await says_done(ops, f"Check that {SERVICE} works in branch")
        await waits(ops, f"Check that {SERVICE} works in prod")
        assert ends(ops, "crm-01")["br01"] == (1, "off")
        await says_done(ops, f"Check that {SERVICE} works in prod")
        done = plain_text(await ops.slack.person("operator").sees(re.compile(f"^Done: {PLAN}"), "hv-ops"))
        connected = [one for one in entries(ops, "outcome") if one.step.startswith("connect-")]
        assert [(one.step, one.result) for one in connected] == [("connect-out", "done"), ("connect-back", "done")]
        (end,) = entries(ops, "done")
        said = "; ".join(end.measured)
        for told in (said, done):
            assert re.search(r"failover took [0-9]+ s, RTO 60 min: kept", told)
            assert re.search(r"failback took [0-9]+ s, RTO 60 min: kept", told)
            assert re.search(r"last replication [0-9]+ s before the planned stop, RPO 15 min: kept", told)
        assert {name: ends(ops, name) for name in GUESTS} == before
        assert all(one.result == "done" for one in entries(ops, "outcome"))
        await ops.says(f"/check-continuity {SERVICE}")
        told = plain_text(await ops.sees("crm: 1 proved"))
        assert re.search(r"T-1, last drill .*RTO 60 min: kept", told)


@pytest.mark.long
async def test_a_promise_that_was_not_kept_is_said_as_broken(play, monkeypatch):
    """People take two hours to find out whether the service works; the time between the entries of its steps tells."""
    late = [timedelta()]
    real = services._now
    monkeypatch.setattr(services, "_now", lambda: real() + late[0])
    async with play("drill") as ops:
        await approved(ops)
        waiting = await waits(ops, f"Check that {SERVICE} works in branch")
        late[0] = timedelta(hours=2)
        ops.estate.do(lambda: ops.estate.world.skip(7200))
        await ops.clicks(waiting, "Done")
        await says_done(ops, f"Check that {SERVICE} works in prod")
        done = plain_text(await ops.slack.person("operator").sees(re.compile(f"^Done: {PLAN}"), "hv-ops"))
        assert re.search(r"failover took 2 h, RTO 60 min: broken", done)
        assert re.search(r"failback took [0-9]+ s, RTO 60 min: kept", done)
        await ops.says(f"/check-continuity {SERVICE}")
        told = plain_text(await ops.sees("crm: 1 broken"))
        assert "failover took 2 h, RTO 60 min: broken" in told


async def test_a_primary_that_does_not_answer_is_never_taken_for_off(play):
    async with play("drill") as ops:
        await ops.guest_admin("Cut prod off")
        await ops.says(f"/drill {SERVICE}")
        told = plain_text(await ops.sees("No plan for crm"))
        assert "never assumed to be off" in told
        assert "No unplanned failover is made from silence" in told
        assert not ops.estate.do(lambda: list(ops.estate.world.asked))


@pytest.mark.long
async def test_a_primary_that_falls_silent_half_way_has_nothing_started_beside_it(play):
    """The site goes between the two failovers: nothing is undone by itself, since nobody knows what runs where."""
    async with play("drill") as ops:
        real = ops.engine.target_client.invoke

        async def invoke(action, seconds):
            if action.method == "InitiateFailover":
                ops.estate.do(lambda: _cut(ops, on=True))
            return await real(action, seconds)

        ops.engine.target_client.invoke = invoke
        await approved(ops)
        await ops.recorded("interrupted", 1)
        (end,) = entries(ops, "interrupted")
        assert end.reason.startswith("step 6, Fail crm-02 over to br02")
        assert "Its group is not undone automatically: It is not known where crm-01 and its replica are" in end.reason
        asked = [one for one in ops.estate.do(lambda: list(ops.estate.world.asked)) if "Failover" in one]
        assert asked == ["br01: Msvm_ReplicationService.InitiateFailover"]
        assert {ends(ops, name)[node] for name, node in GUESTS.items()} == {(2, "off")}


def _cut(ops, *, on):
    for name in ("hv03", "hv05"):
        ops.estate.world.trouble(name, "refuse", on=on)


def refuses(ops, method, host, after=None):
    """A host refuses that method; `after` happens once another one has done it."""
    real = ops.engine.target_client.invoke

    async def invoke(action, seconds):
        if action.method == method and action.on == host:
            raise TargetFault(host, "the machine is in a state in which this cannot be done.", is_refusal=True)
        told = await real(action, seconds)
        if action.method == method and after is not None:
            await after()
        return told

    ops.engine.target_client.invoke = invoke


@pytest.mark.long
async def test_what_fails_before_a_failover_was_sent_is_undone_by_the_run(play):
    async with play("drill") as ops:
        before = {name: ends(ops, name) for name in GUESTS}
        world = ops.estate.world
        refused = []
        real = ops.engine.target_client.invoke

        async def invoke(action, seconds):
            if action.method == "RequestReplicationStateChange" and action.on == "hv03" and not refused:
                refused.append(action)
                raise TargetFault("hv03", "the machine is in a state in which this cannot be done.", is_refusal=True)
            return await real(action, seconds)

        ops.engine.target_client.invoke = invoke
        await approved(ops)
        await ops.recorded("failed", 1)
        failed = plain_text(await ops.slack.person("operator").sees(re.compile("^Failed at step 4"), "hv-ops"))
        assert "hvops undid the steps of this group." in failed
        assert {name: ends(ops, name) for name in GUESTS} == before
        states = ops.estate.do(lambda: [world.guest(name).replication.state for name in GUESTS])
        assert states == [3, 3]
        (end,) = entries(ops, "failed")
        assert end.rolled_back


@pytest.mark.long
@pytest.mark.parametrize("is_held", [False, True], ids=["at once", "behind a stop"])
async def test_no_failover_is_cancelled_by_the_run_since_its_machine_may_have_run(play, is_held):
    """While hvops is stopped the people of the other site start a machine, use it, and shut it down again."""
    async with play("drill") as ops:
        world = ops.estate.world

        async def stop():
            await ops.says("/hvops stop the storage of branch is slow")
            await ops.recorded("stop", 1)

        refuses(ops, "InitiateFailover", "br02", stop if is_held else None)
        await approved(ops)
        if is_held:
            await ops.recorded("outcome", 5)  # that of the first failover is written behind the stop
            copy = other_end(world, world.guest("crm-01"))
            for runs in (True, False):
                ops.estate.do(lambda runs=runs: _power(world, copy, runs=runs))
                ops.estate.do(lambda: world.skip(3600))
            await ops.says("/hvops go", who="approver")
        card = await ops.slack.person("operator").sees(
            re.compile("Interrupted at step 6: someone must decide"), "hv-ops"
        )
        (end,) = entries(ops, "interrupted")
        assert end.reason.startswith("step 6, Fail crm-02 over to br02: br02: the machine is in a state")
        assert "It is not known whether machines of crm have started on the other side" in end.reason
        assert not any("Revert" in one for one in ops.estate.do(lambda: list(world.asked)))
        await ops.clicks(card, "Undo…")
        await ops.sees("The full plan of T-2", channel="hv-ops")
        (undo,) = [one.data for one in ops.ledger() if one.ticket == "T-2" and one.kind == "proposed"]
        assert "whether crm-01 has run on br01 since its failover" in str(undo)


@pytest.mark.long
async def test_a_bot_that_was_restarted_goes_on_and_does_nothing_twice(play):
    async with play("drill") as ops:
        await approved(ops)
        waiting = await waits(ops, f"Check that {SERVICE} works in branch")
        await ops.ends()
        await ops.starts()
        await ops.clicks(waiting, "Done")
        await waits(ops, f"Check that {SERVICE} works in prod")
        await ops.ends()
        await ops.starts()
        await says_done(ops, f"Check that {SERVICE} works in prod")
        await ops.recorded("done", 1)
        asked = ops.estate.do(lambda: list(ops.estate.world.asked))
        assert len(asked) == 10 * len(GUESTS)  # stop, send, over, start and reverse, each way
        begun = [one.step for one in entries(ops, "intent")]
        assert sorted(begun) == sorted(set(begun))
        (end,) = entries(ops, "done")
        assert any(one.startswith("failover took") for one in end.measured)


@pytest.mark.long
async def test_a_stop_in_the_middle_leaves_the_service_where_it_works_and_the_rest_brings_it_home(play):
    async with play("drill") as ops:
        await approved(ops)
        waiting = await waits(ops, f"Check that {SERVICE} works in branch")
        await ops.clicks(waiting, "Stop After Step")
        await ops.recorded("cancelled", 1)
        assert ends(ops, "crm-01") == {"hv05": (1, "off"), "br01": (2, "running")}
        await ops.says("/drill crm")
        told = plain_text(await ops.sees("No plan yet for crm"))
        assert "it is failed over to br01 and works there, not reversed yet" in told
        assert "Drill…" in told
        await _brought_back(ops)
        reversals = [one for one in ops.estate.do(lambda: list(ops.estate.world.asked)) if "Reverse" in one]
        assert sorted(one.partition(":")[0] for one in reversals) == ["br01", "br02", "hv03", "hv05"]
        assert ends(ops, "crm-01") == {"hv05": (1, "running"), "br01": (2, "off")}


@pytest.mark.long
async def test_an_undo_does_not_discard_what_was_written_on_the_other_side(play):
    async with play("drill") as ops:
        await approved(ops)
        waiting = await waits(ops, f"Check that {SERVICE} works in branch")
        await ops.clicks(waiting, "Stop After Step")
        await ops.recorded("cancelled", 1)
        world = ops.estate.world
        for name in GUESTS:  # off again over there: that they have run, the ledger knows
            ops.estate.do(lambda name=name: _power(world, other_end(world, world.guest(name)), runs=False))
        stopped = await ops.slack.person("operator").sees(re.compile("^Stopped"), "hv-ops")
        assert "Undo…" not in str(stopped.blocks)
        assert "run /drill crm --only back, which loses nothing" in plain_text(stopped)
        assert not any("Revert" in one for one in ops.estate.do(lambda: list(ops.estate.world.asked)))


@pytest.mark.parametrize("begins", ["start", pytest.param("reverse", marks=pytest.mark.long)])
async def test_a_primary_that_was_used_since_its_failover_loses_nothing(play, begins):
    """In prod someone cancels the planned failover, works on, and shuts it down: it is off, as the drill had left it."""
    async with play("drill") as ops:
        world = ops.estate.world
        primaries = [world.guest(name) for name in GUESTS]
        real = ops.engine.target_client.invoke

        def used():
            for primary in primaries:
                primary.replication.state = REPLICATING

        async def invoke(action, seconds):
            told = await real(action, seconds)
            if begins == "start" and action.method == "InitiateFailover" and action.on == "br02":
                ops.estate.do(used)
            return told

        ops.engine.target_client.invoke = invoke
        await approved(ops)
        if begins == "reverse":
            card = await waits(ops, f"Check that {SERVICE} works in branch")
            ops.estate.do(used)
            await ops.clicks(card, "Done")
        await ops.sees("the planned failover of crm-01 still stands on hv05", channel="hv-ops")
        asked = ops.estate.do(lambda: list(world.asked))
        assert not any("Reverse" in one for one in asked)
        assert all(entry.step != "start-out-crm-01" for entry in entries(ops, "intent")) or begins == "reverse"


async def _brought_back(ops):
    """Plan the rest, approve it, and see it through."""
    await ops.says(f"/drill {SERVICE} --only back")
    back = await ops.sees(f"Bring {SERVICE} back to prod?", channel="hv-ops")
    await ops.clicks(back, "Approve", who="approver")
    await says_done(ops, f"Check that {SERVICE} works in prod")
    await ops.recorded("done", 1)


@pytest.mark.long
async def test_what_is_not_so_any_more_before_the_way_back_voids_the_rest(play):
    """Before the way back the plan is made anew: somebody has extended the replication meanwhile."""
    async with play("drill") as ops:
        await approved(ops)
        waiting = await waits(ops, f"Check that {SERVICE} works in branch")
        world = ops.estate.world

        def extend():
            other_end(world, world.guest("crm-01")).replication.extended = (3, 1)

        ops.estate.do(extend)
        await ops.clicks(waiting, "Done")
        await ops.recorded("voided", 1)
        (end,) = entries(ops, "voided")
        assert "crm-01 has an extended replica" in end.reason
        assert not [entry for entry in ops.ledger() if entry.ticket == "T-2"]  # what is left is proposed by a person
        assert ends(ops, "crm-01") == {"hv05": (2, "off"), "br01": (1, "running")}
        ops.estate.do(lambda: setattr(other_end(world, world.guest("crm-01")).replication, "extended", None))
        await _brought_back(ops)
        assert ends(ops, "crm-01") == {"hv05": (1, "running"), "br01": (2, "off")}
        await ops.says(f"/check-continuity {SERVICE}")
        await ops.sees("crm: 1 not proved")  # one way is no drill


async def test_an_extended_replica_is_seen_before_it_starts(play):
    async with play("drill") as ops:
        world = ops.estate.world
        ops.estate.do(lambda: setattr(other_end(world, world.guest("crm-01")).replication, "extended", (3, 1)))
        await ops.says(f"/drill {SERVICE}")
        told = plain_text(await ops.sees("No plan yet for crm"))
        assert r"br01 replicates it on to a third host (InstanceID …\HVR\1)" in told


async def test_a_host_that_is_older_than_the_configuration_is_seen_before_it_starts(play):
    async with play("drill") as ops:
        world = ops.estate.world

        def age():
            world.node("hv05").release = RELEASES["2012R2"]

        ops.estate.do(age)
        await ops.says(f"/drill {SERVICE}")
        told = plain_text(await ops.sees("No plan yet for crm"))
        assert "failover goes, failback does not" in told
        assert "configuration version 8.0 cannot return to any host before 2016" in told


@pytest.fixture
def brief(monkeypatch):
    """A host that is cut off is waited for in vain, again and again: not for long."""
    monkeypatch.setattr("lab.config_files.PATIENCE", 3)


STATED = {
    "Host seen powered off (hv05)": "hv05",
    "Host seen powered off (hv03)": "hv03",
    "Its state, in these words: powered off": "powered off",
}


async def _runbook(ops):
    """The runbook for prod, cut off, up to the first failover by hand: it is approved, and the statement is made."""
    await ops.says(f"/drill {SERVICE} --only lost")
    refused = plain_text(await ops.sees("No plan yet for crm"))
    assert "hv05" in refused
    await ops.guest_admin("Cut prod off")
    await approved(ops, f"/drill {SERVICE} --only lost", f"Fail {SERVICE} over to branch by hand, with prod lost")
    person = ops.slack.person("approver")
    waiting = await person.sees(
        re.compile("is waiting for a manual step: State that the machines in prod are off"), "hv-ops"
    )
    await ops.clicks(waiting, "Done…", who="approver")
    await person.submits(await person.sees_view("Confirm T-1"), STATED)
    await waits(ops, f"Fail {next(iter(GUESTS))} over to")


@pytest.mark.long
async def test_a_lost_place_that_is_back_half_way_ends_its_runbook_before_the_next_machine(play, brief):
    """The link was down: crm-02 has never stopped, and would run twice. What is failed over by then is said."""
    first, second = GUESTS
    async with play("drill") as ops:
        await _runbook(ops)
        ops.estate.do(lambda: _fail_over_by_hand(ops, first))
        await ops.guest_admin("Reconnect prod")
        await says_done(ops, f"Fail {first} over to")
        await ops.recorded("voided", 1)
        (end,) = entries(ops, "voided")
        assert "Hosts in prod answer" in end.reason
        assert f"{first} runs twice, on hv05, br01: decide at once which one counts" in end.reason
        assert f"{second} runs on hv03: do not start its replica" in end.reason
        assert [one.step for one in entries(ops, "outcome")] == ["state-off", f"over-lost-{first}"]
        assert ends(ops, second) == {"hv03": (1, "running"), "br02": (2, "off")}


@pytest.mark.long
async def test_hosts_that_refuse_connections_and_those_that_hvops_asks_last_are_no_lost_place(play):
    """WinRM is stopped on the entry hosts alone, or everywhere: the machines run."""
    async with play("drill") as ops:
        await ops.says("/check-boot-layout hv05")
        await ops.recorded("answered", 1)
        world = ops.estate.world
        for name in ("hv01", "hv02"):
            ops.estate.do(lambda name=name: world.trouble(name, "refuse", on=True))
        await ops.says(f"/drill {SERVICE} --only lost")
        told = plain_text(await ops.sees("No plan yet for crm"))
        assert "hv03, hv04, hv05, hv06 answered (connection taken)" in told
        for name in ("hv03", "hv04", "hv05", "hv06"):
            ops.estate.do(lambda name=name: world.trouble(name, "refuse", on=True))
        await ops.says(f"/drill {SERVICE} --only lost")
        told = plain_text(await ops.sees("No plan yet for crm"))
        assert "hv01, hv02, hv03, hv04, hv05, hv06 answered (connection refused, so switched on" in told
        assert not [entry for entry in ops.ledger() if entry.kind == "proposed"]


@pytest.mark.long
async def test_a_lost_place_is_stated_word_by_word_before_people_fail_over(play, brief):
    """Nothing is failed over by hvops; what is typed is compared, and the work of people is looked at."""
    async with play("drill") as ops:
        title = f"Fail {SERVICE} over to branch by hand, with prod lost"
        await ops.says(f"/drill {SERVICE} --only lost")
        refused = plain_text(await ops.sees("No plan yet for crm"))
        assert "so the site is not lost" in refused
        await ops.guest_admin("Cut prod off")
        await approved(ops, f"/drill {SERVICE} --only lost", title)
        words = "Its state, in these words: powered off"
        person = ops.slack.person("approver")
        waiting = await person.sees(
            re.compile("is waiting for a manual step: State that the machines in prod are off"), "hv-ops"
        )

        async def states(said):
            await ops.clicks(waiting, "Done…", who="approver")
            window = await person.sees_view("Confirm T-1")
            await person.submits(window, STATED | {words: said})

        await states("it does not answer")
        await ops.recorded("refused", 1)
        (refusal,) = entries(ops, "refused")
        assert "it does not answer" in refusal.reason
        assert not entries(ops, "outcome")
        await ops.sees("T-1 stops at step 1", who="approver")
        await states("powered off")
        for name in GUESTS:
            await waits(ops, f"Fail {name} over to")
            ops.estate.do(lambda name=name: _fail_over_by_hand(ops, name))
            await says_done(ops, f"Fail {name} over to")
        await says_done(ops, f"Check that {SERVICE} works in branch")
        keep = await person.sees(re.compile("is waiting for a manual step: Keep the old machines of crm off"), "hv-ops")
        await ops.clicks(keep, "Done", who="approver")
        await ops.recorded("done", 1)
        said = {one.step: one.answers for one in entries(ops, "step-confirmed")}
        assert [one.answer for one in said["state-off"]] == ["hv05", "hv03", "powered off"]
        asked = ops.estate.do(lambda: list(ops.estate.world.asked))
        assert asked == []  # hvops itself has changed nothing


def _fail_over_by_hand(ops, name):
    copy = other_end(ops.estate.world, ops.estate.world.guest(name))
    copy.replication.state, copy.replication.failed_over, copy.state = 5, 1, "running"
