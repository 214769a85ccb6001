"""Reach against the practice WS-Management server: real pywinrm, real NTLM, real encryption."""

import asyncio
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import requests.exceptions

from bot.api.actions import InvokeMethod, RunProgram
from bot.api.queries import (
    GuestRunReader,
    GuestWql,
    Predicate,
    Registry,
    RunReader,
    SampleHistory,
    WinRMConfig,
    Wql,
    make_params,
)
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotFound,
    PolicyViolation,
    ProgramFailed,
    QuotaExceeded,
    TargetError,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.transport import client
from bot.transport.allowlist import PROGRAMS, Program
from bot.transport.client import PER_HOST, QueryResult, TargetClient
from bot.transport.connection_reasons import chain
from bot.transport.routing import Credentials, Router
from bot.transport.turns import RUNS, asking_as, sending_unless
from bot.transport.windows.exception_mapping import StaleConnection
from bot.transport.windows.winrm import Deadline
from bot.transport.windows.wsman import get
from lab.windows.machine_protocol import Output, Page

from .conftest import CODE_PAGE, READER, USER

NODES = Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name", "State"))
TOO_MANY_SHELLS = 2150859173
STALE = 2150858779
WRITERS = (
    "vssadmin 1.1 - Verwaltungswerkzeug\r\n(C) Copyright 2001-2013 Microsoft Corp.\r\n\r\n"
    'Verfassername: "Müller\'s Verfasser"\r\n   Verfasserkennung: {66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}\r\n'
    "   Verfasserinstanzkennung: {0aa11bb2-0cc3-4dd4-8ee5-0ff667788990}\r\n   Status: [5] Warten auf Abschluss\r\n"
    "   Letzter Fehler: Zeitüberschreitung\r\n\r\n"
)


@asynccontextmanager
async def reaching(site, *args, **named):
    reach = site.reach(*args, **named)
    try:
        yield reach
    finally:
        reach.close()


def drop(site, name):
    """Close every connection that the host has, as a firewall would between two questions."""

    async def now():
        site.up.server.host(site.addresses[name])._abort_connections()

    site.up.call(now())


async def test_an_answer_says_when_it_was_asked_and_when_it_came(site):
    async with reaching(site) as reach:
        before = datetime.now(UTC)
        found = await reach.answer(NODES)
    assert before <= found.asked < found.answered <= datetime.now(UTC)


async def eventually(condition):
    while not condition():  # noqa: ASYNC110 - it becomes true on a thread
        await asyncio.sleep(0.005)


def under_way(reach):
    """A thread waits on an open socket."""
    return any(
        job._connection and job._connection._adapter._live and job._connection._adapter._live.sock
        for job in list(reach._running)
    )


def requests_to(tap):
    return [request for _, request, _ in tap]


async def test_rows_and_where(site):
    async with reaching(site) as reach:
        answer = await reach.answer(NODES)
        assert answer.rows == ({"Name": "HV01", "State": "0"}, {"Name": "HV02", "State": "0"})
        assert answer.by == "hv01"
        assert "<Name>HV01</Name>" in answer.raw
        none = Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",), (Predicate("Name", "=", "it's \\ not"),))
        assert (await reach.answer(none)).rows == ()


async def test_the_configuration_of_winrm_is_one_nested_row(site):
    site.boxes["hv01"].quotas.max_shells_per_user = 5
    async with reaching(site) as reach:
        answer = await reach.answer(WinRMConfig("hv01"))
    (row,) = answer.rows
    assert (row["Winrs"]["MaxShellsPerUser"], row["Service"]["AllowUnencrypted"]) == ("5", "false")
    assert (answer.by, "<cfg:MaxShellsPerUser>5</cfg:MaxShellsPerUser>" in answer.raw) == ("hv01", True)
    assert answer.asked <= answer.answered


async def test_a_configuration_that_is_refused_says_so(site):
    site.boxes["hv01"].trouble.deny = True
    async with reaching(site) as reach:
        with pytest.raises(TargetError):
            await reach.answer(WinRMConfig("hv01"))


async def test_many_rows_come_in_pages(site):
    site.boxes["hv01"].quotas.max_envelope_kb = 150
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [
        {"Name": f"service-{n:04}", "Description": "x" * 300} for n in range(1200)
    ]
    tap = []
    async with reaching(site, tap=lambda *told: tap.append(told)) as reach:
        answer = await reach.answer(Wql("hv01", "root/cimv2", "Win32_Service", ("Name", "Description")))
    assert [row["Name"] for row in answer.rows] == [f"service-{n:04}" for n in range(1200)]
    assert sum("enumeration/Pull<" in request for request in requests_to(tap)) >= 2


