"""Questions to SCVMM's database, and everything that can go wrong with them."""

import asyncio
import resource
import socket
import sys
import threading
import time
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bot.api.queries import RunReader, make_params
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    PolicyViolation,
    TargetFault,
    TargetTimeout,
)
from bot.redaction import Redactor
from bot.transport.allowlist.sql import QUERIES
from bot.transport.bounds import MAX_WEIGHT
from bot.transport.client import TargetClient
from bot.transport.routing import Router
from bot.transport.sql import odbc
from bot.transport.sql.databases import Databases
from bot.transport.sql.driver_call import DriverCall
from bot.transport.sql.odbc import DatabaseCall
from bot.transport.sql.sql_errors import TOO_LONG, from_database, to_texts
from lab.sqlserver.connection import Connection as LabConnection
from lab.sqlserver.errors import SqlError
from lab.sqlserver.fault_injection import Fault
from lab.sqlserver.store import READ_ONLY, Login
from lab.sqlserver.types import TEXT
from lab.sqlserver.wire import tokens
from lab.sqlserver.wire.packets import Kind, packets
from lab.world.vmm import DATABASE, MISSING, host_id, object_id

PASSWORD = "p{w d=ü}"


@pytest.mark.parametrize("what", [name for name, query in QUERIES.items() if not query.parameters])
async def test_every_question_of_the_catalogue_is_understood(place, what):
    rows, raw = await place.databases().answer(RunReader("vmm", what), 20)
    assert rows or what == "vmm running jobs"
    assert raw


async def test_rows_carry_text_and_keep_null(place):
    rows, _ = await place.databases().answer(RunReader("VMM", "vmm virtual machines"), 20)
    row = next(row for row in rows if row["Name"] == "crm-01")
    assert row == {
        "ObjectId": str(object_id(place.guest)).upper(),
        "Name": "crm-01",
        "ObjectState": str(MISSING),
        "HostId": str(host_id(place.world.node("hv04"))).upper(),
        "VMId": place.guest.vm_id.upper(),
    }
    assert not [row for row in rows if "template" in row["Name"]]
    hosts, _ = await place.databases().answer(RunReader("vmm", "vmm hosts"), 20)
    assert len(hosts) == 10


async def test_a_parameter_is_a_value(place):
    question = RunReader("vmm", "vmm virtual machine", make_params(object=f"{{{object_id(place.guest)}}}"))
    rows, _ = await place.databases().answer(question, 20)
    assert [row["Name"] for row in rows] == ["crm-01"]
    assert place.server.statements[-1].count("@P1") == 1


@pytest.mark.parametrize(
    "params",
    [
        make_params(),
        make_params(object="x' OR '1'='1"),
        make_params(object=5),
        make_params(object=None),
        make_params(object="1", name="x"),
    ],
)
async def test_what_is_no_guid_is_never_sent(place, params):
    with pytest.raises(PolicyViolation):
        await place.databases().answer(RunReader("vmm", "vmm virtual machine", params), 20)
    assert place.server.statements == []


async def test_through_reach_the_answer_names_the_vmm_server(place, made_estate):
    reach = TargetClient(Router(made_estate(), {}), databases=place.databases())
    with closing(reach):
        answer = await reach.answer(RunReader("vmm", "vmm hosts"))
    assert (len(answer.rows), answer.by) == (10, "vmm")
    assert "hv01.corp.example" in answer.raw


async def test_wrong_password(place):
    with pytest.raises(AuthenticationFailed, match=r"refused the login .*credentials\.vmm"):
        await place.databases(password="wrong").answer(RunReader("vmm", "vmm hosts"), 20)


async def test_no_right_on_the_table(place):
    place.vmm.instance.add_login(Login("hvops", "p{w d=ü}", {DATABASE: frozenset()}))
    with pytest.raises(AuthenticationFailed, match="may not do that: The SELECT permission was denied"):
        await place.databases().answer(RunReader("vmm", "vmm hosts"), 20)


async def test_no_right_on_the_backups(place):
    place.vmm.instance.add_login(Login("hvops", "p{w d=ü}", {DATABASE: READ_ONLY}))
    with pytest.raises(AuthenticationFailed, match="msdb"):
        await place.databases().answer(RunReader("vmm", "vmm last full backup"), 20)


async def test_no_such_database(place):
    with pytest.raises(AuthenticationFailed):
        await place.databases(database="VMM").answer(RunReader("vmm", "vmm hosts"), 20)


