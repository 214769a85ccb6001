"""A copy of ledger, key and anchors is restored: external records know more than it does, and nothing is done twice."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import scripted_world as scripted
from entry_samples import entry_data
from scripted_world import NOBODY, OPERATOR, is_now, set_to, simple, step

from bot.api.actions import RowTransaction, Update
from bot.api.plan import Expect, Group, Plan, Step
from bot.api.queries import make_params
from bot.dispatch.pipeline import Request
from bot.doctor.check import Status
from bot.doctor.event_logs import event_logs
from bot.errors import LedgerError, NoPlan, RecordUnavailable
from bot.ledger import Ledger
from bot.ledger.anchors import anchors_in
from bot.ledger.schema import EVERYTHING

pytestmark = pytest.mark.sqlite  # looks into the file

RESET = [("hv03", "set", "yes"), ("hv03", "restart"), ("hv03", "set", "no")]


class Channel:
    """The audit channel: the newest head that was posted there."""

    def __init__(self):
        self.head = None
        self.is_silent = False

    async def __call__(self, *, to_post=False):
        await asyncio.sleep(0)
        if self.is_silent:
            raise RecordUnavailable("no answer from Slack in 20 s")
        return self.head

    def hears(self, ledger):
        head = ledger.head()
        self.head = ledger.seal.sign(head.seq, head.mac)


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
async def machine(tmp_path, world, clock):
    """Makes bots in folders of their own, all about the same hosts; a copy has what the first one had at that moment."""
    made = []

    def make(name="first", **options):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(scripted.Bench(folder, world, clock, **options))
        return made[-1]

    def copied(name="copy", **options):
        (tmp_path / name).mkdir()
        for one in made:
            one.ledger.settle_anchors()
        source, copy = sqlite3.connect(tmp_path / "first/ledger.db"), sqlite3.connect(tmp_path / name / "ledger.db")
        source.backup(copy)
        source.close()
        copy.close()
        for file in ("ledger.key", "anchors.txt"):
            shutil.copy(tmp_path / "first" / file, tmp_path / name / file)
        return make(name, **options)

    make.copied = copied
    yield make
    for one in made:
        await one.close()


def said(bench, kind="stopped"):
    return [one.says for one in bench.told if one.kind == kind]


async def half_way(bench, world, group="restart"):
    """Run until a group is over, and have the bot killed there."""
    ticket = await bench.approved()
    steps = {"drain": 1, "restart": 2}[group]
    world.hooks[steps] = lambda: [task.cancel() for task in bench.runner._tasks.values()]
    await bench.runs()
    assert len(world.order) == steps
    return ticket


async def test_a_copy_of_an_approved_ticket_starts_nothing_that_the_channel_knows_was_done(machine, world, channel):
    first = machine(outside=channel)
    ticket = await first.approved()
    copy = machine.copied(outside=channel)
    await first.runs()
    channel.hears(first.ledger)
    assert world.order == RESET
    world.silent.add("no-logs")
    await copy.runs(sweeps=2)
    assert (world.order, copy.kinds(ticket)[-1]) == (RESET, "approved")
    ends, begins = first.ledger.head(), copy.ledger.head()
    (told,) = set(said(copy))
    for words in (
        f"the audit channel records entry {ends.seq} (mac {ends.mac.hex()[:12]}…)",
        f"this ledger ends at entry {begins.seq} (mac {begins.mac.hex()[:12]}…); it looks like a restored copy",
    ):
        assert words in told
    assert "it looks like a restored copy" in copy.parts.outside.sentence()


async def test_a_copy_starts_nothing_that_only_the_host_remembers(machine, world, channel):
    first = machine(outside=channel)
    ticket = await first.approved()
    copy = machine.copied(outside=channel)
    await first.runs()
    channel.is_silent = True
    await copy.runs(sweeps=2)
    assert (world.order, copy.kinds(ticket)[-1]) == (RESET, "approved")
    assert "the event log of hv03 records entry" in said(copy)[0]
    assert "T-1 started its step resume" in said(copy)[0]


def writes_on(copy, world, ticket, what):
    """What a restored copy can write without any external record having answered."""
    if what == "a question":
        copy.ledger.append("T1/U7", entry_data("asked", {"line": "/check-writers hv01"}))
    elif what == "an approval":
        copy.decisions.approve(copy.press(scripted.APPROVER, ticket))


WRITES = ["nothing", "a question", "an approval"]


async def copied_before_it_ran(machine, what):
    """An original that has run a ticket since, and its copy, of before that, which goes on writing."""
    first = machine(outside=scripted.NOBODY)
    if what == "an approval":
        ticket = (await first.propose()).ticket
        copy = machine.copied(outside=scripted.NOBODY)
        first.decisions.approve(first.press(scripted.APPROVER, ticket))
    else:
        ticket = await first.approved()
        copy = machine.copied(outside=scripted.NOBODY)
    await first.runs()
    return ticket, copy


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize("buried", [("14:02", 199), ("14:02", 400), ("14:00", 400), ("", 400)])
async def test_notes_buried_under_events_of_others_are_not_taken_for_none(machine, world, clock, what, buried):
    """Whoever can write to the log of a host can write as hvops, and only the newest events are read."""
    at, events = buried
    ticket, copy = await copied_before_it_ran(machine, what)
    world.hosts["hv03"]["broken"] = "yes"
    when = f"2026-03-02T{at}:00Z" if at else ""
    world.notes = [(on, says, when) for on, says, *_ in world.notes]
    world.notes += [("hv03", f"hvops {number}", when) for number in range(events)]
    clock.forward(minutes=5)
    writes_on(copy, world, ticket, what)
    await copy.runs(sweeps=2)
    assert (world.order, copy.kinds(ticket)[-1]) == (RESET, "approved")
    assert f"hvops events do not reach back to entry 2 of {ticket} (2026-03-02 14:00 UTC)" in said(copy)[0]


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize("begins", ["2026-03-02T14:00:00Z", "2026-03-02T14:02:00Z", "2026-03-09T00:00:00.0000001Z"])
async def test_a_log_that_was_cleared_or_overwritten_since_is_not_taken_for_one_without_notes(
    machine, world, clock, what, begins
):
    ticket, copy = await copied_before_it_ran(machine, what)
    world.hosts["hv03"]["broken"] = "yes"
    world.notes, world.log_begins = [], begins
    clock.forward(minutes=5)
    writes_on(copy, world, ticket, what)
    await copy.runs(sweeps=2)
    assert (world.order, copy.kinds(ticket)[-1]) == (RESET, "approved")
    assert (
        f"is no older than entry 2 of {ticket} (2026-03-02 14:00 UTC): it was cleared or overwritten" in said(copy)[0]
    )


async def test_the_examiner_takes_no_cleared_log_for_an_answer_because_the_copy_was_asked_since(machine, world, clock):
    ticket, copy = await copied_before_it_ran(machine, "nothing")
    world.notes, world.log_begins = [], "2026-03-02T14:02:00Z"
    clock.forward(minutes=5)
    copy.ledger.append("T1/U7", entry_data("asked", {"line": "/x"}))
    files = SimpleNamespace(
        require_anchor=True, may_be_begun=True, key_file=copy.ledger.key_file, place=copy.ledger.place
    )
    out = SimpleNamespace(
        settings=SimpleNamespace(ledger=files, limits=SimpleNamespace(per_host_seconds=20)),
        inventory_file=SimpleNamespace(hosts={"hv03": SimpleNamespace(name="hv03")}, clusters={}),
        target_client=world,
    )
    (found,) = await event_logs(out)
    assert found.status is Status.WARN
    assert f"no older than entry 2 of {ticket}" in found.says


def in_groups(keys):
    """A plan of one slow step a group, each of which can be seen for good."""
    steps = (replace(scripted.step(key, "hv03", deadline=7200, within=7200), act=scripted.set_to("hv03", **{key: "1"}),
        done=(scripted.is_now("hv03", 7200, **{key: "1"}),)) for key in keys)  # fmt: skip
    plan = Plan("why", "", "", ("node:hv03",), (), tuple(Group(step.key, (step,)) for step in steps))
    return {"reset": lambda _on, _facts: plan}


@pytest.mark.parametrize("goes_on", ["by itself", "by a person"])
async def test_what_a_copy_settles_of_a_run_or_is_let_go_on_with_makes_no_cleared_log_an_answer(
    machine, world, clock, goes_on
):
    """What was in flight when it was made is settled with nobody asked, and a person's word is none of a record."""
    first = machine(outside=scripted.NOBODY, plans=in_groups("abc"))
    ticket = await first.approved()
    world.hooks[1] = lambda: [task.cancel() for task in first.runner._tasks.values()]
    await first.runs()
    await first.dies()
    assert first.ledger.ticket(ticket).intent[0] == "a"
    copy = machine.copied(outside=scripted.NOBODY, plans=in_groups("abc"))
    await first.runs()
    done = list(world.order)
    assert (len(done), first.last(ticket).kind) == (3, "done")
    clock.forward(minutes=5)
    world.notes, world.log_begins = [], "2026-03-02T14:02:00Z"
    await copy.runs(sweeps=2)
    assert copy.ledger.entries(ticket=ticket, kind="outcome")[0].data.result == "done"
    if goes_on == "by a person":
        clock.forward(minutes=5)
        copy.decisions.resume(copy.press(scripted.APPROVER, ticket))
        await copy.runs(sweeps=2)
    assert (world.order, copy.last(ticket).kind) == (done, "interrupted")
    assert "was cleared or overwritten" in copy.last(ticket).reason


