"""Command shells, request by request."""

from __future__ import annotations

import asyncio
import base64

import pytest

from lab.windows import wsman_constants
from lab.windows.command_line import split_command_line
from lab.windows.machine_protocol import Output

SHELL_BODY = "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams>{}</rsp:Shell>"


class Console:
    """A shell over bare SOAP."""

    def __init__(self, soap):
        self.soap = soap
        self.shell = ""
        self.command = ""

    async def open(self, extra="", **options):
        answer = await self.soap.ask(
            wsman_constants.CREATE, wsman_constants.CMD_SHELL, SHELL_BODY.format(extra), options=options
        )
        self.shell = answer.said(".//w:Selector[@Name='ShellId']") or ""
        return answer

    async def ask(self, action, body="", **more):
        return await self.soap.ask(action, wsman_constants.CMD_SHELL, body, selectors={"ShellId": self.shell}, **more)

    async def start(self, line, *arguments, **options):
        words = "".join(f"<rsp:Arguments>{each}</rsp:Arguments>" for each in arguments)
        body = f"<rsp:CommandLine><rsp:Command>{line}</rsp:Command>{words}</rsp:CommandLine>"
        answer = await self.ask(wsman_constants.COMMAND, body, options=options)
        self.command = answer.said(".//rsp:CommandId") or ""
        return answer

    async def receive(self, **more):
        desired = f'<rsp:DesiredStream CommandId="{self.command}">stdout stderr</rsp:DesiredStream>'
        return await self.ask(wsman_constants.RECEIVE, f"<rsp:Receive>{desired}</rsp:Receive>", **more)

    async def signal(self, code="terminate"):
        body = f'<rsp:Signal CommandId="{self.command}"><rsp:Code>{wsman_constants.SHELL}/signal/{code}</rsp:Code></rsp:Signal>'
        return await self.ask(wsman_constants.SIGNAL, body)


@pytest.fixture
async def console(soap):
    console = Console(soap)
    await console.open()
    return console


def stream(answer, name):
    return b"".join(base64.b64decode(each.text or "") for each in answer.all(f".//rsp:Stream[@Name='{name}']"))


def state(answer):
    return answer.find(".//rsp:CommandState").get("State").rpartition("/")[2]


async def test_create_describes_the_shell(soap):
    answer = await Console(soap).open("<rsp:IdleTimeOut>PT30S</rsp:IdleTimeOut>")
    assert answer.said(".//a:Action") == wsman_constants.CREATE + "Response"
    assert answer.said(".//x:ResourceCreated/a:Address") == "http://10.0.0.9:5985/wsman"
    assert answer.said(".//x:ResourceCreated//w:ResourceURI") == wsman_constants.CMD_SHELL
    assert answer.said(".//rsp:IdleTimeOut") == "PT30.000S"
    assert answer.said(".//rsp:ShellId") == answer.said(".//w:Selector[@Name='ShellId']")


async def test_a_program_runs(console, machine):
    machine.programs["vssadmin"] = Output("out\r\n", "err\r\n", 2)
    await console.start("vssadmin", "list", "writers")
    answer = await console.receive()
    assert (stream(answer, "stdout"), stream(answer, "stderr")) == (b"out\r\n", b"err\r\n")
    assert state(answer) == "Done"
    assert answer.said(".//rsp:ExitCode") == "2"
    assert [each.get("Name") for each in answer.all(".//rsp:Stream[@End='true']")] == ["stdout", "stderr"]
    assert (await console.signal()).status == 200
    assert (await console.ask(wsman_constants.DELETE)).status == 200
    assert len(console.soap.service.shells) == 0


@pytest.mark.parametrize(("page", "data"), [("65001", "é€".encode()), ("850", b"\x82?"), ("1252", b"\xe9\x80")])
async def test_output_comes_in_the_shells_code_page(soap, machine, page, data):
    machine.programs["vssadmin"] = Output("é€")
    console = Console(soap)
    await console.open(WINRS_CODEPAGE=page)
    await console.start("vssadmin")
    assert stream(await console.receive(), "stdout") == data


async def test_without_a_code_page_it_is_the_machines(soap, machine):
    machine.oem_code_page = 850
    machine.programs["vssadmin"] = Output("Ü", utf16=False)
    machine.programs["wevtutil"] = Output("Ü", utf16=True)
    console = Console(soap)
    await console.open()
    await console.start("vssadmin")
    assert stream(await console.receive(), "stdout") == b"\x9a"
    await console.start("wevtutil")
    assert stream(await console.receive(), "stdout") == b"\xdc\x00"


async def test_a_code_page_that_is_none(soap):
    answer = await Console(soap).open(WINRS_CODEPAGE="99999")
    assert (answer.code, answer.subcode) == (2150858809, "w:InvalidOptions")


async def test_a_slow_program_times_a_receive_out_and_goes_on(console, machine):
    machine.programs["vssadmin"] = Output("late", after=0.15)
    await console.start("vssadmin")
    early = await console.receive(wait="PT0.010S")
    assert (early.status, early.code, early.subcode) == (500, 2150858793, "w:TimedOut")
    assert early.said(".//s:Code/s:Value") == "s:Receiver"
    assert stream(await console.receive(), "stdout") == b"late"