async def test_an_unknown_table_is_absent(place):
    database = place.vmm.instance.databases[DATABASE.lower()]
    place.background.do(lambda: database.tables.pop("dbo.tbl_tr_tasktrail"))
    with pytest.raises(NotFound, match="version that hvops does not know") as absent:
        await place.databases().answer(RunReader("vmm", "vmm running jobs"), 20)
    assert absent.value.code == 208


async def test_an_unknown_column_is_absent(place):
    table = place.vmm.objects
    place.background.do(lambda: setattr(table, "columns", table.columns[:-1]))
    with pytest.raises(NotFound) as absent:
        await place.databases().answer(RunReader("vmm", "vmm failed jobs"), 20)
    assert absent.value.code == 207


async def test_nobody_listens(place):
    port = place.server.port
    place.background.call(place.server.stop())
    with pytest.raises((ConnectionFailed, TargetTimeout)):
        await place.databases(port=port).answer(RunReader("vmm", "vmm hosts"), 2)


async def test_a_server_that_takes_the_connection_and_says_nothing(place):
    place.server.trouble.mute = True
    began = time.monotonic()
    with pytest.raises((TargetTimeout, ConnectionFailed)):
        await place.databases().answer(RunReader("vmm", "vmm hosts"), 1)
    assert time.monotonic() - began < 30


async def test_a_query_that_never_ends_is_cancelled(place):
    place.server.trouble.faults.append(Fault("hang", "tbl_ADHC_Host"))
    with pytest.raises(TargetTimeout):
        await place.databases().answer(RunReader("vmm", "vmm hosts"), 1)


async def test_a_dropped_connection(place):
    place.server.trouble.faults.append(Fault("drop after", "tbl_ADHC_Host"))
    with pytest.raises(ConnectionFailed, match="no connection to its database"):
        await place.databases().answer(RunReader("vmm", "vmm hosts"), 5)
    rows, _ = await place.databases().answer(RunReader("vmm", "vmm hosts"), 20)
    assert len(rows) == 10


async def test_a_row_that_somebody_changes_just_now_says_who_keeps_it_waiting(place):
    with place.somebody_else() as other:
        other.execute("UPDATE tbl_WLC_VObject SET ObjectState = 1 WHERE ObjectId = ?", object_id(place.guest))
        with pytest.raises(TargetTimeout, match="has that row locked"):
            await place.databases().answer(RunReader("vmm", "vmm virtual machines"), 1)


async def test_a_request_that_is_given_up_leaves_no_query_behind(place):
    place.server.trouble.faults.append(Fault("hang", "tbl_ADHC_Host"))
    task = asyncio.create_task(place.databases().answer(RunReader("vmm", "vmm hosts"), 60))
    await place.asked("tbl_ADHC_Host")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.settled()


async def test_who_is_not_in_the_estate_or_has_no_login(place, made_estate):
    with pytest.raises(PolicyViolation, match=r"no VMM server of the inventory"):
        await place.databases().answer(RunReader("other", "vmm hosts"), 20)
    estate = made_estate(vmm={"vmm": {"server": "sql01.corp.example"}})
    with pytest.raises(PolicyViolation, match=r"\[credentials\.vmm\]"):
        await Databases(estate.vmm, None).answer(RunReader("vmm", "vmm hosts"), 20)


async def test_a_certificate_that_nobody_vouches_for(place):
    with pytest.raises((PolicyViolation, ConnectionFailed), match="certificate") as refused:
        await place.databases(trust_certificate=False).answer(RunReader("vmm", "vmm hosts"), 5)
    assert "trust_certificate = true" in refused.value.hint


async def test_a_driver_that_is_not_there(place):
    with pytest.raises(PolicyViolation, match="driver cannot be used"):
        await place.databases(driver="No Such Driver").answer(RunReader("vmm", "vmm hosts"), 5)


class Rows:
    """A driver's cursor: columns as a server says that they are, and as many rows as anybody fetches."""

    def __init__(self, columns, row):
        self.description = columns
        self.row = row
        self.fetched = 0

    def execute(self, text, *values):
        pass

    def fetchmany(self, count):
        self.fetched += count
        return [self.row] * count


def column(name, size):
    return (name, str, None, size, size, 0, True)