async def test_a_log_that_is_soon_overwritten_is_an_answer_for_a_bot_that_works_on(machine, world, clock):
    """It has to reach back to what hvops itself did last for the ticket, not to when the bot or the run was begun."""
    bench = machine(outside=scripted.NOBODY, anchor_minutes=1, plans=in_groups("abcdef"))

    def overwritten():
        clock.forward(minutes=20)
        world.log_begins = (clock.now - timedelta(minutes=10)).isoformat()

    clock.forward(days=30)
    overwritten()
    bench.ledger.append("T1/U7", entry_data("asked", {"line": "/x"}))
    world.hooks.update(dict.fromkeys(range(1, 6), overwritten))
    ticket = await bench.approved()
    await bench.runs()
    assert (len(world.order), bench.last(ticket).kind) == (6, "done")


async def test_a_log_of_many_events_that_reaches_back_to_the_newest_entry_is_an_answer(machine, world):
    bench = machine(outside=scripted.NOBODY)
    world.notes += [("hv03", f"hvops {number}", "2026-03-02T13:59:00.1234567Z") for number in range(400)]
    ticket = await bench.approved()
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (RESET, "done")


async def test_a_copy_that_nobody_is_asked_about_runs_a_second_time(machine, world):
    """What the others keep from happening, and what require_anchor = false says that it allows."""
    first = machine(outside=scripted.NOBODY)
    await first.approved()
    copy = machine.copied(outside=scripted.NOBODY, required=False)
    await first.runs()
    await copy.runs()
    assert world.order == RESET * 2
    assert "require_anchor is false" in copy.parts.outside.sentence()


