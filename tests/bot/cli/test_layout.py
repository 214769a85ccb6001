"""Terminals of any width: nothing that somebody wants to copy is broken, and colours stay on a terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Remedy, Report, Severity, Table
from bot.cli.console import console
from bot.cli.layout import print_rows, wrap
from bot.cli.render import print_evidence, print_report
from bot.serialization import Evidence

WIDTHS = (60, 80, 100, 200)
GUID = "11743591-F14D-5833-B66A-C1ECB5E81A2B"
PATH = "C:\\ClusterStorage\\Volume1\\Virtual-Machines\\crm-01\\Snapshots\\D19792CB-EE69-59E1-8613-357B27C16119.avhdx"
HOST = "a-host-with-a-long-name-01.ops.corp.example"
HELPS = (
    *("ask", "run", "worker", "runs", "stop", "go", "doctor", "record", "manifest", "demo"),
    *("audit", "audit list", "audit show", "audit search", "audit export", "audit rebuild", "audit verify"),
    *("ledger", "ledger move"),
)
REPORT = Report(
    title=f"vmm: {HOST} is missing in VMM, and running on {HOST}",
    summary="s",
    of="nodes",
    asked=2,
    answered=1,
    findings=(Finding(Severity.FAULT, "MISSING", HOST, f"VMM looks at {PATH}.", (("By hand", f"Get-SCVirtualMachine -ID {GUID}"),)),),
    unanswered=(Unknown(HOST, "timed out", "no answer in 20 s."),),
    remedies=(Remedy("Fix", f"/fix-missing-vm {HOST} --vmm vmm --by database"),),
    notes=(f"Kept in {PATH}",),
    chart=Chart("Free GB", "GB", (Bar(f"{HOST} C:", 12), Bar("b D:", 210)), (("1 GB wanted", 10),)),
    table=Table(
        "VMM's records and the hosts' answers",
        tuple(Column(name) for name in ("virtual machine", "VMM says on", "VMM state", "VM id", "object id", "path")),
        ((HOST, "hv04", "220 Missing", GUID, GUID[::-1], PATH),),
    ),
)  # fmt: skip


def drawn(width: int) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width, highlight=False, markup=False, emoji=False), REPORT, "ledger 7")
    return out.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_id_name_or_path_is_broken_or_cut(width):
    text = drawn(width)
    assert "…" not in text
    for whole, times in ((GUID, 2), (GUID[::-1], 1), (PATH, 3), (HOST, 7)):
        assert sum(line.count(whole) for line in text.splitlines()) == times, whole


@pytest.mark.parametrize("width", WIDTHS)
def test_only_what_cannot_be_broken_is_longer_than_a_line(width):
    for line in drawn(width).splitlines():
        longest = max((cell_len(word) for word in line.split()), default=0)
        is_whole = longest > width - 60 or "hvops ask" in line
        assert cell_len(line) <= width or is_whole, line


@pytest.mark.parametrize("width", [60, 80])
def test_a_table_that_does_not_fit_is_a_line_for_each_cell(width):
    lines = drawn(width).splitlines()
    assert f"  VM id: {GUID}" in lines
    assert f"  object id: {GUID[::-1]}" in lines
    assert "  VMM state: 220 Missing" in lines


@pytest.mark.parametrize("width", WIDTHS)
def test_a_command_line_to_copy_stays_on_one_line(width):
    assert f'hvops ask "/fix-missing-vm {HOST} --vmm vmm --by database"' in drawn(width)


def test_a_table_that_fits_is_a_table():
    (row,) = [line for line in drawn(400).splitlines() if "220 Missing" in line]
    assert GUID in row
    assert PATH in row


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_help_is_cut_at_any_width(hvops, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in ("", *HELPS):
        ended = hvops(*words.split(), "--help")
        assert ended.code == 0
        cut = [line for line in ended.out.splitlines() if line.rstrip().endswith("...") and "[OPTIONS]" not in line]
        assert cut == [], words
        assert all(len(line) <= max(columns, 60) for line in ended.out.splitlines()), words


def test_a_usage_line_names_hvops_however_it_was_started(hvops, monkeypatch):
    # What a start by `python -m` leaves behind.
    monkeypatch.setattr(sys.modules["__main__"], "__package__", "bot", raising=False)
    assert hvops("audit", "--help").out.split()[:3] == ["Usage:", "hvops", "audit"]


@pytest.mark.parametrize("columns", WIDTHS)
def test_an_answer_breaks_no_word_at_any_width(hvops, monkeypatch, healthy, columns):
    # The answer tells a time of day: both are given in the same minute.
    with time_machine.travel(datetime.now(UTC), tick=False):
        monkeypatch.setenv("COLUMNS", str(columns))
        narrow = words_of(hvops("ask", "--settings", healthy, "/check-writers branch").out)
        monkeypatch.setenv("COLUMNS", "1000")
        assert words_of(hvops("ask", "--settings", healthy, "/check-writers branch").out) == narrow


def words_of(text: str) -> list[str]:
    """Without the number of the entry and the seconds, which differ."""
    return sorted(re.sub(r"ledger [0-9]+|[0-9.]+ s\b", "", " ".join(text.split())).split())


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab 漢é-/\\.", max_size=200), st.integers(1, 60))
def test_wrapping_loses_no_word_and_breaks_none(text, width):
    lines = list(wrap(text, width))
    assert " ".join(lines).split() == text.split()
    for line in lines:
        assert cell_len(line.strip()) <= width or len(line.split()) == 1 or line.startswith(" ")


def test_a_text_goes_below_where_it_has_no_room_beside():
    out = io.StringIO()
    rows = [(Text("FAIL"), Text(HOST), Text("there is no room beside this name for words"))]
    print_rows(Console(file=out, width=60), rows)
    assert out.getvalue().splitlines() == [f"FAIL  {HOST}", "    there is no room beside this name for words"]


def test_evidence_is_rows_and_never_a_line_of_xml():
    out = io.StringIO()
    evidence = (
        Evidence("hv01", "SELECT Name FROM MSCluster_Node", "<s:Envelope>…</s:Envelope>", "", "Name: hv01  State: 0"),
        Evidence("hv02", "vssadmin list writers", "Writer name: 'System'\n   State: [1] Stable"),
        Evidence("hv03", "SELECT Name FROM MSCluster_Node", "", "it timed out"),
        Evidence("hv04", "SELECT Name FROM MSCluster_Node", ""),
    )
    print_evidence(Console(file=out, width=80), evidence)
    assert out.getvalue().splitlines() == [
        "── hv01: SELECT Name FROM MSCluster_Node",
        "Name: hv01  State: 0",
        "── hv02: vssadmin list writers",
        "Writer name: 'System'",
        "   State: [1] Stable",
        "── hv03: SELECT Name FROM MSCluster_Node",
        "it timed out",
        "── hv04: SELECT Name FROM MSCluster_Node",
        "(empty)",
    ]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environment", "is_styled"),
    [
        (Screen, {"TERM": "xterm-256color"}, True),
        (Screen, {"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        (Screen, {"TERM": "dumb"}, False),
        (io.StringIO, {"TERM": "xterm-256color"}, False),
        (io.StringIO, {"TERM": "xterm-256color", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colours_and_weights_stay_on_a_terminal(monkeypatch, file, environment, is_styled):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    written = file()
    monkeypatch.setattr(sys, "stdout", written)
    console().print(Text("STUCK", style="bold red"))
    assert ("\x1b[" in written.getvalue()) is is_styled
    assert "STUCK" in written.getvalue()


def test_a_pipe_gets_no_colours_whatever_the_environment_asks():
    code = "from bot.__main__ import main\nimport sys\nsys.argv = ['hvops', 'audit', 'list', '--since', 'x']\nmain()"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"FORCE_COLOR": "1", "TERM": "xterm-256color", "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 2
    assert "is no time" in ran.stderr
    assert "\x1b" not in ran.stderr + ran.stdout