async def test_a_kept_connection_logs_in_once(site):
    async with reaching(site) as reach:
        await reach.answer(NODES)
        job = next(iter(reach._kept._idle.values()))[0]
        for _ in range(5):
            await reach.answer(NODES)
        assert [one for many in reach._kept._idle.values() for one in many] == [job]


async def test_a_connection_that_died_between_two_questions_is_replaced_once(site):
    async with reaching(site) as reach:
        await reach.answer(NODES)
        first = next(iter(reach._kept._idle.values()))[0]
        drop(site, "hv01")
        assert len((await reach.answer(NODES)).rows) == 2
        assert next(iter(reach._kept._idle.values()))[0] is not first
        assert first.is_broken
        drop(site, "hv01")
        site.boxes["hv01"].trouble.reset = True
        with pytest.raises(ConnectionFailed):
            await reach.answer(NODES)


async def test_a_login_never_moves_to_another_connection(site):
    async with reaching(site) as reach:
        await reach.answer(NODES)
        kept = reach._kept.take(reach.router.host("hv01"))
        drop(site, "hv01")
        with pytest.raises(requests.exceptions.ConnectionError) as caught:
            await asyncio.to_thread(kept.ask, get("root/cimv2", "Win32_OperatingSystem"), Deadline.of(5))
        assert any(isinstance(cause, StaleConnection) for cause in chain(caught.value))
        kept.close()


async def test_a_connection_idle_for_too_long_is_not_tried(site, monkeypatch):
    async with reaching(site) as reach:
        await reach.answer(NODES)
        first = next(iter(reach._kept._idle.values()))[0]
        monkeypatch.setattr("bot.transport.connection_pool.IDLE_SECONDS", 0.0)
        await reach.answer(NODES)
        assert first.is_broken


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        ("refuse", ConnectionFailed, "nothing listens"),
        ("reset", ConnectionFailed, "closed the connection"),
        ("html", MalformedResponse, "web page"),
        ("cut", MalformedResponse, "."),
        ("deny", AuthenticationFailed, "may not do this"),
        ("hang", TargetTimeout, "no answer in 1 s"),
    ],
)
async def test_troubles_are_said_and_leave_the_other_host_alone(site, trouble, kind, says):
    async with reaching(site) as reach:
        await reach.answer(NODES)
        setattr(site.boxes["hv01"].trouble, trouble, True)
        bad, good = await asyncio.gather(
            reach.answer(NODES, 1.0),
            reach.answer(Wql("hv02", "root/MSCluster", "MSCluster_Node", ("Name",))),
            return_exceptions=True,
        )
        assert type(bad) is kind
        assert says in bad.message
        assert len(good.rows) == 2
        setattr(site.boxes["hv01"].trouble, trouble, False)
        assert len((await reach.answer(NODES)).rows) == 2


async def test_hosts_that_hang_give_their_slots_back(site):
    site.boxes["hv01"].trouble.hang = True
    async with reaching(site, at_once=2) as reach:
        hung = [
            asyncio.create_task(reach.answer(Wql("hv01", "root/MSCluster", "MSCluster_Node", (column,)), 0.5))
            for column in ("Name", "State")
        ]
        other = Wql("hv02", "root/MSCluster", "MSCluster_Node", ("Name",))
        assert len((await reach.answer(other, 5.0)).rows) == 2
        for result in await asyncio.gather(*hung, return_exceptions=True):
            assert isinstance(result, TargetTimeout)


async def test_a_host_whose_turn_for_a_connection_never_came_is_not_called_silent(site):
    """It hangs, and takes connections all the same: nobody has asked for one."""
    site.boxes["hv01"].trouble.hang = True
    async with reaching(site) as reach:
        hung = [
            asyncio.create_task(reach.answer(Wql("hv01", "root/MSCluster", "MSCluster_Node", (column,)), 2.0))
            for column in ("Name", "State", "BuildNumber", "NodeWeight")
        ]
        await asyncio.sleep(0)
        with pytest.raises(TargetTimeout) as raised:
            await reach.answer(RunReader("hv01", "tcp connect"), 0.3)
        assert raised.value.kind == "out of time"
        await asyncio.gather(*hung, return_exceptions=True)
        assert (await reach.answer(RunReader("hv01", "tcp connect"), 5.0)).rows


async def test_a_silent_host_costs_one_patience_however_many_questions_wait_for_it(site):
    site.boxes["hv01"].trouble.hang = True
    columns = ("Name", "State", "BuildNumber", "NodeWeight", "DynamicWeight", "NodeHighestVersion", "Status", "Flags")
    questions = [Wql("hv01", "root/MSCluster", "MSCluster_Node", (column,)) for column in columns]
    async with reaching(site) as reach:
        for result in await asyncio.gather(*(reach.answer(one, 1.0) for one in questions), return_exceptions=True):
            assert isinstance(result, TargetTimeout)
            assert result.message == "no answer in 1 s."
        site.boxes["hv01"].trouble.hang = False
        assert len((await reach.answer(NODES)).rows) == 2  # what is asked later is asked