async def test_with_nobody_to_ask_a_start_waits_says_for_what_and_begins_once_one_answers(
    machine, world, channel, clock
):
    bench = machine(outside=channel)
    channel.is_silent = True
    world.silent.add("no-logs")
    ticket = await bench.approved()
    await bench.runs(sweeps=3)
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    (told,) = set(said(bench))
    assert told.startswith("Waiting: no external record can show whether this ledger is a restored copy (")
    for words in (
        "the anchor file: on the same disk as the ledger",
        "the audit channel: no answer from Slack in 20 s",
        "the event log of hv03: ",
    ):
        assert words in told
    channel.is_silent = False
    await bench.runs()
    assert world.order == []  # it does not ask every second
    clock.forward(seconds=31)
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (RESET, "done")
    assert bench.parts.outside.sentence() == ""


async def test_an_anchor_file_that_does_not_answer_holds_up_no_run_that_another_place_lets_begin(
    machine, world, channel, monkeypatch
):
    """A share whose server is away gives neither bytes nor an error: one thread stands there, and no run."""
    back, asked = threading.Event(), []
    monkeypatch.setattr("bot.executor.external_records._WHOLE_FILE_SECONDS", 0.05)
    monkeypatch.setattr("bot.executor.external_records.newest", lambda *_: asked.append(1) or back.wait(30))
    bench = machine(outside=channel)
    try:
        ticket = await bench.approved()
        await bench.runs()
        assert (world.order, bench.last(ticket).kind) == (RESET, "done")
        assert len(asked) == 1
    finally:
        back.set()


async def test_an_anchor_file_that_does_not_answer_takes_no_thread_that_others_wait_for(machine, channel, monkeypatch):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    back, asked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        "bot.executor.external_records.newest",
        lambda *_: loop.call_soon_threadsafe(asked.set) and back.wait(30) and None,
    )
    outside = machine(outside=channel).parts.outside
    asking = asyncio.create_task(outside._ask_file())
    try:
        async with asyncio.timeout(20):
            await asked.wait()
            assert await asyncio.to_thread(lambda: "read") == "read"
    finally:
        back.set()
    with pytest.raises(RecordUnavailable, match="no anchor of this ledger"):
        await asking


