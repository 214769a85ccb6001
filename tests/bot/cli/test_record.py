"""A capture of a practice host answers the same questions, and names nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import tomllib
from types import SimpleNamespace

import pytest

from bot.cli.anonymizer import readings
from bot.cli.record import anonymised, names_in, shared_inventory, trusted_in, typed_in
from bot.config.inventory_file import InventoryFile
from bot.config.settings import Limits, load
from bot.dispatch import argument_parser
from bot.dispatch.inventory import Inventory
from bot.dispatch.query_session import QuerySession
from bot.dispatch.registry import Registry
from bot.errors import UsageError
from bot.ledger import Reader
from bot.ledger.ticket_state import TicketState
from bot.transport.capture import Capture, Exchange, whole_output
from bot.transport.replay import Replay, inventory_of
from lab.plugin import PRACTICE
from lab.scenarios import continuity

COMMANDS = Registry.load()


def replayed(capture):
    """The report that the same command makes of a capture."""
    return asyncio.run(_replayed(capture))


async def _replayed(capture):
    reach = Replay(capture)
    try:
        directory = Inventory(reach.inventory_file, reach, reach.router)
        typed = argument_parser.tokenize(capture.line)
        command = COMMANDS.get(typed[0])
        values = argument_parser.bind_arguments(command.usage, command.parameters, typed[1:])
        for parameter in command.parameters:
            if parameter.targets:
                values[parameter.name] = await directory.find(values[parameter.name])
        look = QuerySession(reach, lambda _question: [], reach.now, Limits())
        args = command.spec.args(**values)
        facts = await command.spec.collect(args, look)
        return command.spec.plan(args, facts) if command.changes else command.spec.evaluate(args, facts)
    finally:
        reach.close()


@pytest.fixture(scope="module")
def recorded(stuck, tmp_path_factory):
    """A function: the settings file and a capture of one line."""
    folder = tmp_path_factory.mktemp("captures")
    made = {}

    def capture(hvops, line):
        if line not in made:
            ended = hvops("record", "--settings", stuck, "-o", folder / f"{len(made)}.json", line)
            assert ended.code == 0, ended.err
            made[line] = folder / f"{len(made)}.json"
        return made[line]

    return capture


def test_a_replay_finds_what_the_live_hosts_showed(hvops, recorded):
    capture = Capture.load(recorded(hvops, "/check-writers prod"))
    report = replayed(capture)
    assert report.title == capture.title
    assert (report.answered, report.asked, report.unanswered) == (6, 6, ())
    assert report.findings[0].status == "LOOKS STUCK"
    suspects = [says for finding in report.findings for label, says in finding.lines if label == "Suspect"]
    assert re.match(r"vm\d{4} \(event 10102", suspects[0])


def test_a_remediation_is_asked_about_and_neither_proposed_nor_done(hvops, recorded, stuck):
    capture = Capture.load(recorded(hvops, "/drain-node hv01"))
    plan = replayed(capture)
    assert {gate.description.split()[0] for gate in plan.gates}
    assert [type(step.act).__name__ for step in plan.steps] == ["InvokeMethod"]
    assert "hv01" not in repr(plan)
    asked = " ".join(exchange.request for exchange in capture.exchanges)
    assert "MSCluster_Node" in asked
    assert "/Pause" not in asked
    with Reader(load(stuck).ledger.path) as ledger:
        assert ledger.tickets(list(TicketState)) == []


def test_one_host_alone_is_enough(hvops, recorded):
    capture = Capture.load(recorded(hvops, "/check-writers hv03"))
    report = replayed(capture)
    assert "LOOKS STUCK" in report.title


def test_a_capture_names_nobody_and_holds_no_secret(hvops, recorded, stuck):
    capture = Capture.load(recorded(hvops, "/check-writers prod"))
    everything = "\n".join([json.dumps(capture.inventory), capture.line, capture.title, *capture.texts()])
    for name in ("hv01", "hv06", "test-tfs-01", "sql-07", "corp", "prod"):
        assert not re.search(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])", everything, re.IGNORECASE), name
    secrets = load(stuck).secrets()
    assert secrets
    assert not any(secret in everything for secret in secrets)
    assert "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de" in everything  # the writer's class is the same everywhere


def test_the_text_of_configuration_files_is_in_no_capture(hvops, tmp_path, monkeypatch):
    """A word that looks like no secret may be one. What stays is enough for the same verdict."""
    text = continuity._WEB_CONFIG.replace("Password=correct-horse", "Licence=correct-horse")
    monkeypatch.setattr(continuity, "_WEB_CONFIG", text)
    with PRACTICE.start("continuity", tmp_path / "practice") as running:
        ended = hvops("record", "--settings", running.settings_path, "-o", tmp_path / "c.json", "/check-continuity crm")
        assert ended.code == 0, ended.err
    texts = "\n".join(Capture.load(tmp_path / "c.json").texts())
    assert re.search(r"web\.config:3: address 192\.0\.2\.[0-9]+", texts)
    assert re.search(r"web\.config:5: version 192\.0\.2\.[0-9]+", texts)
    assert "correct-horse" not in texts
    assert "Licence" not in texts


def test_what_a_host_grants_is_recorded_and_replayed(hvops, recorded):
    capture = Capture.load(recorded(hvops, "/check-host-access hv01"))
    assert any("wsman/1/config<" in exchange.request for exchange in capture.exchanges)
    report = replayed(capture)
    assert report.title == capture.title
    assert "30 shells, 1024 MB each" in [one.summary for one in report.fine if one.word == "QUOTAS"]


def test_trusted_hosts_are_machines_and_patterns_are_none():
    reply = "<cfg:TrustedHosts Source='GPO'>WSUS01, *.corp.example,10.0.0.7, jump.corp.example</cfg:TrustedHosts>"
    assert trusted_in(reply) == {"WSUS01", "jump.corp.example"}
    assert trusted_in("<cfg:TrustedHosts></cfg:TrustedHosts>") == set()


def test_the_thumbprint_of_a_certificate_is_left_out(stuck):
    thumbprint = "A909502DD82AE41433E6F83886B00D4277A32A7B"
    reply = f"<cfg:CertificateThumbprint>{thumbprint}</cfg:CertificateThumbprint><cfg:IPv4Filter>*</cfg:IPv4Filter>"
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (Exchange("h", "q", reply),))
    told, _ = anonymised(capture, {}, load(stuck))
    assert told.exchanges[0].reply == reply.replace(thumbprint, "")


def test_hosts_that_answer_with_faults_are_not_named_by_them(hvops, tmp_path):
    with PRACTICE.start("patch-drift", tmp_path / "old") as running:  # 2008 R2 lacks much of what is asked for
        ended = hvops("record", "--settings", running.settings_path, "/check-writers hv01")
    assert ended.code == 0, ended.err
    everything = (tmp_path / "capture.json").read_text()
    assert "WSManFault" in everything
    assert not re.search(r"\bhv0\d\b|corp\.example", everything, re.IGNORECASE)
    assert "stayed" not in ended.out


def test_a_question_that_was_not_recorded_is_unknown_and_not_answered(hvops, recorded):
    capture = Capture.load(recorded(hvops, "/check-writers prod"))
    kept = tuple(one for one in capture.exchanges if "vssadmin" not in one.request)
    report = replayed(Capture(capture.line, capture.at, capture.inventory, capture.title, kept))
    assert report.answered < 6
    assert any("Record it again" in one.why for one in report.unanswered)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 9, "exchanges": []}', '{"version": 1, "exchanges": [{}]}']
)
def test_anything_else_is_no_capture(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json"):
        Capture.load(tmp_path / "x.json")


def piece(text, command="C1", name="stdout"):
    data = base64.b64encode(text.encode()).decode()
    return f'<rsp:Stream Name="{name}" CommandId="{command}">{data}</rsp:Stream>'


def test_a_name_that_was_cut_in_two_is_put_together_before_it_is_replaced():
    exchanges = [Exchange("hv01", "q", output(piece(text))) for text in ("on test-", "tfs-01", " ends")]
    joined = [one.reply for one in whole_output(exchanges)]
    assert joined == [output(piece("on test-tfs-01 ends")), output(piece("")), output(piece(""))]
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", tuple(exchanges))
    changed = capture.changed(lambda text: text.replace("test-tfs-01", "vm0001"))
    assert changed.exchanges[0].reply == output(piece("on vm0001 ends"))


def test_output_in_utf_16_stays_utf_16():
    data = base64.b64encode("guest test-tfs-01 é".encode("utf-16-le")).decode()
    reply = output(f'<rsp:Stream Name="stdout" CommandId="C1">{data}</rsp:Stream>')
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (Exchange("h", "q", reply),))
    changed = capture.changed(lambda text: text.replace("test-tfs-01", "vm0001")).exchanges[0].reply
    kept = re.search(">([^<]+)</rsp:Stream", changed)[1]
    assert base64.b64decode(kept).decode("utf-16-le") == "guest vm0001 é"


NAMES = {"test-tfs-01": "vm0001", "сервер01": "vm0002"}
SHELL = '<w:Option Name="WINRS_CODEPAGE">866</w:Option>'


def output(*streams, prefix="rsp"):
    return f'<{prefix}:ReceiveResponse xmlns:{prefix}="x">{"".join(streams)}</{prefix}:ReceiveResponse>'


def encoded(text, code="utf-8"):
    return base64.b64encode(text.encode(code)).decode()


def recorded_of(stuck, *replies, request="<rsp:DesiredStream CommandId='C1'>stdout</rsp:DesiredStream>"):
    exchanges = (Exchange("h", SHELL, "<x/>"), *(Exchange("h", request, one) for one in replies))
    made, _ = anonymised(Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", exchanges), NAMES, load(stuck))
    return made.exchanges[1:]


WHOLE = encoded("on test-tfs-01.")
SPELLED = {
    "another order": f"<rsp:Stream CommandId='C1' End='true' Name='stdout'>{WHOLE}</rsp:Stream>",
    "more attributes": f'<rsp:Stream xml:lang="a>b" Name = "stdout" CommandId="C1" End="true" odd.one="">{WHOLE}</rsp:Stream >',
    "other attributes": f'<rsp:Stream rsp:Name="stdout" rsp:CommandId="C1">{WHOLE}</rsp:Stream>',
    "without a command": f'<rsp:Stream Name="stdout">{WHOLE}</rsp:Stream>',
    "another prefix": f'<x-y.1:Stream Name="stdout" CommandId="C1">{WHOLE}</x-y.1:Stream>',
    "no prefix": f'<Stream Name="stdout" CommandId="C1">{WHOLE}</Stream>',
    "entities": f'<rsp:Stream Name="stdout" CommandId="C1">&#{ord(WHOLE[0])};{WHOLE[1:].replace("=", "&#x3d;")}</rsp:Stream>',
    "spaces": f'<rsp:Stream Name="stdout" CommandId="C1">\n {WHOLE[:5]}\r\n\t{WHOLE[5:]} </rsp:Stream>',
    "empty ones": f'<rsp:Stream Name="stdout" CommandId="C1" End="true"/><rsp:Stream Name="stdout" CommandId="C1">{WHOLE}</rsp:Stream>',
}


@pytest.mark.parametrize("spelled", list(SPELLED))
def test_every_way_in_which_output_is_written_is_read(stuck, spelled):
    (made,) = recorded_of(stuck, output(SPELLED[spelled]))
    printed = b"".join(base64.b64decode(one) for one in re.findall(r">([A-Za-z0-9+/=]+)</", made.reply))
    assert printed == b"on vm0001."


def test_a_name_that_is_cut_in_two_within_a_reply_and_between_errors_is_replaced(stuck):
    pieces = [piece("on test-"), piece("err test", name="stderr"), piece("tfs-01."), piece("-tfs-01!", name="stderr")]
    made = recorded_of(stuck, output(*pieces[:3]), output(pieces[3]))
    assert made[0].reply == output(piece("on vm0001."), piece("err vm0001!", name="stderr"), piece(""))
    assert made[1].reply == output(piece("", name="stderr"))


@pytest.mark.parametrize("code", ["cp866", "utf-8", "utf-16-le", "utf-16"])
def test_names_in_the_encoding_of_the_program_are_replaced(stuck, code):
    stream = f'<rsp:Stream Name="stdout" CommandId="C1">{encoded("узел Сервер01, ok", code)}</rsp:Stream>'
    (made,) = recorded_of(stuck, output(stream))
    (kept,) = re.findall(r">([A-Za-z0-9+/=]+)</", made.reply)
    assert base64.b64decode(kept).decode(code) == "узел vm0002, ok"


def test_a_number_of_thousands_of_digits_in_a_reply_ends_no_recording(stuck):
    said = f"<!-- &#{'9' * 5_000}; on &#{'0' * 5_000}116;est-tfs-01. -->"
    exchange = Exchange("h", "<x/>", f"<x>{said}</x>")
    with pytest.raises(UsageError, match="There is no capture"):  # a name in a spelling that nothing replaces
        anonymised(Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (exchange,)), NAMES, load(stuck))


NOT_READ = {
    "a section": f'<rsp:Stream Name="stdout" CommandId="C1"><![CDATA[{WHOLE}]]></rsp:Stream>',
    "a comment in it": f'<rsp:Stream Name="stdout" CommandId="C1">{WHOLE[:4]}<!-- -->{WHOLE[4:]}</rsp:Stream>',
    "no end": f'<rsp:Stream Name="stdout" CommandId="C1">{WHOLE}',
    "no base64": '<rsp:Stream Name="stdout" CommandId="C1">test-tfs-01!</rsp:Stream>',
    "no name": f'<rsp:Stream CommandId="C1">{WHOLE}</rsp:Stream>',
    "an attribute without quotes": f'<rsp:Stream Name=stdout CommandId="C1">{WHOLE}</rsp:Stream>',
    "a name as entities": piece("") + "<Caption>t&#101;st-tfs-01</Caption>",
    "bytes that are no UTF-8": piece("") + "<Caption>test-\ufffdfs-01</Caption>",
    "UTF-16": "\0".join("<Caption>test-tfs-01</Caption>"),
}


@pytest.mark.parametrize("written", list(NOT_READ))
def test_what_cannot_be_read_leaves_no_capture(stuck, written):
    with pytest.raises(UsageError, match="There is no capture") as refused:
        recorded_of(stuck, output(NOT_READ[written]))
    assert "tfs" not in str(refused.value)


def test_output_in_a_code_page_that_nobody_asked_for_leaves_no_capture(stuck):
    reply = output(f'<rsp:Stream Name="stdout" CommandId="C1">{encoded("сервер01", "cp866")}</rsp:Stream>')
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (Exchange("h", "q", reply),))
    with pytest.raises(UsageError, match="encoding that is not known in a reply of h"):
        anonymised(capture, NAMES, load(stuck))


SECRET = "Grün-Correct-Horse-7!"
SAID = f"on test-tfs-01: net use x {SECRET} y\r\n"
SHIFTED = SAID.encode("utf-16-le")
# What a program printed, and whether a capture is made of it: what is kept names nothing in any reading, or nothing is kept.
READ_OTHERWISE = {
    "a zero behind it": (SAID.encode() + b"\0 ", True),
    "a zero behind it, an even length": (SAID.encode() + b"\0" * (1 + len(SAID.encode()) % 2), True),
    "a zero before it": (b"\0" + SAID.encode(), True),
    "UTF-16": (SHIFTED, True),
    "UTF-16, the other order": (SAID.encode("utf-16-be"), True),
    "UTF-16, the other order, marked": (b"\xfe\xff" + SAID.encode("utf-16-be"), True),
    "UTF-16 from the second byte": (b"\xff" + SHIFTED, False),
    "UTF-16, the other order, from the second byte": (b"a" + SAID.encode("utf-16-be"), False),
    "UTF-16 behind bytes": (b"x" * 4 * len(SAID) + SHIFTED, False),
    "UTF-16 from an odd byte on, behind bytes": (b"x" * (4 * len(SAID) + 1) + SHIFTED + b"\0", False),
    "bytes behind UTF-16": ("узел ".encode("utf-16-le") * 90 + SAID.encode() + b" " * (len(SAID.encode()) % 2), False),
    "bytes behind a mark of UTF-16": (b"\xff\xfe" + SAID.encode() + b" " * (len(SAID.encode()) % 2), False),
    "the shell's code page": (SAID.encode("cp850"), True),
    "another code page": (SAID.encode("cp1252"), False),
    "another code page beside UTF-8": (SAID.encode("cp1252") + "é".encode(), False),
}


@pytest.mark.parametrize("written", list(READ_OTHERWISE))
def test_what_is_kept_of_output_is_masked_in_whatever_way_it_is_read(written):
    data, is_kept = READ_OTHERWISE[written]
    reply = output(f'<rsp:Stream Name="stdout" CommandId="C1">{base64.b64encode(data).decode()}</rsp:Stream>')
    exchanges = (Exchange("h", SHELL.replace("866", "850"), "<x/>"), Exchange("h", "q", reply))
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", exchanges)
    configured = SimpleNamespace(secrets=lambda: (SECRET,))
    if not is_kept:
        with pytest.raises(UsageError, match="There is no capture"):
            anonymised(capture, NAMES, configured)
        return
    made, _ = anonymised(capture, NAMES, configured)
    (kept,) = re.findall(r">([A-Za-z0-9+/=]+)</", made.exchanges[1].reply)
    printed = base64.b64decode(kept)
    assert b"masked" in printed.replace(b"\0", b"")
    for word in (SECRET, "test-tfs-01"):
        for code in ("utf-8", "cp437", "cp850", "cp1252", "latin-1", "utf-16-le", "utf-16-be"):
            assert word.encode(code) not in printed, (word, code)


def test_without_a_file_it_takes_a_name_that_is_free(hvops, healthy, tmp_path):
    for name in ("capture.json", "capture-2.json"):
        ended = hvops("record", "--settings", healthy, "/check-writers hv01")
        assert ended.code == 0, ended.err
        assert f"are in {name}." in ended.out
        assert Capture.load(tmp_path / name).line.startswith("/check-writers host")


TYPED = {
    "vdi-07": "Kasse Nord",
    "vdi-06": "crm (alt)",
    "vdi-05": "Bäckerei-01",
    "vdi-04": 'Akten "Huber" & Sohn\'s',
    "vdi-03": "Łódź [test] 50% \\ neu",
    "vdi-02": "Сервер учёта",
}


@pytest.fixture(scope="module")
def renamed(tmp_path_factory):
    """A function: a capture of one line, of a practice environment whose guests were called otherwise, and what was said."""

    def capture(hvops, line, names):
        folder = tmp_path_factory.mktemp("renamed")
        with PRACTICE.start("stuck-writer", folder / "practice") as running:
            for guest, name in names.items():
                running.do(lambda guest=guest, name=name: setattr(running.world.guest(guest), "name", name))
            ended = hvops("record", "--settings", running.settings_path, "-o", folder / "c.json", line)
        assert ended.code == 0, ended.err
        return Capture.load(folder / "c.json"), ended.out

    return capture


@pytest.mark.parametrize("line", ["/check-writers prod", "/drain-node hv02"])
def test_a_guest_whose_name_is_any_text_is_not_named_nor_is_its_role(hvops, renamed, line):
    capture, said = renamed(hvops, line, TYPED)
    everything = "\n".join([json.dumps(capture.inventory), capture.line, capture.title, *capture.texts()])
    everything = "\n".join(readings(everything)).casefold()
    for old, new in TYPED.items():
        assert new.casefold() not in everything, new
        assert not re.search(rf"\b{old}\b", everything), old  # the role is still called so
    assert "stayed" not in said
    report = replayed(capture)
    assert report.title == capture.title or hasattr(report, "gates")


def test_a_guest_that_is_called_like_a_value_keeps_its_name_and_the_answer_its_meaning(hvops, renamed):
    words = {"vdi-07": "True", "vdi-06": "1", "vdi-05": "Running", "vdi-04": "Virtual Machine", "vdi-03": "Windows"}
    capture, said = renamed(hvops, "/check-writers prod", words)
    report = replayed(capture)
    assert report.title == capture.title
    assert (report.answered, report.asked, report.unanswered) == (6, 6, ())
    told = said.partition("These names stayed")[2]
    assert all(word in told for word in ("1", "running", "true"))


TYPED_NAMES = {"bäckerei & söhne": "vm0001", 'o\'neil "alt"': "vm0002", "r&d": "vm0003", "a\\b c": "vm0004"}
WRITTEN = {
    "plain": 'Bäckerei & Söhne|O\'Neil "alt"|R&D|a\\b c',
    "in capital letters": 'BÄCKEREI & SÖHNE|O\'NEIL "ALT"|R&D|A\\B C',
    "XML": "B&#228;ckerei &amp; S&#xF6;hne|O&apos;Neil &quot;alt&quot;|R&amp;D|a\\b c",
    "XML with names of letters": "B&auml;ckerei&nbsp;&amp; S&ouml;hne|O&#39;Neil &quot;alt&quot;|R&#x26;D|a&#92;b&#32;c",
    "XML within XML": "B&amp;#228;ckerei &amp;amp; S&amp;#xf6;hne|O&amp;apos;Neil &amp;quot;alt&amp;quot;|R&amp;amp;D|a\\b c",
    "JSON": 'B\\u00e4ckerei \\u0026 S\\u00F6hne|O\'Neil \\"alt\\"|R\\u0026D|a\\\\b c',
    "PowerShell": 'B_x00E4_ckerei_x0020_&_x0020_S_x00f6_hne|O\'Neil "alt"|R_x0026_D|a_x005C_b c',
    "a URL": "B%C3%A4ckerei%20%26%20S%c3%b6hne|O%27Neil+%22alt%22|R%26D|a%5Cb+c",
    "WQL": 'Bäckerei & Söhne|O\\\'Neil \\"alt\\"|R&D|a\\\\b c',
    "letters and marks": 'Ba\u0308ckerei & So\u0308hne|O\'Neil "alt"|R&D|a\\b c',
}


@pytest.mark.parametrize("written", list(WRITTEN))
def test_a_name_goes_in_every_way_in_which_it_is_written(stuck, written):
    exchange = Exchange("h", "<q/>", f"<x>{WRITTEN[written]}</x>")
    capture = Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (exchange,))
    made, kept = anonymised(capture, TYPED_NAMES, load(stuck))
    assert made.exchanges[0].reply == "<x>vm0001|vm0002|vm0003|vm0004</x>"
    assert kept == []


@pytest.mark.parametrize("written", ["\\u0042äckerei & Söhne", "_x0042_äckerei & Söhne", "%42äckerei & Söhne"])
def test_a_name_in_a_mixture_that_nothing_replaces_leaves_no_capture(stuck, written):
    exchange = Exchange("h", "<q/>", f"<x>{written}</x>")
    with pytest.raises(UsageError, match="There is no capture"):
        anonymised(Capture("/x", "2026-03-02T12:00:00+00:00", {}, "t", (exchange,)), TYPED_NAMES, load(stuck))


def test_names_are_found_in_later_parts_of_an_answer_and_no_other_words_are_taken_for_names():
    def part(context, name):
        return f"<n:EnumerationContext>{context}</n:EnumerationContext><p:ElementName>{name}</p:ElementName>"

    heard = [
        Exchange("hv01", "SELECT ElementName FROM Msvm_ComputerSystem", part("uuid:1", "Kasse Nord")),
        Exchange("hv01", "SELECT ElementName FROM Msvm_MemorySettingData", part("uuid:2", "Memory of it")),
        Exchange("hv01", "<n:EnumerationContext>uuid:2</n:EnumerationContext>", part("uuid:2", "Hard Drive")),
        Exchange("hv01", "<n:EnumerationContext>uuid:1</n:EnumerationContext>", part("uuid:1", "Kasse S&amp;#252;d")),
        Exchange(
            "hv01", "FROM MSCluster_ResourceGroup", "<Name>SCVMM Huber Resources</Name><Name>Cluster Group</Name>"
        ),
        Exchange("hv01", "FROM MSCluster_Resource", "<Name>Virtual Machine Configuration Lohn 2</Name>"),
        Exchange("hv01", "wevtutil", "<Data Name='VmName'>Alt &amp; Neu</Data><OwnerGroup>Meier</OwnerGroup>"),
    ]
    assert typed_in(heard) == {"Kasse Nord", "Kasse Süd", "Huber", "Lohn 2", "Alt & Neu", "Meier"}


LISTED = """
[clusters.prod]
domain = "huber.example"
entry_hosts = ["hv01"]
ops_channel = "C0HUBER"
node_pattern = "hv0*"
[hosts.sqlhost7]
domain = "huber.example"
[vmm.huber-vmm]
server = "sql-huber.db.example"
[commvault]
url = "https://huber-backup.save.example/webconsole/api"
[[load_balancer]]
name = "huber-lm"
url = "https://lm-huber.dmz.example"
networks = ["10.20.7.0/24"]
[web]
networks = ["10.20.8.0/24"]
[web.hosts]
"huber-www.shop.example" = "10.20.8.4"
[service.huber-crm]
places = ["prod"]
guests = ["Kasse Huber", "crm-01"]
connects = ["kasse-huber.shop.example:443"]
[[service.huber-crm.assumption]]
says = "Frau Huber is told"
kind = "statement"
target = "lic-huber"
owner = "Team Huber"
proof = "minutes of Huber"
max_age_days = 100
others = ["lic-huber2.other.example"]
site = "huberdorf"
folders = ['C:\\inetpub\\huber-crm']
[site.huberdorf]
members = ["prod", "fs-huber"]
[update_rule.huber-rule]
says = "Huber said so"
builds = [9600]
steps = ["add KB2616676"]
[[window]]
name = "Huber rests"
kind = "freeze"
from = "22:00"
to = "04:00"
zone = "Europe/Berlin"
scope = ["huber-vmm"]
[[window]]
name = "Huber balances"
kind = "freeze"
from = "22:00"
to = "04:00"
zone = "Europe/Berlin"
scope = ["huber-lm"]
[endpoints]
hv01 = "http://hv01-huber.mgmt.example:5985/wsman"
"""


def listing():
    return InventoryFile.model_validate(tomllib.loads(LISTED))


def test_an_inventory_that_is_given_away_names_nobody_and_is_read_as_before(stuck):
    heard = [Exchange("hv02", "root/MSCluster", "<x>lm-huber, sql-huber and huber-vmm, of db.example</x>")]
    known = SimpleNamespace(known=lambda: ("prod", "huber-vmm", "huber-lm", "huber-crm", "hv01", "sqlhost7"))
    made = SimpleNamespace(inventory_file=listing(), inventory=known)
    names = names_in(made, load(stuck), heard)
    inventory = shared_inventory(listing(), ["hv01", "hv02", "sqlhost7"])
    capture = Capture("/check-vmm huber-vmm", "2026-03-02T12:00:00+00:00", inventory, "t", tuple(heard))
    told, kept = anonymised(capture, names, load(stuck))
    everything = json.dumps([told.inventory, told.line, [one.reply for one in told.exchanges]])
    for word in ("huber", "hv01", "hv02", "prod", "sqlhost7", "C0", "10.20", "db.example", "save.example"):
        assert word not in everything.lower(), everything
    assert kept == []
    assert told.line == "/check-vmm vmm1"
    read = inventory_of(told)
    (cluster,) = read.clusters.values()
    assert len(cluster.nodes) == 2
    assert all(read.may_claim(cluster.name, node) for node in cluster.nodes)
    assert [window.scope for window in read.windows()] == [(cluster.name,)]
    (service,) = read.services().values()
    assert service.places == (cluster.name,)
    assert {len({one.target, *one.others, one.site}) for one in service.assumptions} == {3}


def test_a_setting_keeps_its_name_where_a_machine_is_called_like_it(stuck):
    inventory = {"clusters": {"domain": {"domain": "d.example", "entry_hosts": ["writers"]}}}
    capture = Capture("/check-writers writers", "2026-03-02T12:00:00+00:00", inventory, "writers", ())
    told, _ = anonymised(capture, {"domain": "cluster1", "writers": "host01"}, load(stuck))
    assert (told.line, told.title) == ("/check-writers host01", "host01")
    assert told.inventory == {"clusters": {"cluster1": {"domain": "d.example", "entry_hosts": ["host01"]}}}


def test_a_capture_of_a_service_is_read_as_before_and_names_nothing_of_the_inventory(hvops, tmp_path):
    with PRACTICE.start("continuity", tmp_path / "practice") as running:
        ended = hvops("record", "--settings", running.settings_path, "-o", tmp_path / "c.json", "/check-continuity crm")
        assert ended.code == 0, ended.err
    capture = Capture.load(tmp_path / "c.json")
    everything = json.dumps([capture.inventory, capture.line, capture.title])
    for word in ("crm", "antwerp", "ghent", "fs01", "lic01", "S0ONCALL", "licence", "127.0.0.1"):
        assert not re.search(rf"\b{word}\b", everything, re.IGNORECASE), word
    assert capture.line == "/check-continuity service1"
    assert inventory_of(capture).services()