async def test_a_cancelled_question_frees_its_slot(site, monkeypatch):
    monkeypatch.setattr("bot.transport.client._GRACE", 0.0)
    site.boxes["hv01"].trouble.hang = True
    async with reaching(site, at_once=1) as reach:
        task = asyncio.create_task(reach.answer(NODES, 60.0))
        await eventually(lambda: under_way(reach))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other = Wql("hv02", "root/MSCluster", "MSCluster_Node", ("Name",))
        assert len((await asyncio.wait_for(reach.answer(other), 5)).rows) == 2


async def test_wrong_password(site):
    async with reaching(site, Credentials("ntlm", "CORP\\reader", "wrong")) as reach:
        with pytest.raises(AuthenticationFailed) as caught:
            await reach.answer(NODES)
    assert caught.value.kind == "login refused"
    assert "wrong" not in str(caught.value)


async def test_quota_is_waited_out(site, monkeypatch):
    monkeypatch.setattr("bot.transport.client._FIRST_PAUSE", 0.01)
    site.boxes["hv01"].trouble.fault = TOO_MANY_SHELLS
    site.boxes["hv01"].trouble.fault_times = 3
    async with reaching(site) as reach:
        assert len((await reach.answer(NODES)).rows) == 2


async def test_quota_that_stays_is_said_within_the_deadline(site):
    site.boxes["hv01"].trouble.fault = TOO_MANY_SHELLS
    async with reaching(site) as reach:
        began = time.monotonic()
        with pytest.raises(QuotaExceeded, match="too many shells"):
            await reach.answer(NODES, 1.0)
        assert time.monotonic() - began < 30  # it would go on for ever


async def test_a_forgotten_enumeration_is_begun_once_more(site):
    site.boxes["hv01"].trouble.fault = STALE
    site.boxes["hv01"].trouble.fault_times = 1
    async with reaching(site) as reach:
        assert len((await reach.answer(NODES)).rows) == 2
        site.boxes["hv01"].trouble.fault = STALE
        site.boxes["hv01"].trouble.fault_times = 0
        with pytest.raises(MalformedResponse, match="forgotten"):
            await reach.answer(NODES)


async def test_unknown_classes_columns_and_namespaces_are_absent(site):
    async with reaching(site) as reach:
        for question in (
            Wql("hv01", "root/cimv2", "Win32_Nonsense"),
            Wql("hv01", "root/nonsense", "Win32_Service"),
            Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Nonsense",)),
        ):
            with pytest.raises(NotFound):
                await reach.answer(question)
        assert len((await reach.answer(NODES)).rows) == 2


@pytest.mark.parametrize(
    "question",
    [
        Wql("hv01", "root/cimv2", "Win32_Service; DROP"),
        Wql("hv01", "root/cimv2", "Win32_Service", ("a b",)),
        Wql("hv01", "root/../x", "Win32_Service"),
        Wql("hv01", "root/cimv2", "Win32_Service", (), (Predicate("Name", "=", "a\x00b"),)),
        Registry("hv01", "SOFT\x00WARE", ("x",)),
        RunReader("hv01", "format c:"),
        RunReader("hv01", "wevtutil query events", make_params(channel="/q:x", ids="1")),
        Wql("elsewhere", "root/cimv2", "Win32_Service"),
        GuestWql("vm", "vm.evil.example", "id", "root/cimv2", "Win32_Volume"),
    ],
)
async def test_what_may_not_go_out_does_not(site, question):
    tap = []
    async with reaching(site, tap=lambda *told: tap.append(told)) as reach:
        with pytest.raises(PolicyViolation):
            await reach.answer(question)
    assert not tap


async def test_memory_is_not_asked_of_hosts(site):
    async with reaching(site) as reach:
        with pytest.raises(TypeError):
            await reach.answer(SampleHistory("hv01", "writer"))


async def test_registry_values_of_every_type(site):
    site.boxes["hv01"].keys["SOFTWARE\\Thing"] = {"Text": "a b", "Number": 7, "Many": ["x", "y"], "One": ["z"], "": "d"}
    async with reaching(site) as reach:
        wanted = ("text", "Number", "Many", "One", "Missing")
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Thing", wanted))).rows == (
            {"text": "a b", "Number": "7", "Many": ("x", "y"), "One": ("z",), "Missing": None},
        )
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Nothing", ("a",)))).rows == ({"a": None},)
        assert (await reach.answer(Registry("hv01", "SOFTWARE"))).rows == ({"subkeys": ("Thing",)},)
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Nothing"))).rows == ({"subkeys": None},)


