"""One transaction, exactly one row each, or nothing; and what is said when nobody can know."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import asdict, replace

import pytest

from bot.api.actions import RowTransaction
from bot.api.queries import RunReader, make_params
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    OutcomeUnknown,
    PolicyViolation,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.transport.allowlist.sql import CHANGEABLE
from bot.transport.client import TargetClient
from bot.transport.routing import Router
from bot.transport.sql.odbc import DatabaseCall
from bot.transport.turns import sending_unless
from lab.sqlserver.fault_injection import Fault
from lab.sqlserver.store import READ_ONLY, Login
from lab.world.vmm import DATABASE, MISSING, host_id, object_id


async def test_the_row_is_changed_and_comes_back_as_it_was(place):
    before = await place.databases().update(place.fix(), 20)
    assert before == [
        {
            "ObjectId": str(object_id(place.guest)).upper(),
            "HostId": str(host_id(place.world.node("hv04"))).upper(),
            "ObjectState": str(MISSING),
        }
    ]
    assert (place.record()["HostId"], place.record()["ObjectState"]) == (host_id(place.world.node("hv06")), 0)
    sent = [one for one in place.server.statements if one.startswith("UPDATE")]
    assert len(sent) == 1
    assert sent[0] == (
        "UPDATE [dbo].[tbl_WLC_VObject] SET [HostId] = @P1, [ObjectState] = @P2 "
        "WHERE [ObjectId] = @P3 AND [HostId] = @P4 AND [ObjectState] = @P5"
    )


@pytest.mark.parametrize("until", ["SET LOCK_TIMEOUT", "UPDATE"])
async def test_a_change_is_looked_at_once_more_behind_the_login_and_behind_the_locks(place, until):
    """Whoever stopped changes meanwhile finds every row as it was."""

    def why_not():
        return "changes are stopped" if any(one.startswith(until) for one in place.server.statements) else ""

    with sending_unless(why_not), pytest.raises(Withheld, match="nothing was sent: changes are stopped"):
        await place.databases().update(place.fix(), 20)
    assert any(one.startswith(until) for one in place.server.statements)
    assert not any(one.startswith("COMMIT") for one in place.server.statements)
    await place.databases().update(place.fix(), 20)  # which changes only rows that are as they were


async def test_the_last_look_may_wait_and_holds_up_nobody(place):
    """At a worker it asks the queue of the site, over the very loop that waits for the driver."""
    loop, looks = asyncio.get_running_loop(), []

    async def nothing():
        return ""

    def why_not():
        looks.append(asyncio.run_coroutine_threadsafe(nothing(), loop).result(20))
        return ""

    with sending_unless(why_not):
        await place.databases().update(place.fix(), 20)
    assert len(looks) == 2


async def test_the_last_look_is_the_one_before_the_commit(place):
    """At a worker it writes down that the change goes out, behind which no stop takes it back: the login and the locks come before."""
    looks = []
    with sending_unless(lambda: looks.append("last") or "", lambda: looks.append("earlier") or ""):
        await place.databases().update(place.fix(), 20)
    assert looks == ["earlier", "last"]


async def test_the_way_back_is_the_same_with_the_values_exchanged(place):
    fix = place.fix()
    await place.databases().update(fix, 20)
    back = replace(fix, rows=tuple(replace(row, was=row.becomes, becomes=row.was) for row in fix.rows))
    await place.databases().update(back, 20)
    assert place.record()["ObjectState"] == MISSING


async def test_through_reach(place, made_estate):
    reach = TargetClient(Router(made_estate(), {}), databases=place.databases())
    with closing(reach):
        answer = await reach.update(place.fix(), 20)
    assert (answer.by, answer.rows[0]["ObjectState"]) == ("vmm", str(MISSING))


async def test_a_value_that_is_no_longer_there_changes_nothing(place):
    place.background.do(lambda: place.vmm.objects.change(place.vmm.record(place.guest), ObjectState=200))
    with pytest.raises(TargetFault, match="ObjectState is 200 now, and was 220"):
        await place.databases().update(place.fix(), 20)
    assert place.record()["ObjectState"] == 200
    assert not [one for one in place.server.statements if one.startswith("UPDATE")]


async def test_a_row_that_is_gone_changes_nothing(place):
    with pytest.raises(TargetFault, match="0 rows"):
        await place.databases().update(place.fix(key=make_params(ObjectId="9" * 8 + "-9999-9999-9999-" + "9" * 12)), 20)


async def test_null_was_there_and_becomes(place):
    action = place.fix(was=make_params(HostId=str(host_id(place.world.node("hv04"))), ObjectState=MISSING))
    to_null = replace(action.rows[0], becomes=make_params(HostId=None))
    await place.databases().update(RowTransaction("vmm", "vmm", (to_null,)), 20)
    assert place.record()["HostId"] is None
    from_null = replace(to_null, was=make_params(HostId=None), becomes=to_null.was)
    await place.databases().update(RowTransaction("vmm", "vmm", (from_null,)), 20)
    assert place.record()["HostId"] == host_id(place.world.node("hv04"))


async def test_when_the_second_row_cannot_be_changed_neither_is_the_first(place):
    fix = place.fix()
    other = place.world.guest("crm-02")
    wrong = replace(fix.rows[0], key=make_params(ObjectId=str(object_id(other))))
    with pytest.raises(TargetFault, match="nothing was changed"):
        await place.databases().update(replace(fix, rows=(fix.rows[0], wrong)), 20)
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


async def test_two_at_once_change_it_once(place):
    results = await asyncio.gather(
        *(place.databases().update(place.fix(), 20) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, list) for one in results) == 1
    assert sum(isinstance(one, TargetFault) for one in results) == 4


async def test_somebody_who_has_the_row_locked_is_waited_for_and_then_given_up(place):
    with place.somebody_else() as other:
        other.execute("UPDATE tbl_WLC_VObject SET Name = Name WHERE ObjectId = ?", object_id(place.guest))
        with pytest.raises(TargetTimeout, match="has that row locked"):
            await place.databases().update(place.fix(), 1)
        other.rollback()
    assert place.record()["ObjectState"] == MISSING
    await place.databases().update(place.fix(), 20)


async def test_the_victim_of_a_deadlock_has_changed_nothing(place):
    place.server.trouble.faults.append(Fault("deadlock", "UPDATE"))
    with pytest.raises(TargetFault, match="deadlock") as lost:
        await place.databases().update(place.fix(), 20)
    assert lost.value.code == 1205
    assert place.record()["ObjectState"] == MISSING


async def test_who_may_only_read_changes_nothing(place):
    place.vmm.instance.add_login(Login("hvops", "p{w d=ü}", {DATABASE: READ_ONLY}))
    with pytest.raises(AuthenticationFailed, match="UPDATE permission was denied"):
        await place.databases().update(place.fix(), 20)


LOST_BEFORE = [
    Fault("drop before", "SET XACT_ABORT"),
    Fault("drop after", "SET XACT_ABORT"),
    Fault("drop before", "BEGIN TRAN"),
    Fault("drop after", "BEGIN TRAN"),
    Fault("drop before", "UPDLOCK"),
    Fault("drop after", "UPDLOCK"),
    Fault("drop before", "UPDATE ["),
    Fault("drop after", "UPDATE ["),
]


@pytest.mark.parametrize("fault", LOST_BEFORE, ids=lambda one: f"{one.kind} {one.matching}")
async def test_a_connection_lost_before_the_commit_has_changed_nothing(place, fault):
    place.server.trouble.faults.append(fault)
    with pytest.raises(ConnectionFailed):
        await place.databases().update(place.fix(), 10)
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


@pytest.mark.parametrize(("kind", "stays"), [("drop before", MISSING), ("drop after", 0)])
async def test_a_connection_lost_while_committing_is_unknown_until_looked_at(place, kind, stays):
    place.server.trouble.faults.append(Fault(kind, "COMMIT"))
    with pytest.raises(OutcomeUnknown, match="made as a whole or not at all"):
        await place.databases().update(place.fix(), 10)
    await place.settled()
    assert place.record()["ObjectState"] == stays
    question = RunReader("vmm", "vmm virtual machine", make_params(object=str(object_id(place.guest))))
    rows, _ = await place.databases().answer(question, 20)
    assert rows[0]["ObjectState"] == str(stays)  # and that can be asked


async def test_a_commit_that_never_answers_is_unknown(place):
    place.server.trouble.faults.append(Fault("hang", "COMMIT"))
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        await place.databases().update(place.fix(), 5)  # enough to come as far as the commit on a busy machine
    assert time.monotonic() - began < 60
    await place.settled()  # and no thread waits for it for ever


async def test_given_up_before_the_commit_nothing_is_committed_later(place):
    place.server.trouble.faults.append(Fault("hang", "UPDATE ["))
    task = asyncio.create_task(place.databases().update(place.fix(), 60))
    await place.asked("UPDATE [")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


async def test_cancelled_at_any_moment_all_or_nothing_and_the_process_lives(place):
    place.server.trouble.latency = 0.002
    databases = place.databases()

    async def give_up(number: int) -> None:
        work = databases.update(place.fix(), 10) if number % 2 else databases.answer(RunReader("vmm", "vmm hosts"), 10)
        task = asyncio.create_task(work)
        await asyncio.sleep(random.random() * 0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(12):
        await asyncio.gather(*map(give_up, range(8)))
    await place.settled()
    record = place.record()
    assert (record["ObjectState"] == 0) == (record["HostId"] == host_id(place.guest.node))


@pytest.mark.parametrize(
    ("statement", "expected", "says", "stays"),
    [
        ("UPDATE [", MalformedResponse, "Nothing was changed", MISSING),
        ("COMMIT", OutcomeUnknown, "being committed", None),
    ],
)
async def test_a_driver_that_crashes_takes_nobody_with_it(place, statement, expected, says, stays):
    """Native code on the way to a server that may send anything."""
    place.server.trouble.faults.append(Fault("hang", statement))
    databases = place.databases()
    task = asyncio.create_task(databases.update(place.fix(), 60))
    await place.asked(statement)
    (call,) = databases._running
    os.kill(call._process.pid, signal.SIGSEGV)
    with pytest.raises(expected, match=rf"SIGSEGV.*{says}"):
        await task
    await place.settled()
    assert place.record()["ObjectState"] == stays or stays is None
    rows, _ = await databases.answer(RunReader("vmm", "vmm hosts"), 20)
    assert len(rows) == 10


async def test_however_it_ends_the_exit_status_is_the_loops_alone(place, monkeypatch):
    """A signal sent by the process object itself takes the status from under the loop, which then warns at the terminal."""

    def taken(process, *_):
        pytest.fail("the exit status was asked for by somebody else than the loop")

    for way in ("kill", "terminate", "send_signal"):
        monkeypatch.setattr(asyncio.subprocess.Process, way, taken)
    databases = place.databases()
    assert await databases.answer(RunReader("vmm", "vmm hosts"), 20)
    place.server.trouble.faults.append(Fault("hang", "tbl_ADHC_Host"))
    with pytest.raises(TargetTimeout):
        await databases.answer(RunReader("vmm", "vmm hosts"), 1)
    place.server.trouble.faults.append(Fault("hang", "UPDATE ["))
    changing = asyncio.create_task(databases.update(place.fix(), 60))
    await place.asked("UPDATE [")
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    await place.settled()


@pytest.fixture
def alone(place):
    """The driver's process without a bot: `with alone(seconds) as driver, say, hear`; it is to mend the guest's record."""

    @contextmanager
    def started(seconds):
        databases = place.databases()
        rows = [asdict(row) for row in place.fix().rows]
        first = {"on": "vmm", "connection": databases._connection("vmm")[1], "ends": time.monotonic() + seconds}
        program = [sys.executable, "-P", "-m", "bot.transport.sql.driver_process"]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:

            def say(line):
                driver.stdin.write(f"{line}\n")
                driver.stdin.flush()

            async def hear():
                return json.loads(await asyncio.to_thread(driver.stdout.readline))

            say(json.dumps({**first, "database": "vmm", "changes": rows}))
            yield driver, say, hear

    return started


async def test_what_a_killed_bot_was_about_to_change_is_not_changed(place, alone):
    """The driver's process ends with the bot: it would hold a lock on the row, or commit what nobody wants any more."""
    place.server.trouble.faults.append(Fault("hang", "UPDATE ["))
    with alone(600) as (driver, say, hear):
        assert await hear() == {"look": "begin"}
        say("begin")
        await place.asked("UPDATE [")
        driver.stdin.close()  # as a SIGKILL of the bot does
        assert await asyncio.to_thread(driver.wait, 20) == 1
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