@pytest.mark.parametrize(
    "columns",
    [
        [column("Name", 0)],
        [column("Name", None)],
        [column("Name", 1_073_741_823)],
        [column("ObjectId", 36), column("Name", 2_147_483_647)],
        [column(f"c{number}", 36) for number in range(400)],
    ],
)
def test_columns_without_a_limit_are_not_fetched_at_all(columns):
    """Of nvarchar(max) one cell may have two gigabytes, and a driver takes what comes."""
    cursor = Rows(columns, ["x"] * len(columns))
    with pytest.raises(MalformedResponse, match="wider columns"):
        DatabaseCall("vmm", "", 5)._rows(cursor, "", ())
    assert cursor.fetched == 0


@pytest.mark.parametrize("cell", ["x", "x" * 4_000])
def test_rows_without_an_end_are_given_up(cell):
    cursor = Rows([column("Name", 4_000)], [cell])
    with pytest.raises(MalformedResponse, match="size limit"):
        DatabaseCall("vmm", "", 5)._rows(cursor, "", ())
    assert cursor.fetched * sys.getsizeof(cell) < 2 * MAX_WEIGHT


@pytest.fixture
def in_place_of_the_driver(monkeypatch):
    """Run a program of this test's as the process around the driver."""
    start = asyncio.create_subprocess_exec

    def put(program):
        told = (sys.executable, "-c", f"import sys\nfrom bot.transport.sql import driver_process\n{program}")
        monkeypatch.setattr(asyncio, "create_subprocess_exec", lambda *_, **options: start(*told, **options))
        return DriverCall("vmm", {}, time.monotonic() + 60)

    return put


async def test_an_answer_takes_little_more_memory_than_its_rows(in_place_of_the_driver):
    """Each of these characters is six bytes between the processes: at once, that were 400 MB and a second of the loop."""
    name = "\1" * 4_000
    call = in_place_of_the_driver(f"driver_process._say_rows([{{'Name': chr(1) * 4000}}] * {MAX_WEIGHT // 4_100})")
    tracemalloc.start()
    try:
        rows = await call.rows()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == MAX_WEIGHT // 4_100
    assert all(row == {"Name": name} for row in rows)
    assert peak < 2 * MAX_WEIGHT


async def test_the_widest_row_comes_over(in_place_of_the_driver):
    call = in_place_of_the_driver(
        "driver_process._say_rows([{'c' * 128 + str(n): chr(1) * 4000 for n in range(32)}] * 3)"
    )
    assert [len(row) for row in await call.rows()] == [32] * 3


@pytest.mark.parametrize(
    "says",
    [
        *("'a driver that prints'", "'x' * 2**21", "[]", "3", "'[' * 100_000"),
        *("""'{"rows": 5}'""", """'{"look": ["commit"]}'""", """'{"error": ["KeyError", "", "", ""], "code": null}'"""),
        """'{"error": ["Withheld", "", "", ""], "code": 5}'""",
        *("""'{"driver": [5], "seconds": 1.0}'""", """'{"driver": ["x"]}'""", """'{"driver": [], "seconds": NaN}'"""),
    ],
)
async def test_what_a_driver_prints_beside_its_answer_is_a_bad_reply(in_place_of_the_driver, says):
    call = in_place_of_the_driver(f"print({says})")
    with pytest.raises(MalformedResponse, match="Nothing was changed"):
        await call.rows()


async def test_what_a_driver_prints_while_it_commits_leaves_unknown_what_it_did(in_place_of_the_driver):
    program = "driver_process._say({'look': 'commit'})\nsys.stdin.readline(); sys.stdin.readline()\nprint('noise')"
    with pytest.raises(OutcomeUnknown):
        await in_place_of_the_driver(program).rows({"commit": lambda: None})


async def test_what_was_told_to_commit_is_unknown_whatever_is_printed_after_that(in_place_of_the_driver):
    program = "\n".join(
        f"driver_process._say({{'look': {look!r}}})\nsys.stdin.readline()" for look in ("commit", "begin")
    )
    with pytest.raises(OutcomeUnknown):
        await in_place_of_the_driver(f"sys.stdin.readline()\n{program}").rows({"commit": lambda: None})


async def test_a_refusal_of_what_was_told_to_commit_is_none(in_place_of_the_driver):
    refusal = ["TargetFault", "vmm", "no", ""]
    program = f"driver_process._say({{'look': 'commit'}})\ndriver_process._say({{'error': {refusal}, 'code': None}})"
    with pytest.raises(OutcomeUnknown):
        await in_place_of_the_driver(program).rows({"commit": lambda: None})