async def test_a_name_that_ends_in_a_star_stands_for_all_values_that_begin_so(site):
    site.boxes["hv01"].keys["SOFTWARE\\Thing"] = {"Version-a": "1", "version-B": 2, "Other": "3"}
    async with reaching(site) as reach:
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Thing", ("Version*",)))).rows == (
            {"Version-a": "1", "version-B": "2"},
        )
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Thing", ("Nothing*", "Other")))).rows == (
            {"Other": "3"},
        )
        assert (await reach.answer(Registry("hv01", "SOFTWARE\\Nothing", ("a*",)))).rows == ({},)


async def test_a_key_with_too_many_values_is_not_read_one_by_one(site):
    site.boxes["hv01"].keys["SOFTWARE\\Thing"] = {f"Version-{number}": "1" for number in range(60)}
    async with reaching(site) as reach:
        with pytest.raises(MalformedResponse):
            await reach.answer(Registry("hv01", "SOFTWARE\\Thing", ("Version*",)))


async def test_a_program_in_the_code_page_of_the_host(site):
    site.boxes["hv01"].output = Output(WRITERS)
    tap = []
    async with reaching(site, tap=lambda *told: tap.append(told)) as reach:
        answer = await reach.answer(RunReader("hv01", "vssadmin list writers"))
        assert answer.rows[0]["name"] == "Müller's Verfasser"
        assert answer.rows[0]["error_text"] == "Zeitüberschreitung"
        assert answer.raw == WRITERS
        await reach.answer(RunReader("hv01", "vssadmin list writers"))
    assert site.boxes["hv01"].ran == [["vssadmin", "list", "writers"]] * 2
    sent = requests_to(tap)
    assert sum("OEMCP" in request for request in sent) == 1
    assert sum(">850<" in request for request in sent) == 2
    assert sum("transfer/Create<" in request for request in sent) == 2
    assert sum("transfer/Delete<" in request for request in sent) == 2
    assert all('"WINRS_SKIP_CMD_SHELL">TRUE<' in request for request in sent if "shell/Command<" in request)


@pytest.mark.parametrize("fqdn", ["hv01.corp.example", "app-01.corp.example"])
@pytest.mark.parametrize("name", ["hv01", "app-01"])
async def test_the_code_page_of_a_guest_is_that_of_no_host(site, name, fqdn):
    """With one that Windows does not have, no program ran on that host until hvops was started again."""
    site.boxes["hv01"].output = Output(WRITERS)
    site.boxes["hv02"].keys[CODE_PAGE] = {"OEMCP": "99999"}

    class ToHv02(Router):
        """Over NTLM on loopback, where the field has Kerberos; which of the ways it is stays as it was."""

        def guest(self, name, fqdn):
            return replace(super().guest(name, fqdn), url=site.up.url(site.addresses["hv02"]), credentials=READER)

    ways = ToHv02(site.estate(), {"reader": READER, "guest": Credentials("kerberos", "guest")})
    reach = TargetClient(ways)
    folder = make_params(folder="C:\\Windows\\System32\\drivers\\etc")
    try:
        with pytest.raises(TargetFault):
            await reach.answer(GuestRunReader(name, fqdn, "id", "findstr hosts file", folder))
        answer = await reach.answer(RunReader("hv01", "vssadmin list writers"))
    finally:
        reach.close()
    assert answer.rows[0]["name"] == "Müller's Verfasser"


@pytest.mark.parametrize("marked", ["reads", "changes"])
async def test_what_a_program_printed_is_read_and_weighed_beside_the_loop(site, monkeypatch, marked):
    """A host can print six megabytes, and reading them takes seconds in which Slack would get no acknowledgement."""
    threads = []

    def noted(result):
        threads.append(threading.current_thread())
        return result

    site.boxes["hv01"].output = Output("a\r\n" * 200)
    login = Credentials("ntlm", "CORP\\reader", "Correct-Horse-7")
    rows = tuple({"name": "a"} for _ in range(200))
    printing = Program("print", marked, ("print",), lambda _: noted(rows), cover=noted, profile="reader")
    weigh = client.weigh
    monkeypatch.setattr(client, "weigh", lambda told: noted(weigh(told)))
    reach = TargetClient(Router(site.estate(), {"reader": login, "operator": login}), programs={"print": printing})
    try:
        if marked == "reads":
            assert (await reach.answer(RunReader("hv01", "print"))).rows == rows
        else:
            assert (await reach.change(RunProgram("hv01", "print"))).rows == rows
    finally:
        reach.close()
    assert len(threads) == (3 if marked == "reads" else 2)
    assert threading.main_thread() not in threads