async def test_a_word_for_another_look_lets_nothing_be_committed(place, alone):
    with alone(600) as (driver, say, hear):
        assert await hear() == {"look": "begin"}
        for word in ("begin", "begin", "go", ""):
            say(word)
        assert await hear() == {"look": "commit"}
        driver.stdin.close()
        assert await asyncio.to_thread(driver.wait, 20) == 1
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


async def test_what_stood_still_until_its_end_is_committed_no_more(place, alone):
    """A machine that was frozen goes on wherever it was, and the bot may have told long ago that nothing was changed."""
    with alone(3) as (_driver, say, hear):
        assert await hear() == {"look": "begin"}
        say("begin")
        assert await hear() == {"look": "commit"}
        began = time.monotonic()
        await place.until(lambda: time.monotonic() - began > 3)
        say("commit")
        assert (await hear())["error"][0] == "TargetTimeout"
    await place.settled()
    assert place.record()["ObjectState"] == MISSING


async def test_a_bot_that_stood_still_behind_the_last_look_lets_nothing_be_committed(place):
    loop, stood = asyncio.get_running_loop(), []

    def why_not():
        if any(one.startswith("UPDATE") for one in place.server.statements):
            stood.append(loop.call_soon_threadsafe(time.sleep, 5))
        return ""

    with sending_unless(why_not), pytest.raises(TargetTimeout):
        await place.databases().update(place.fix(), 4)
    await place.settled()
    assert stood
    assert place.record()["ObjectState"] == MISSING