async def test_a_start_waits_for_the_anchor_that_is_not_written_and_says_so(machine, world, monkeypatch):
    """On a share that is away for writes: entries are written down all the same."""
    monkeypatch.setattr("bot.executor.external_records.is_elsewhere", lambda _ledger, _file: True)
    monkeypatch.setattr("bot.ledger.anchors.WAIT_SECONDS", 0.05)
    back = threading.Event()
    bench = machine(outside=scripted.NOBODY)
    world.silent.add("no-logs")
    ticket = await bench.approved()
    assert bench.ledger.settle_anchors() == ""
    file = bench.ledger._anchors._file

    class Away:
        def write(self, lines):
            back.wait(30)
            return file.write(lines)

        def __getattr__(self, name):
            return getattr(file, name)

    bench.ledger._anchors._file = Away()
    try:
        asked = bench.ledger.append("T1/U1", entry_data("asked"))
        await bench.runs()
        assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
        assert f"the anchor of entry {asked.seq} is not written yet: no answer in" in said(bench)[0]
    finally:
        back.set()
    bench.ledger._anchors._thread.submit(lambda: None).result(30)
    bench.clock.forward(minutes=1)
    await bench.runs()
    assert world.order == RESET


async def test_an_anchor_file_on_another_disk_is_asked_and_is_enough(machine, world, channel, monkeypatch):
    monkeypatch.setattr("bot.executor.external_records.is_elsewhere", lambda _ledger, _file: True)
    bench = machine(outside=scripted.NOBODY)
    world.silent.add("no-logs")
    ticket = await bench.approved()
    bench.ledger.settle_anchors()
    kept = bench.ledger.anchor_file.read_text()
    bench.ledger.anchor_file.write_text(kept + f"{bench.ledger.seal.sign(900, b'm' * 32)}\n")
    await bench.runs()
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    assert "the anchor file records entry 900" in said(bench)[0]
    bench.ledger.anchor_file.write_text(kept)
    await bench.close()
    again = machine(outside=scripted.NOBODY)
    await again.runs()
    assert world.order == RESET


async def test_an_answer_stands_for_the_silent_ones_for_a_while(machine, world, channel, clock):
    bench = machine(outside=channel)
    await bench.approved()
    await bench.runs()
    channel.is_silent = True
    world.silent.add("no-logs")
    world.hosts["hv03"]["broken"] = "yes"
    second = await bench.approved()
    await bench.runs()
    assert bench.last(second).kind == "done"
    clock.forward(minutes=61)
    third = await bench.approved()
    await bench.runs()
    assert bench.kinds(third)[-1] == "approved"


@pytest.mark.parametrize("who", ["the audit channel", "the event log of hv03"])
async def test_a_copy_of_a_running_ticket_is_left_to_a_person(machine, world, channel, who):
    first = machine(outside=channel)
    ticket = await half_way(first, world, "drain")
    await first.dies()
    copy = machine.copied(outside=channel)
    await first.runs()
    assert (world.order, first.last(ticket).kind) == (RESET, "done")
    if who == "the audit channel":
        channel.hears(first.ledger)
    await copy.runs(sweeps=2)
    assert world.order == RESET
    ended = copy.last(ticket)
    assert ended.kind == "interrupted"
    assert f"{who} records entry" in ended.reason
    assert "it looks like a restored copy" in ended.reason


async def test_a_copy_of_a_ticket_that_undoes_what_failed_is_left_to_a_person(machine, world, channel):
    def undoable(key, wanted="1"):
        return Step(
            key, key, scripted.set_to("hv03", **{key: "1"}), (scripted.is_now("hv03", give_up=Expect(), **{key: wanted}),),
            undo=scripted.set_to("hv03", **{key: "0"}), undone=(scripted.is_now("hv03", **{key: "0"}),),
        )  # fmt: skip

    steps = (undoable("a"), undoable("b"), undoable("c", wanted="2"))
    plan = Plan("why", "", "", ("node:hv03",), (), (Group("all", steps, on_failure="undo"),))
    first = machine(outside=channel, plans={"reset": lambda _on, _facts: plan})
    ticket = await first.approved()
    world.hooks[4] = lambda: [task.cancel() for task in first.runner._tasks.values()]
    await first.runs()
    assert first.ledger.ticket(ticket).intent[0] == "undo-c"
    await first.dies()
    copy = machine.copied(outside=channel, plans={"reset": lambda _on, _facts: plan})
    await first.runs()
    assert (len(world.order), first.last(ticket).kind) == (6, "failed")
    channel.hears(first.ledger)
    await copy.runs(sweeps=2)
    assert (len(world.order), copy.last(ticket).kind) == (6, "interrupted")
    assert "it looks like a restored copy" in copy.last(ticket).reason


