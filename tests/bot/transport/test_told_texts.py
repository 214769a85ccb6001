"""What hosts and services say is masked before it is cut, or made one line: half a secret is found by no mask."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from bot.api.queries import RunReader
from bot.errors import TargetError
from bot.redaction import MASKED, Redactor
from bot.slack.outbound.message import split, truncate
from bot.tickets.readings import rows_in_words
from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.loadmaster import parse_version
from bot.transport.allowlist.web import JobRefused, parse_jobs
from bot.transport.connection_reasons import why_no_name
from bot.transport.sql.sql_errors import from_database
from bot.transport.windows.faults import from_code, from_fault
from bot.transport.windows.host_operations import Output
from bot.transport.windows.kerberos_reasons import why_no_ticket
from bot.transport.windows.program_output import rows_of
from bot.transport.windows.wsman import WSManFaultReply, read_instance

ROW = RunReader("hv01", "vssadmin list writers")
FAULT = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value>'
    "</s:Code><s:Reason><s:Text>x</s:Text></s:Reason><s:Detail><f:WSManFault "
    'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="4711"><f:Message>{}</f:Message></f:WSManFault>'
    "</s:Detail></s:Fault></s:Body></s:Envelope>"
)


def fault(text):
    with pytest.raises(WSManFaultReply) as raised:
        read_instance(FAULT.format(escape(text)))
    return from_fault("hv01", raised.value.fault)


def program(text, *, stderr="", code=0):
    with pytest.raises(TargetError) as raised:
        rows_of("hv01", PROGRAMS[ROW.what], ROW, Output(text, stderr, code))
    return raised.value


def refused(text):
    with pytest.raises(JobRefused) as raised:
        parse_jobs({"errorMessage": text, "errorCode": 7})
    return raised.value


SAYS = {
    "a fault": fault,
    "a code with words": lambda text: from_code("hv01", 4711, text),
    "a program's end": lambda text: program("", stderr=text, code=7),
    "a program's end on its other output": lambda text: program(text, code=7),
    "what vssadmin says": lambda text: program(text + "\r\n"),
    "a database": lambda text: from_database(
        "vmm",
        ("42000", f"[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} (50000) (SQLExecDirectW)"),
    ),
    "an error of the backup product": refused,
    "a job's reason": lambda text: parse_jobs(
        {"jobs": [{"jobSummary": {"jobId": 1, "pendingReason": text}}], "totalRecordsWithoutPaging": 1}
    )[0]["reason"],
    "a load balancer": lambda text: parse_version({"version": (f"7.2{text}",)})[0]["version"],
    "a row in words": lambda text: rows_in_words([{"Name": text}]),
    "a login that Kerberos refuses": lambda text: str(why_no_ticket(None, text)),
    "a name that is not found": lambda text: str(why_no_name(OSError(text))),
    "a text in Slack": lambda text: truncate(text, 300),
}
KEPT_AS_IS = {"a text in Slack", "a load balancer", "a job's reason", "a name that is not found"}


@pytest.mark.parametrize("where", list(SAYS))
def test_no_edge_cuts_a_secret_in_two(where):
    """Wherever the edge is: each length of the text before the secret is tried that could bring it there."""
    secret = "Zq7#vK9!xW3$yB5%"
    mask = Redactor([secret])
    for before in range(1, 520):
        said = mask.redact_text(str(SAYS[where]("x" * before + secret + " " + "y" * 300)))
        assert "Zq" not in said, before
        assert "B5%" not in said, before


@pytest.mark.parametrize("where", [one for one in SAYS if one not in KEPT_AS_IS])
@pytest.mark.parametrize("secret", ["correct  horse", "correct\u00a0horse-9", "correct horse", "Secret-2026."])
def test_no_joined_blank_and_no_full_stop_hides_a_secret(where, secret):
    mask = Redactor([secret])
    said = mask.redact_text(str(SAYS[where](f"logon of hvops failed: {secret}")))
    assert f"logon of hvops failed: {MASKED}" in said
    assert "horse" not in said
    assert "2026" not in said


def test_a_text_that_becomes_several_messages_is_masked_before_that():
    secret = "correct horse battery staple"
    mask = Redactor([secret])
    for before in range(60):
        pieces = split("w " * before + secret + " end" * 20, 60)
        assert len(pieces) > 1
        said = " ".join(map(mask.redact_text, pieces))
        assert not {"correct", "horse", "battery", "staple"} & set(said.split())