async def test_terminating_a_slow_program_ends_its_receive(console, machine):
    machine.programs["vssadmin"] = Output("never", after=600)
    await console.start("vssadmin")
    receiving = asyncio.create_task(console.receive())
    await asyncio.sleep(0)
    await console.signal("ctrl_c")
    async with asyncio.timeout(60):  # the program itself would take ten minutes
        answer = await receiving
    assert stream(answer, "stdout") == b""
    assert answer.said(".//rsp:ExitCode") == str(0xC000013A)


async def test_large_output_comes_in_pieces(console, machine):
    text = "".join(f"line {number}\r\n" for number in range(40_000))
    machine.programs["vssadmin"] = Output(text)
    await console.start("vssadmin")
    received, rounds = b"", 0
    while True:
        answer = await console.receive(size=153_600)
        assert len(answer.text) <= 76_800
        received += stream(answer, "stdout")
        rounds += 1
        if state(answer) == "Done":
            break
        assert state(answer) == "Running"
    assert received.decode() == text
    assert rounds > 5


async def test_the_command_line_is_split_as_c_programs_do(console, machine):
    await console.start('vssadmin "list writers" /for:&quot;C:\\my dir\\\\&quot; a&amp;&amp;b')
    assert machine.runs == [["vssadmin", "list writers", "/for:C:\\my dir\\", "a&&b"]]


async def test_skipping_cmd_takes_the_command_as_one_program(console, machine):
    machine.programs["c:\\my tools\\x.exe"] = Output("ok")
    await console.start("C:\\my tools\\x.exe", "one", "two three", WINRS_SKIP_CMD_SHELL="TRUE")
    assert machine.runs == [["C:\\my tools\\x.exe", "one", "two", "three"]]


async def test_an_unknown_program(console):
    await console.start("nothing", WINRS_SKIP_CMD_SHELL="FALSE")
    answer = await console.receive()
    assert answer.said(".//rsp:ExitCode") == "9009"
    assert b"not recognized" in stream(answer, "stderr")
    refused = await console.start("nothing", WINRS_SKIP_CMD_SHELL="TRUE")
    assert (refused.code, refused.subcode) == (2147942402, "w:InternalError")
    assert refused.find(".//f:ProviderFault").get("provider") == "Shell cmd plugin"


async def test_no_command(console):
    answer = await console.start("")
    assert (answer.code, answer.subcode) == (87, "w:InvalidParameter")


async def test_a_receive_before_any_command(console):
    """A capture of pypsrp: test_winrs_fail_poll_process."""
    answer = await console.ask(
        wsman_constants.RECEIVE, "<rsp:Receive><rsp:DesiredStream>stdout stderr</rsp:DesiredStream></rsp:Receive>"
    )
    assert (answer.code, answer.subcode) == (87, "w:InvalidParameter")
    assert answer.find(".//f:ProviderFault").get("provider") == "Shell cmd plugin"


async def test_wrong_ids(console):
    console.command = "00000000-0000-0000-0000-000000000000"
    wrong_command = await console.receive()
    assert (wrong_command.code, wrong_command.subcode) == (2150858843, "w:InvalidSelectors")
    assert wrong_command.find(".//f:ProviderFault") is None
    await console.ask(wsman_constants.DELETE)
    wrong_shell = await console.start("vssadmin")
    assert (wrong_shell.code, wrong_shell.subcode) == (2150858843, "w:InvalidSelectors")
    assert wrong_shell.find(".//f:ProviderFault").get("provider") == "Shell provider"


async def test_an_unknown_signal(console):
    await console.start("vssadmin")
    assert (await console.signal("dance")).code == 87


async def test_input_is_taken(console):
    await console.start("vssadmin")
    body = f'<rsp:Send><rsp:Stream Name="stdin" CommandId="{console.command}">eA==</rsp:Stream></rsp:Send>'
    assert (await console.ask(wsman_constants.SEND, body)).status == 200


async def test_too_many_shells(soap, machine):
    machine.quotas.max_shells_per_user = 2
    answers = [await Console(soap).open() for _each in range(3)]
    assert [each.status for each in answers] == [200, 200, 500]
    refused = answers[2]
    assert refused.subcode == "w:QuotaLimit"
    error = refused.find(".//{*}MSFT_WmiError")
    assert error.findtext("{*}error_Code") == "2150859173"
    assert error.findtext("{*}CIMStatusCode") == "27"
    assert refused.find(".//f:WSManFault") is None
    soap.user = "CORP\\other"
    assert (await Console(soap).open()).status == 200


async def test_idle_shells_close(soap):
    console = Console(soap)
    await console.open("<rsp:IdleTimeOut>PT30S</rsp:IdleTimeOut>")
    soap.now += 29
    assert (await console.start("vssadmin")).status == 200
    soap.now += 31
    assert (await console.start("vssadmin")).code == 2150858843
    assert len(soap.service.shells) == 0


async def test_somebody_elses_shell(console):
    console.soap.user = "CORP\\other"
    assert (await console.start("vssadmin")).code == 2150858843


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a \t b  ", ["a", "b"]),
        ('a "" b', ["a", "", "b"]),
        ('"a b"c d', ["a bc", "d"]),
        (r'a\\b c\"d "e\\" f', [r"a\\b", 'c"d', "e\\", "f"]),
        ('"a""b"', ['a"b']),
        ("trail\\", ["trail\\"]),
    ],
)
def test_split_command_line(line, words):
    assert split_command_line(line) == words