async def test_a_copy_that_a_person_lets_go_on_is_asked_about_again(machine, world, channel):
    first = machine(outside=channel)
    ticket = await half_way(first, world, "drain")
    await first.dies()
    copy = machine.copied(outside=channel)
    await first.runs()
    for _ in range(2):
        await copy.runs()
        assert copy.last(ticket).kind == "interrupted"
        copy.decisions.resume(copy.press(scripted.APPROVER, ticket))
    await copy.runs()
    assert (world.order, copy.last(ticket).kind) == (RESET, "interrupted")


async def test_with_nobody_to_ask_a_run_finishes_its_step_and_stops_before_the_next_group(
    machine, world, channel, clock
):
    bench = machine(outside=channel, anchor_minutes=10)

    def nobody_any_more():
        channel.is_silent = True
        world.silent.add("no-logs")
        clock.forward(minutes=11)

    world.hooks[1] = nobody_any_more
    ticket = await bench.approved()
    await bench.runs()
    assert world.order == RESET[:1]
    (outcome,) = bench.ledger.entries(ticket=ticket, kind="outcome")
    assert outcome.data.result == "done"
    ended = bench.last(ticket)
    assert (ended.kind, ended.data.number) == ("interrupted", 2)
    assert "no external record can show" in ended.reason


async def test_after_a_restart_with_nobody_to_ask_only_what_is_in_flight_is_settled(machine, world, channel):
    first = machine(outside=channel)
    ticket = await half_way(first, world, "drain")
    await first.close()
    channel.is_silent = True
    world.silent.add("no-logs")
    again = machine(outside=channel)
    await again.runs()
    assert world.order == RESET[:1]
    ended = again.last(ticket)
    assert (ended.kind, ended.data.number) == ("interrupted", 2)
    assert again.ledger.entries(ticket=ticket, kind="outcome")[0].data.result == "done"


@pytest.mark.parametrize("turns", range(6))
async def test_an_old_and_a_new_one_alive_at_once_do_nothing_twice(machine, world, turns):
    """Both have the same approval and reach the same host; each writes its note before it looks for the other's."""
    first = machine(outside=scripted.NOBODY)
    await first.approved()
    copy = machine.copied(outside=scripted.NOBODY)
    await first.runner.tick()
    for _ in range(turns * 7):
        await asyncio.sleep(0)
    await copy.runner.tick()
    await asyncio.gather(first.runner.wait_idle(), copy.runner.wait_idle())
    assert all(times == 1 for times in world.acts.values()), world.order
    (entry,) = {note.partition("entry ")[2].split()[0] for _, note in world.notes if "Pause hv03: starting" in note}
    told = first.parts.outside.sentence() or copy.parts.outside.sentence()
    # The one that gives way has an entry of that number itself, or has not come so far: it depends on who is first.
    assert re.search(rf"records entry {entry} \(mac .*…\), (here with mac .*…, )?but this ledger ends at entry ", told)


async def test_an_end_in_the_channel_stops_the_older_of_two_in_the_middle(machine, world, channel, clock):
    first = machine(outside=channel)
    ticket = await first.approved()
    copy = machine.copied(outside=channel)
    world.silent |= {"no-logs", "no-notes"}

    def somebody_else_went_on():
        for _ in range(9):
            copy.ledger.append("U", entry_data("asked", {"line": "/hvops help"}))
        channel.hears(copy.ledger)
        clock.forward(seconds=3)

    world.hooks[1] = somebody_else_went_on
    await first.runs()
    assert (world.order, first.last(ticket).kind) == (RESET[:1], "interrupted")