async def test_a_slow_program_is_waited_for_while_its_host_answers(site):
    site.boxes["hv01"].output = Output(WRITERS, after=2.2)
    async with reaching(site) as reach:
        assert len((await reach.answer(RunReader("hv01", "vssadmin list writers"), 1.5)).rows) == 1


async def test_a_program_that_never_ends_is_ended_and_its_shell_closed(site, monkeypatch):
    site.boxes["hv01"].output = Output(WRITERS, after=60)
    quick = {**PROGRAMS, "slow": Program("slow", "reads", ("slow",), lambda _: (), seconds=2)}
    tap = []
    reach = TargetClient(Router(site.estate(), {"reader": Credentials("ntlm", "CORP\\reader", "Correct-Horse-7")}), programs=quick,
                  tap=lambda *told: tap.append(told))  # fmt: skip
    try:
        with pytest.raises(TargetTimeout):
            await reach.answer(RunReader("hv01", "slow"), 1.0)
        await eventually(lambda: not reach._running)
    finally:
        reach.close()
    assert "transfer/Delete<" in requests_to(tap)[-1]


async def test_output_that_was_cut_keeps_its_text_as_evidence(site):
    site.boxes["hv01"].output = Output(WRITERS[:-60])
    async with reaching(site) as reach:
        with pytest.raises(MalformedResponse, match="breaks off") as caught:
            await reach.answer(RunReader("hv01", "vssadmin list writers"))
    assert caught.value.raw == WRITERS[:-60]


@pytest.mark.parametrize(
    ("output", "kind", "says"),
    [
        (Output("", "Der Kanal wurde nicht gefunden.\r\n", 15007), NotFound, "no event channel Foo/Bar"),
        (Output("", "Zugriff verweigert\r\n", 5), AuthenticationFailed, "may not do this"),
        (Output("", "Kaputt.\r\n", 77), ProgramFailed, "exit code 77: Kaputt."),
        (Output("<Event", "", 0), MalformedResponse, "no XML"),
    ],
)
async def test_exit_codes(site, output, kind, says):
    site.boxes["hv01"].output = output
    async with reaching(site) as reach:
        with pytest.raises(kind, match=says) as caught:
            await reach.answer(RunReader("hv01", "wevtutil query events", make_params(channel="Foo/Bar", ids="1")))
    assert type(caught.value) is kind or kind is MalformedResponse


async def test_events_in_utf_16(site):
    event = (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>1</EventID>"
        "</System><UserData><V xmlns='urn:v'><VmName>Žluťoučký 猫</VmName></V></UserData></Event>\r\n"
    )
    site.boxes["hv01"].output = Output(event, utf16=True)
    async with reaching(site) as reach:
        answer = await reach.answer(
            RunReader("hv01", "wevtutil query events", make_params(channel="System", ids="1", most=5))
        )
    assert answer.rows[0]["data"] == {"VmName": "Žluťoučký 猫"}
    assert site.boxes["hv01"].ran == [
        ["wevtutil", "qe", "System", "/q:*[System[(EventID=1)]]", "/f:xml", "/rd:true", "/c:5", "/uni:true"]
    ]


async def test_no_question_runs_a_row_that_changes(site):
    changing = {"wipe": Program("wipe", "changes", ("wipe",), lambda _: (), profile="operator")}
    login = Credentials("ntlm", "CORP\\reader", "Correct-Horse-7")
    reach = TargetClient(Router(site.estate(), {"reader": login, "operator": login}), programs=changing)
    try:
        with pytest.raises(PolicyViolation, match="changes things"):
            await reach.answer(RunReader("hv01", "wipe"))
    finally:
        reach.close()
    assert site.boxes["hv01"].ran == []