PRINTING = """
import os, sys
if any(one.endswith("driver_process") for one in sys.orig_argv):
    import pyodbc
    connect = pyodbc.connect
    class Seen:
        def __init__(self, real):
            self.__dict__["real"] = real
        def cursor(self):
            return Seen(self.real.cursor())
        def execute(self, text, *values):
            if text.startswith(os.environ["PRINTS_AT"]):
                os.write(1, os.environ["PRINTS"].encode() + b"\\n")  # as native code does
                assert os.read(0, 1) == b""
            return self.real.execute(text, *values)
        def __getattr__(self, name):
            return getattr(self.real, name)
        def __setattr__(self, name, value):
            setattr(self.real, name, value)
    pyodbc.connect = lambda *told, **named: Seen(connect(*told, **named))
"""


@pytest.fixture
def printing(tmp_path, monkeypatch):
    """A driver that prints a line before it sends a statement, and reads what it finds."""

    def made(at, line):
        (tmp_path / "sitecustomize.py").write_text(PRINTING)
        for name, value in {"PYTHONPATH": str(tmp_path), "PRINTS_AT": at, "PRINTS": line}.items():
            monkeypatch.setenv(name, value)

    return made


REFUSED = '{"error": ["TargetFault", "vmm", "no", ""], "code": null}'