async def test_notes_that_others_wrote_or_moved_here_stop_nothing(machine, world, tmp_path):
    bench = machine(outside=scripted.NOBODY)
    (tmp_path / "other").mkdir()
    strangers = Ledger(*(tmp_path / "other" / name for name in scripted.LEDGER_FILES))
    strangers.append("U", entry_data("asked", {"line": "/x"}))
    done = await bench.approved("/reset hv04")
    await bench.runs()
    genuine = world.notes[0][1]
    assert "hvops T-1: Pause hv04: starting. (note of T-1 plan " in genuine
    ours = bench.ledger.seal.ledger
    world.notes += [
        ("hv03", genuine),  # of another host
        ("hv03", re.sub("entry [0-9]+ ", "entry 4000 ", genuine)),
        ("hv03", genuine.replace("T-1", "T-2")),
        ("hv03", re.sub("seal [0-9a-f]+", f"seal {'ab' * 16}", genuine.replace("T-1", "T-2"))),
        ("hv03", genuine.replace("T-1", "T-2").replace(ours, strangers.seal.ledger)),
        ("hv03", "hvops T-2: Pause hv03: starting. (note of T-2"),
        ("hv03", ""),
    ]
    strangers.close()
    ticket = await bench.approved("/reset hv03")
    await bench.runs()
    assert [bench.last(one).kind for one in (done, ticket)] == ["done", "done"]


async def test_each_act_is_noted_before_and_after_it(machine, world):
    bench = machine(outside=scripted.NOBODY)
    ticket = await bench.approved()
    await bench.runs()
    told = [says.partition(" (note")[0].partition(" Asked")[0] for _, says in world.notes]
    assert told[:2] == [f"hvops {ticket}: Pause hv03: starting.", f"hvops {ticket}: Pause hv03: done."]
    assert len(told) == 6


async def test_a_host_that_takes_no_notes_and_shows_none_keeps_nothing_from_being_done(machine, world, channel):
    bench = machine(outside=channel)
    world.silent |= {"no-logs", "no-notes"}
    ticket = await bench.approved()
    await bench.runs()
    assert (world.order, bench.last(ticket).kind) == (RESET, "done")


async def test_rows_of_a_database_have_no_log_and_go_by_the_channel_alone(machine, channel, clock):
    row = RowTransaction("hv03", "db", (Update("t", make_params(id="1"), make_params(b="0"), make_params(b="1")),))
    one = Step("row", "Change a row", row, (scripted.is_now("hv03", b="1"),))
    bench = machine(outside=channel, plans={"reset": lambda on, _facts: scripted.simple(on, one)})
    ticket = await bench.approved()
    channel.is_silent = True
    await bench.runs()
    assert bench.kinds(ticket)[-1] == "approved"
    assert "the event log" not in said(bench)[0]
    channel.is_silent = False
    clock.forward(seconds=31)
    await bench.runs()
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_bot_that_is_killed_at_its_own_note_takes_it_for_its_own_afterwards(
    machine, world, monkeypatch, number
):
    bench = machine(outside=scripted.NOBODY)
    ticket = await bench.approved()
    write = world._note

    def noted(action):
        answer = write(action)
        if len(world.notes) == number:
            for task in bench.runner._tasks.values():
                task.cancel()
        return answer

    monkeypatch.setattr(world, "_note", noted)
    await bench.runs()
    await bench.close()
    again = machine(outside=scripted.NOBODY)
    await again.runs(sweeps=2)
    assert all(times == 1 for times in world.acts.values()), world.order
    assert again.parts.outside.sentence() == ""
    assert again.last(ticket).kind in ("done", "interrupted")
    # Of these nobody can say that they did not happen.
    assert (again.last(ticket).kind == "done") == (number not in (3, 5))


def while_the_note_is_written(world, at, then):
    """A host takes its time for the note before an act; meanwhile something happens."""
    write, notes = world._note, []

    def note(action):
        notes.append(action)
        if len(notes) == at:
            then()
        return write(action)

    world._note = note


async def test_a_stop_that_comes_while_a_host_takes_the_note_keeps_the_act_from_being_sent(
    machine, world, channel, clock
):
    """And once everything may begin again, its plan is made afresh: nothing of it was begun."""
    seen = []

    async def sleep(seconds):
        seen.append(list(world.order))
        if len(seen) == 3:
            world.hosts["hv03"]["locked"] = "yes"
            bench.decisions.allow_changes(scripted.APPROVER)
        await clock.sleep(seconds)

    bench = machine(outside=channel, sleep=sleep)
    ticket = await bench.approved()
    while_the_note_is_written(world, 1, lambda: bench.decisions.stop_changes(scripted.APPROVER, "now"))
    await bench.runs()
    assert len(seen) >= 3
    assert world.order == []
    assert bench.last(ticket).kind == "voided"
    assert "a check does not pass now: This check failed: No guest is locked" in bench.last(ticket).reason