STOP = InvokeMethod("hv01", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService")


async def test_a_method_is_called_and_its_return_value_judged(site):
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    async with reaching(site) as reach:
        assert (await reach.invoke(STOP)).rows[0]["ReturnValue"] == "0"
        site.boxes["hv01"].returns = 5
        with pytest.raises(TargetFault, match="StopService returned 5: the service accepts no such") as caught:
            await reach.invoke(STOP)
        assert caught.value.code == 5
    assert site.boxes["hv01"].called[0] == ("Win32_Service", "StopService", {"Name": "vmms"})


async def test_a_method_is_never_sent_twice_and_never_over_an_old_connection(site):
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    tap = []
    async with reaching(site, tap=lambda *told: tap.append(told)) as reach:
        await reach.answer(NODES)
        kept = next(iter(reach._kept._idle.values()))[0]
        await reach.invoke(STOP)
        idle = next(iter(reach._kept._idle.values()))
        assert len(idle) == 2
        assert kept in idle
        box, told = site.boxes["hv01"], site.boxes["hv01"].instances
        for trouble, value, error in (("fault", TOO_MANY_SHELLS, QuotaExceeded), ("reset", True, ConnectionFailed)):

            def itself(namespace, cls, trouble=trouble, value=value):
                if cls.lower() == "win32_computersystem":  # what comes next is the change
                    setattr(box.trouble, trouble, value)
                return told(namespace, cls)

            box.instances = itself
            with pytest.raises(error):
                await reach.invoke(STOP)
            setattr(box.trouble, trouble, type(value)())
    assert sum("StopService_INPUT" in request for request in requests_to(tap)) == 2
    assert len(site.boxes["hv01"].called) == 1


@pytest.mark.parametrize(
    ("itself", "says"),
    [
        ({"Name": "HV02", "DNSHostName": "hv02"}, "leads to a machine that calls itself 'hv02'"),
        ({"Name": "HV02"}, "leads to a machine that calls itself 'HV02'"),
        ({"Name": "Correct-Horse-7"}, "calls itself 'Correct-Horse-7'"),  # in small letters no mask would find it
        ({"Name": "HV01", "DNSHostName": "hv01-new"}, ""),  # renamed, not yet restarted: either name is its own
        ({"Name": "HV01"}, ""),
        ({"Name": "", "DNSHostName": ""}, "does not tell its own name"),
        (None, "does not tell its own name"),
    ],
)
async def test_a_change_goes_to_the_machine_it_was_approved_for(site, itself, says):
    box = site.boxes["hv01"]
    box.classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    told = box.instances
    box.instances = lambda namespace, cls: (
        ([itself] if itself else []) if cls.lower() == "win32_computersystem" else told(namespace, cls)
    )
    async with reaching(site) as reach:
        if says:
            with pytest.raises(PolicyViolation, match=says) as refused:
                await reach.invoke(STOP)
            assert refused.value.is_unsent
            assert not box.called
        else:
            await reach.invoke(STOP)
            assert len(box.called) == 1


@pytest.mark.parametrize(
    ("trouble", "value", "error"), [("fault", TOO_MANY_SHELLS, QuotaExceeded), ("deny", True, AuthenticationFailed)]
)
@pytest.mark.parametrize("change", [STOP, RunProgram("hv01", "eventcreate", make_params(says="T-7"))])
async def test_a_refusal_says_whether_the_change_was_sent_by_then(site, change, trouble, value, error):
    """The same words before it went out are knowledge, and in answer to it only what somebody says."""
    box = site.boxes["hv01"]
    box.classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]

    def with_it():
        setattr(box.trouble, trouble, value)
        return ""

    async with reaching(site) as reach:
        do = reach.invoke if isinstance(change, InvokeMethod) else reach.change
        with sending_unless(with_it), pytest.raises(error) as answered:
            await do(change)
        with pytest.raises(error) as before:
            await do(change)
    assert (answered.value.is_refusal, answered.value.is_unsent) == (True, False)
    assert (before.value.is_refusal, before.value.is_unsent) == (True, True)


@pytest.mark.parametrize("change", [STOP, RunProgram("hv01", "eventcreate", make_params(says="T-7"))])
async def test_what_is_refused_on_the_way_to_a_host_was_not_sent(site, change):
    """By a login that its node is asked for first, or by one that no host takes any more."""
    box = site.boxes["hv01"]

    async def refuses(on):
        raise AuthenticationFailed(on, "the login was refused.")

    async with reaching(site) as reach:
        do = reach.invoke if isinstance(change, InvokeMethod) else reach.change
        reach.prove = refuses
        with pytest.raises(AuthenticationFailed) as unproved:
            await do(change)
        reach.prove = None
        box.access.accounts = {}
        with pytest.raises(AuthenticationFailed) as locked:
            await do(change)
    assert (unproved.value.is_unsent, locked.value.is_unsent) == (True, True)
    assert (box.called, box.ran) == ([], [])


async def test_a_change_of_which_nobody_knows_whether_it_is_under_way_is_not_called_unsent(site):
    """The thread that was to send it may still come to it."""
    site.boxes["hv01"].trouble.hang = True
    async with reaching(site) as reach:
        with pytest.raises(TargetTimeout) as late:
            await reach.invoke(STOP, 0.3)
    assert (late.value.is_refusal, late.value.is_unsent) == (False, False)