@pytest.mark.parametrize("says", ["start", "commit", ""])
async def test_each_look_is_asked_for_in_its_turn(in_place_of_the_driver, says):
    looks = []
    program = f"driver_process._say({{'look': {says!r}}})\nsys.stdin.readline(); sys.stdin.readline()"
    with pytest.raises(MalformedResponse, match="Nothing was changed"):
        await in_place_of_the_driver(program).rows({one: lambda: looks.append(1) for one in ("begin", "commit")})
    assert looks == []


async def test_a_change_that_was_not_told_to_commit_is_not_done(in_place_of_the_driver):
    with pytest.raises(MalformedResponse, match="Nothing was changed"):
        await in_place_of_the_driver("driver_process._say({'rows': []})").rows({"commit": lambda: None})


@pytest.mark.parametrize("answers", [True, False])
async def test_what_a_driver_has_begun_is_ended_with_its_process(in_place_of_the_driver, answers):
    """It holds the output open, and whoever asked would wait for its end, whatever the deadline."""
    then = "driver_process._say_rows([])" if answers else "os.kill(os.getpid(), 9)"
    call = in_place_of_the_driver(f"import os, time\nif os.fork() == 0:\n    time.sleep(600)\n{then}")
    async with asyncio.timeout(60):
        if answers:
            assert await call.rows() == []
        else:
            call._ends = time.monotonic() + 1
            with pytest.raises(TargetTimeout):
                await call.rows()


FILLS = "[bytearray(2**20) for _ in range(2**20)]"


async def test_a_driver_that_keeps_more_than_any_answer_ends_with_what_became_too_much(in_place_of_the_driver):
    in_place_of_the_driver(f"driver_process.DatabaseCall.select = lambda *_: {FILLS}\ndriver_process.main()")
    call = DriverCall("vmm", {"connection": "", "query": "vmm hosts", "params": []}, time.monotonic() + 60)
    with pytest.raises(MalformedResponse, match="what its database sent takes more memory than any answer should"):
        await call.rows()


async def test_a_driver_that_is_full_while_it_commits_leaves_unknown_what_it_did(in_place_of_the_driver):
    in_place_of_the_driver(
        "driver_process.changes_of = lambda _: ()\n"
        f"driver_process.DatabaseCall.update = lambda _, changes, look: (look('begin'), look('commit'), {FILLS})\n"
        "driver_process.main()"
    )
    call = DriverCall("vmm", {"connection": "", "database": "", "changes": []}, time.monotonic() + 60)
    with pytest.raises(OutcomeUnknown):
        await call.rows({"begin": lambda: None, "commit": lambda: None})