@pytest.mark.parametrize("acts", [0, 1, 2], ids=["first group", "its second step", "next group"])
async def test_what_a_stop_held_back_asks_the_external_records_again(machine, world, channel, clock, acts):
    def three(on, _facts):
        a, b, c = (scripted.step(key, on, deadline=7200, **{key: "1"}) for key in ("a", "b", "c"))
        return replace(scripted.simple(on, a), groups=(scripted.Group("one", (a, b)), scripted.Group("two", (c,))))

    async def sleep(seconds):
        await clock.sleep(seconds)
        if bench.ledger.is_stopped():
            clock.forward(minutes=11)
            channel.is_silent = True
            world.silent.add("no-logs")
            bench.decisions.allow_changes(scripted.APPROVER)

    bench = machine(outside=channel, sleep=sleep, anchor_minutes=10, plans={"three": three})
    ticket = await bench.approved("/three hv03")
    world.logins[acts] = lambda: bench.decisions.stop_changes(scripted.APPROVER, "now")
    await bench.runs(2)
    assert (len(world.order), bench.last(ticket).kind) == (acts, "interrupted")
    assert "no external record can show" in bench.last(ticket).reason


async def test_what_was_stopped_before_it_was_sent_is_sent_once_after_go(machine, world, channel, clock):
    async def sleep(seconds):
        assert world.order == RESET[:1]
        bench.decisions.allow_changes(scripted.APPROVER)
        await clock.sleep(seconds)

    bench = machine(outside=channel, sleep=sleep)
    ticket = await bench.approved()
    while_the_note_is_written(world, 3, lambda: bench.decisions.stop_changes(scripted.APPROVER, "now"))
    await bench.runs()
    assert world.order == RESET
    assert bench.kinds(ticket)[5:9] == ["intent", "outcome", "resumed", "intent"]
    assert bench.last(ticket).kind == "done"


@pytest.mark.parametrize("what", ["late", "cancelled"])
async def test_what_ends_while_a_host_takes_the_note_is_not_sent(machine, world, channel, clock, what):
    bench = machine(outside=channel)
    ticket = await bench.approved()

    def ends():
        if what == "late":
            clock.forward(days=2)
        else:
            bench.decisions.cancel(bench.press(scripted.OPERATOR, ticket))

    while_the_note_is_written(world, 1, ends)
    await bench.runs(2)
    assert world.order == []
    assert bench.last(ticket).kind == {"late": "interrupted", "cancelled": "cancelled"}[what]


async def test_a_row_of_the_newer_ledger_put_into_the_copy_deceives_no_place(machine, world, channel):
    """Its mac holds, as the same key made it; but the chain of the copy does not lead through it."""
    first = machine(outside=channel)
    await first.propose("/tweak hv04")
    copy = machine.copied(outside=channel)
    for line, ledger, often in (("/x", first.ledger, 6), ("/y", copy.ledger, 12)):
        for _ in range(often):
            ledger.append("T1/U9", entry_data("asked", {"line": line}))
    channel.hears(first.ledger)
    ticket = await copy.approved()
    body, previous, mac = first.ledger._reader.link(channel.head.seq)
    with sqlite3.connect(copy.ledger.path, isolation_level=None) as database:
        database.execute("DROP TRIGGER entry_stays")
        row = (body.decode(), previous, mac, channel.head.seq)
        database.execute("UPDATE entry SET body = ?, previous = ?, mac = ? WHERE seq = ?", row)
        database.execute(EVERYTHING["entry_stays"])
    database.close()
    assert copy.ledger.entry(channel.head.seq).mac == channel.head.mac
    await copy.runs(sweeps=2)
    assert (world.order, copy.kinds(ticket)) == ([], ["proposed", "approved"])


def cut_off(ledger, seq):
    """Take the entries from there on out of the file, and none of the definitions."""
    with sqlite3.connect(ledger.path, isolation_level=None) as database:
        database.execute("DROP TRIGGER entry_remains")
        database.execute("DELETE FROM entry WHERE seq >= ?", (seq,))
        database.execute(EVERYTHING["entry_remains"])
    database.close()