class LetsIn(dict):
    """Accounts of a host; whoever logs in was let in by then, and was so as late as the host liked."""

    stopped = ""

    def __getitem__(self, account):
        self.stopped = "changes are stopped"
        return super().__getitem__(account)


@pytest.mark.parametrize("change", [STOP, RunProgram("hv01", "eventcreate", make_params(says="T-7"))])
async def test_a_change_is_looked_at_once_more_when_the_host_has_let_it_in(site, change):
    """Somebody may have stopped changes since: nothing of it is sent, and the host is not asked again."""
    box = site.boxes["hv01"]
    box.classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    box.access.accounts = accounts = LetsIn(box.access.accounts)
    tap = []
    async with reaching(site, tap=lambda *told: tap.append(told)) as reach:
        with sending_unless(lambda: accounts.stopped), pytest.raises(Withheld, match="nothing was sent: changes are"):
            await (reach.invoke(change) if isinstance(change, InvokeMethod) else reach.change(change))
        assert accounts.stopped
        assert (box.called, box.ran) == ([], [])
        assert not any("StopService" in sent or "eventcreate" in sent for sent in requests_to(tap))
        with sending_unless(lambda: ""):
            await (reach.invoke(change) if isinstance(change, InvokeMethod) else reach.change(change))
    assert len(box.called) + len(box.ran) == 1


@pytest.mark.parametrize("change", [STOP, RunProgram("hv01", "eventcreate", make_params(says="T-7"))])
async def test_what_is_asked_before_a_change_is_part_of_its_time(site, change):
    """What goes out later could be under way when it is sent again."""
    box = site.boxes["hv01"]
    box.classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    async with reaching(site) as reach:
        reach.prove = lambda _on: asyncio.sleep(0.2)
        with pytest.raises(QuotaExceeded, match="nothing was sent"):
            await (reach.invoke(change, 0.1) if isinstance(change, InvokeMethod) else reach.change(change, 0.1))
    assert (box.called, box.ran) == ([], [])


async def test_a_change_that_waits_for_its_turn_is_looked_at_once_more_when_it_comes(site):
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [{"Name": "vmms"}]
    async with reaching(site) as reach:
        turns, stopped = reach._slots_of("hv01"), ""
        async with AsyncExitStack() as held:
            for _ in range(PER_HOST):
                with asking_as(RUNS):
                    held.callback(turns.release, await turns.acquire(asyncio.get_running_loop().time() + 5))
            with sending_unless(lambda: stopped):
                waiting = asyncio.create_task(reach.invoke(STOP, 20))
                for _ in range(1000):
                    if turns._waiting:
                        break
                    await asyncio.sleep(0)
                assert turns._waiting
            stopped = "changes are stopped"
        with pytest.raises(Withheld):
            await waiting
    assert site.boxes["hv01"].called == []


async def test_one_instance_by_its_keys(site):
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [{"Name": "vmms", "State": "Running"}]
    async with reaching(site) as reach:
        row = (await reach.get(Wql("hv01", "root/cimv2", "Win32_Service", (), (Predicate("Name", "=", "vmms"),)))).rows[
            0
        ]
        assert row["State"] == "Running"
        with pytest.raises(NotFound):
            await reach.get(Wql("hv01", "root/cimv2", "Win32_Service", (), (Predicate("Name", "=", "none"),)))


async def test_a_cluster_is_asked_through_the_entry_host_that_answers(site):
    question = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",))
    async with reaching(site) as reach:
        assert (await reach.answer(question)).by == "hv01"
        site.boxes["hv01"].trouble.refuse = True
        assert (await reach.answer(question)).by == "hv02"
        site.boxes["hv01"].trouble.refuse = False
        assert (await reach.answer(question)).by == "hv02"
        site.boxes["hv01"].trouble.refuse = site.boxes["hv02"].trouble.hang = True
        with pytest.raises(ConnectionFailed, match=r"none of its entry hosts answered: hv02: .* hv01: "):
            await reach.answer(question, 0.5)
        site.boxes["hv01"].trouble.refuse = False
        site.boxes["hv01"].trouble.hang = True
        with pytest.raises(TargetTimeout):
            await reach.answer(question, 0.5)


async def test_a_cluster_that_names_more_nodes_than_any_has_is_not_believed(site, monkeypatch):
    """Each node that is named is asked as well: hvops would log in to fifty thousand machines of a host's choice."""
    question = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",))
    async with reaching(site) as reach:
        known = reach.router.clusters_of("hv01x7")

        async def lying(way, *_):
            return QueryResult([{"Name": f"hv01x{number}"} for number in range(50_000)], "", way.name)

        monkeypatch.setattr(reach, "_ask", lying)
        with pytest.raises(MalformedResponse, match="it names 50,000 nodes, and no cluster has more than 64"):
            await reach.answer(question)
        assert reach.router.clusters_of("hv01x7") == known == ()