@pytest.mark.parametrize(
    ("at", "line", "is_stopped"),
    [
        ("SET LOCK", '{"look": "x"}', True),
        ("SET LOCK", '{"look": "begin"}', True),
        ("SET LOCK", '{"look": "commit"}', True),
        ("UPDATE", '{"look": "commit"}', True),
        ("UPDATE", REFUSED, False),
        ("COMMIT", REFUSED, False),
        ("COMMIT", '{"rows": []}', False),
        ("COMMIT", "debug: 1", False),
    ],
)
async def test_what_a_driver_prints_is_no_word_of_ours(place, printing, at, line, is_stopped):
    """It let a change be committed without the last look, or told of one that was made that it was refused."""
    printing(at, line)

    def why_not():
        is_behind = any(one.startswith("UPDATE") for one in place.server.statements)
        return "changes are stopped" if is_stopped and is_behind else ""

    with sending_unless(why_not):
        (said,) = await asyncio.gather(place.databases().update(place.fix(), 20), return_exceptions=True)
    await place.settled()
    assert isinstance(said, Withheld if is_stopped else list)
    assert place.record()["ObjectState"] == (MISSING if is_stopped else 0)


@pytest.mark.parametrize("line", ['{"rows": []}', '{"rows": [{"ComputerName": "x"}]}', REFUSED])
async def test_what_a_driver_prints_is_no_answer(place, printing, line):
    printing("SELECT", line)
    rows, _ = await place.databases().answer(RunReader("vmm", "vmm hosts"), 20)
    assert len(rows) == 10