def append_old(ledger, seq, lines=400):
    """Put anchors of before that entry behind all others again: what somebody can who may only append."""
    ledger.settle_anchors()
    old = ledger.anchor_file.read_text().splitlines()[: seq - 1][-lines:]
    with ledger.anchor_file.open("a") as file:
        file.write("".join(f"{line}\n" for line in old))


@pytest.mark.parametrize("buried", [False, True])
async def test_a_stop_of_a_second_process_that_was_cut_off_again_ends_the_group(machine, world, channel, buried):
    """The process that runs has never seen it; its anchor is in the file that both write, behind whatever others append."""

    def three(on, _facts):
        return scripted.simple(on, *(scripted.step(key, on, **{key: "1"}) for key in ("a", "b", "c")))

    bench, second = (machine(outside=channel, plans={"three": three}) for _ in range(2))
    for _ in range(300 if buried else 0):
        bench.ledger.append("T1/U9", entry_data("asked", {"line": "/x"}))
    ticket = await bench.approved("/three hv03")

    def stopped_and_cut_off():
        seq = second.decisions.stop_changes(scripted.APPROVER, "wait").seq
        second.ledger.settle_anchors()
        cut_off(bench.ledger, seq)
        if buried:
            append_old(bench.ledger, seq)

    world.hooks[1] = stopped_and_cut_off
    await bench.runs(2)
    assert len(world.order) == 1
    assert "the anchor file records entry" in bench.last(ticket).reason


@pytest.mark.parametrize("how", ["buried", "swallowed"])
async def test_no_bot_begins_on_a_ledger_whose_end_was_cut_off_whatever_was_appended_to_the_anchors(machine, how):
    """A withdrawal, for instance: without it the ticket is approved again."""
    bench = machine()
    for _ in range(300):
        bench.ledger.append("T1/U9", entry_data("asked", {"line": "/x"}))
    ticket = await bench.approved()
    bench.ledger.settle_anchors()
    if how == "swallowed":
        with bench.ledger.anchor_file.open("a") as file:
            file.write("x")  # a line without an end, right before that of hvops
    seq = bench.decisions.withdraw(bench.press(scripted.OPERATOR, ticket)).seq
    bench.ledger.settle_anchors()
    assert [one.seq for one in anchors_in(bench.ledger.anchor_file)][-1] == seq
    await bench.close()
    cut_off(bench.ledger, seq)
    append_old(bench.ledger, seq)
    with pytest.raises(LedgerError, match=f"knows entry {seq}: newer entries are gone"):
        machine()


async def test_an_anchor_file_that_lost_what_hvops_wrote_there_is_no_answer(machine, world, monkeypatch):
    monkeypatch.setattr("bot.executor.external_records.is_elsewhere", lambda _ledger, _file: True)
    bench = machine(outside=scripted.NOBODY)
    world.silent.add("no-logs")
    ticket = await bench.approved()
    bench.ledger.settle_anchors()
    kept = bench.ledger.anchor_file.read_text()
    bench.ledger.anchor_file.write_text(kept.splitlines()[0] + "\n")
    await bench.runs()
    assert (world.order, bench.kinds(ticket)[-1]) == ([], "approved")
    assert "does not hold the anchor of entry 3, which hvops wrote there" in said(bench)[0]
    bench.ledger.anchor_file.write_text(kept)
    bench.clock.forward(minutes=1)
    await bench.runs()
    assert world.order == RESET


async def test_what_a_record_held_back_was_not_begun_and_is_not_undone(benches, world, clock):
    """Nothing went out, and no note on the host says that another copy sent it: what people do later is theirs."""
    switch = replace(step("a", "hv03", a="1"), undo=set_to("hv03", a="0"), undone=(is_now("hv03", 60, a="0"),))
    bench = benches(outside=NOBODY, plans={"reset": lambda *_: simple("hv03", switch)})
    world.hosts["hv03"]["a"] = "0"
    outside, real = bench.parts.outside, bench.parts.outside.refuses

    async def refuses(*_):
        return "the anchor file records entry 99, here with another mac"

    outside.refuses = refuses
    ticket = await bench.approved()
    await bench.runs(2)
    outside.refuses = real
    assert world.order == []
    assert (bench.last(ticket).kind, bench.ledger.ticket(ticket).intent) == ("interrupted", None)
    world.hosts["hv03"]["a"] = "1"
    clock.forward(hours=1)
    with pytest.raises(NoPlan):
        await bench.proposals.undo(Request(OPERATOR, f"undo {ticket}", "button", "C0OPS"), ticket)