def data_of(pid):
    """Bytes of data of a process; 0 for one that is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[5]) * resource.getpagesize()
    return 0


FLOODS = {
    "messages": lambda: tokens.info(50_000, "x" * 30_000, "S"),
    "columns": lambda: tokens.columns([("c" * 128, TEXT)] * 65_000),
}


@pytest.mark.parametrize("sends", list(FLOODS))
async def test_what_a_server_makes_its_driver_keep_has_an_end(place, monkeypatch, sends):
    """Each of these once had half a gigabyte of the machine."""
    databases, answer = place.databases(), LabConnection._send
    most, packet = [0], FLOODS[sends]()

    async def flood(connection, data, *kind):
        if connection._session is None:  # it logs in first
            return await answer(connection, data, *kind)
        while True:
            for one in packets(Kind.REPLY, packet, connection._packet_size, 1):
                await connection._wire.write(one[:1] + b"\0" + one[2:])  # more follows
                most.extend(data_of(call._process.pid) for call in list(databases._running))

    monkeypatch.setattr(LabConnection, "_send", flood)
    # Of columns that are told again and again FreeTDS gives the connection up, and Microsoft's driver forgets all but the last.
    says, seconds = (MalformedResponse, 60) if sends == "messages" else ((ConnectionFailed, TargetTimeout), 3)
    with pytest.raises(says):
        await databases.answer(RunReader("vmm", "vmm hosts"), seconds)
    assert 0 < max(most) < 256 * 2**20


async def test_the_drivers_process_is_given_no_secrets_of_ours(in_place_of_the_driver, monkeypatch):
    """A password for the ledger's database, or the queue of sites, is given as PGPASSWORD."""
    for name in ("HVOPS_SLACK__BOT_TOKEN", "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.setenv(name, "xoxb-of-somebody")
    call = in_place_of_the_driver("import os\ndriver_process._say_rows([dict(os.environ)])")
    given = (await call.rows())[0]
    assert given
    assert "xoxb-of-somebody" not in given.values()


def test_half_a_character_in_a_name_is_a_bad_reply(monkeypatch):
    """SQL Server keeps any UTF-16, and the driver decodes strictly: one guest's name would end every question as a bug."""

    class Cursor:
        description = (column("Name", 36),)

        def execute(self, *_):
            return self

        def fetchmany(self, _):
            return b"\x00\xd8".decode("utf-16-le")

    class Connection:
        cursor = Cursor
        close = staticmethod(lambda: None)

    monkeypatch.setattr(odbc.pyodbc, "connect", lambda *_, **__: Connection())
    with pytest.raises(MalformedResponse, match="no text"):
        DatabaseCall("vmm", "", 5).select("SELECT Name", ())


@pytest.mark.parametrize("before", [186, 192, 194, 198, 15_000])
async def test_a_password_that_the_server_repeats_is_masked_wherever_its_sentence_is_cut(place, monkeypatch, before):
    """It knows the password. The process around the driver has no mask, and once cut the sentence itself."""
    mask, databases, answer = Redactor([PASSWORD]), place.databases(), LabConnection._send
    says = f"{'x' * before} {PASSWORD} {'and more ' * 40}"

    async def refuse(connection, data, *kind):
        if connection._session is not None:
            data = tokens.error(SqlError(50_000, says), "S") + tokens.done(tokens.DONE, tokens.Status.ERROR)
        return await answer(connection, data, *kind)

    monkeypatch.setattr(LabConnection, "_send", refuse)
    with pytest.raises(TargetFault, match="the database refused: x") as refused:
        await databases.answer(RunReader("vmm", "vmm hosts"), 20)
    said = mask.redact_text(str(refused.value))
    assert set("pw{=ü}").isdisjoint(said.rpartition("x")[2])


@pytest.mark.parametrize("number", [208, 18456, 0])
async def test_of_a_sentence_that_no_database_says_not_a_word_is_handed_on(in_place_of_the_driver, number):
    """It would have to be cut where no mask is known."""
    said = f"[42000] [FreeTDS][SQL Server]{'secret ' * 20_000} ({number}) (SQLExecDirectW)"
    told = to_texts(("42000", said))
    assert "secret" not in str(told)
    assert str(from_database("vmm", told)) == str(
        from_database("vmm", ("42000", f"[42000] {'[SQL Server]' if number else ''}{TOO_LONG} ({number}) (SQLExecute)"))
    )
    with pytest.raises(type(from_database("vmm", told))):
        await in_place_of_the_driver(f"driver_process._say({{'driver': {told}, 'seconds': 1.0}})").rows()


async def test_what_a_driver_raises_after_it_was_told_to_commit_is_no_refusal(in_place_of_the_driver):
    raised = "driver_process._say({'driver': ['42000', 'no'], 'seconds': 1.0})"
    program = f"driver_process._say({{'look': 'commit'}})\n{raised}"
    with pytest.raises(OutcomeUnknown):
        await in_place_of_the_driver(program).rows({"commit": lambda: None})


async def test_a_server_that_feeds_the_driver_a_byte_at_a_time_keeps_nobody_from_another(place, made_estate):
    """The driver waits for ever for such a login, and its thread with it."""
    going = threading.Event()

    def feed(client):
        with client, suppress(OSError):
            while not going.wait(0.1):
                client.send(b"\x04")

    def serve(listening):
        with suppress(OSError):
            while True:
                threading.Thread(target=feed, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        told = {"server": "127.0.0.1", "driver": place.driver, "trust_certificate": True}
        vmm = {"bad": {**told, "port": listening.getsockname()[1]}, "good": {**told, "port": place.server.port}}
        databases = Databases(made_estate(vmm=vmm).vmm, place.databases()._login)
        try:
            for _ in range(2):
                bad = [databases.answer(RunReader("bad", "vmm hosts"), 0.1) for _ in range(6)]
                answers = await asyncio.gather(*bad, return_exceptions=True)
                assert all(isinstance(one, (TargetTimeout, ConnectionFailed)) for one in answers)
            rows, _ = await databases.answer(RunReader("good", "vmm hosts"), 20)
            assert len(rows) == 10
        finally:
            going.set()
            databases.close()