@pytest.mark.parametrize(
    "over",
    [
        {"table": "tbl_ADHC_Host"},
        {"table": "tbl_WLC_VObject] SET Name = 'x' --"},
        {"key": ()},
        {"key": make_params(ObjectId=None)},
        {"key": make_params(Name="crm-01")},
        {"key": make_params(ObjectId="x' OR 1=1 --")},
        {"key": make_params(ObjectId="11111111-1111-1111-1111-111111111111", Name="crm-01")},
        {"key": make_params(ObjectId="11111111-1111-1111-1111-111111111111", Zone="x")},
        {"key": make_params(HostId="11111111-1111-1111-1111-111111111111")},
        {"was": ()},
        {"becomes": ()},
        {"becomes": make_params(Name="other")},
        {"becomes": make_params(**{"HostId] = NULL --": None})},
        {"becomes": make_params(ObjectState="0; DROP TABLE tbl_WLC_VObject")},
        {"becomes": make_params(ObjectState=True)},
        {"becomes": make_params(ObjectState=2**31)},
        {"becomes": make_params(HostId="hv06")},
    ],
)
async def test_anything_but_the_two_columns_of_one_row_is_never_sent(place, over):
    with pytest.raises(PolicyViolation):
        await place.databases().update(place.fix(**over), 20)
    assert place.server.statements == []


@pytest.mark.parametrize("count", [0, 2, -1])
def test_a_driver_that_counts_anything_but_one_row_is_believed(place, count):
    """A trigger could change more; a driver may not know. Neither is committed."""
    fix = place.fix().rows[0]

    class Cursor:
        description = tuple((name, str, None, 36, 36, 0, True) for name in ("ObjectId", "HostId", "ObjectState"))
        rowcount = count
        pages = 1

        def execute(self, text, *values):
            pass

        def fetchmany(self, _count):
            if not self.pages:
                return []
            self.pages -= 1
            was = dict(fix.was)
            return [(dict(fix.key)["ObjectId"], was["HostId"], was["ObjectState"])]

    with pytest.raises(TargetFault, match=f"{count} rows would have been changed"):
        DatabaseCall("vmm", "", 5)._change(Cursor(), CHANGEABLE["tbl_WLC_VObject"], fix)


@pytest.mark.parametrize("database", ["msdb", "VirtualManagerDB", ""])
async def test_no_other_database(place, database):
    with pytest.raises(PolicyViolation):
        await place.databases().update(replace(place.fix(), database=database), 20)