OF_PROD = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",))


def deny(box):
    box.trouble.deny = True


def forbid(box):
    box.trouble.page = Page(403)


def call_the_password_wrong(box):
    box.access.accounts = {USER: "another"}


@pytest.mark.parametrize("refuse", [deny, forbid])
async def test_an_entry_host_that_lets_the_account_in_no_more_leaves_its_cluster_to_the_next_one(site, refuse):
    async with reaching(site) as reach:
        refuse(site.boxes["hv01"])
        with pytest.raises(AuthenticationFailed):
            await reach.answer(replace(OF_PROD, on="hv01"))
        assert (await reach.answer(OF_PROD)).by == "hv02"
        assert reach.router.entries("prod") == ("hv02", "hv01")


async def test_a_password_that_an_entry_host_calls_wrong_is_not_tried_on_the_next_one(site):
    """Each refused proof brings the account nearer to its lockout."""
    call_the_password_wrong(site.boxes["hv01"])
    async with reaching(site) as reach:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match=r"^hv01: the login was refused") as caught:
                await reach.answer(OF_PROD)
            assert "hv02" not in str(caught.value)


async def test_a_wrong_password_ends_the_search_wherever_it_is_called_so(site):
    deny(site.boxes["hv01"])
    call_the_password_wrong(site.boxes["hv02"])
    async with reaching(site, hv03=site.up.url(site.addresses["hv01"])) as reach:
        with pytest.raises(AuthenticationFailed) as caught:
            await reach.answer(OF_PROD)
    assert (type(caught.value), caught.value.target, caught.value.kind) == (
        AuthenticationFailed,
        "prod",
        "login refused",
    )
    assert "hv01: the login is good, but the account may not do this there." in caught.value.message
    assert "hv02: the login was refused." in caught.value.message
    assert caught.value.message.endswith("Not asked after that: hv03.")


async def test_a_login_that_all_entry_hosts_refuse_is_a_refused_login_and_each_is_told(site):
    deny(site.boxes["hv01"])
    forbid(site.boxes["hv02"])
    async with reaching(site) as reach:
        with pytest.raises(AuthenticationFailed, match=r"none of its entry hosts answered: hv01: .* hv02: ") as caught:
            await reach.answer(OF_PROD)
        assert "HTTP 403" in caught.value.message
        assert "Not asked" not in caught.value.message
        site.boxes["hv02"].trouble.page, site.boxes["hv02"].trouble.refuse = None, True
        with pytest.raises(ConnectionFailed, match=r"none of its entry hosts answered: hv01: .* hv02: "):
            await reach.answer(OF_PROD)


async def test_what_is_done_goes_to_one_host_whoever_refuses_it(site):
    """Entry hosts answer for each other, and none acts for another one."""
    deny(site.boxes["hv01"])
    async with reaching(site) as reach:
        with pytest.raises(AuthenticationFailed):
            await reach.invoke(InvokeMethod("hv01", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService"))
        with pytest.raises(PolicyViolation):
            await reach.invoke(InvokeMethod("prod", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService"))
    assert site.boxes["hv01"].called == site.boxes["hv02"].called == []


async def test_closing_gives_up_what_is_under_way(site):
    site.boxes["hv01"].trouble.hang = True
    reach = site.reach()
    task = asyncio.create_task(reach.answer(NODES, 30.0))
    await eventually(lambda: under_way(reach))
    began = time.monotonic()
    reach.close()
    with pytest.raises(TargetError):
        await task
    assert time.monotonic() - began < 25  # its own 30 s are not waited for


async def test_answers_that_are_still_held_count_and_are_given_back(site, monkeypatch):
    """Requests keep what they were told; one host has the memory of some answers, not of all that it could give."""
    site.boxes["hv01"].classes["root/cimv2", "win32_service"] = [{"Name": "x" * 30_000}]
    monkeypatch.setattr("bot.transport.client.MAX_KEPT", 150_000)
    async with reaching(site) as reach:
        big = Wql("hv01", "root/cimv2", "Win32_Service", ("Name",))
        held = [await reach.answer(big), await reach.answer(big)]
        with pytest.raises(MalformedResponse, match="exceed what hvops keeps in memory for one host"):
            await reach.answer(big)
        assert (await reach.answer(replace_on(big, "hv02"))).rows == ()
        held.clear()
        assert (await reach.answer(big)).rows[0]["Name"]


def replace_on(question, host):
    return Wql(host, "root/MSCluster", "MSCluster_Node", ("Name",), (Predicate("Name", "=", "none"),))
