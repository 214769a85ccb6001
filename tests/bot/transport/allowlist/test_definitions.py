import subprocess
import tracemalloc

import pytest

from bot.api.queries import RunReader, make_params
from bot.errors import TargetError
from bot.transport.allowlist import PROGRAMS, BadOutput, Parameter, Program
from bot.transport.allowlist.addresses import cover_lines, parse_lines
from bot.transport.allowlist.definitions import MOST_LINES, lines_of
from bot.transport.bounds import MAX_ROWS
from bot.transport.windows.host_operations import LONGEST_OUTPUT, Output
from bot.transport.windows.program_output import rows_of

EVENTS = PROGRAMS["wevtutil query events"]


def test_every_row_is_marked_and_named_as_it_is_found():
    assert PROGRAMS
    for what, row in PROGRAMS.items():
        assert row.what == what
        assert row.marked in ("reads", "changes")
        assert (row.profile == "operator") == (row.marked == "changes")
        assert row.seconds > 0
        assert row.success


def test_the_command_line_of_events():
    line = EVENTS.command_line(
        make_params(channel="System", ids="1137,1071", since="2026-11-21T22:00:00+01:00", most=50)
    )
    assert line == (
        "wevtutil",
        "qe",
        "System",
        "/q:*[System[(EventID=1137 or EventID=1071) and TimeCreated[@SystemTime>='2026-11-21T21:00:00.000Z']]]",
        "/f:xml",
        "/rd:true",
        "/c:50",
        "/uni:true",
    )
    line = EVENTS.command_line(make_params(channel="System", ids="1", provider="Microsoft-Windows-FailoverClustering"))
    assert line[3] == "/q:*[System[(EventID=1) and Provider[@Name='Microsoft-Windows-FailoverClustering']]]"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"channel": "System"},
        {"channel": "/q:*", "ids": "1"},
        {"channel": 'System" & calc', "ids": "1"},
        {"channel": "Sys|tem", "ids": "1"},
        {"channel": None, "ids": "1"},
        {"channel": "System", "ids": ""},
        {"channel": "System", "ids": "1 or 1=1"},
        {"channel": "System", "ids": "99999"},
        {"channel": "System", "ids": "²"},
        {"channel": "System", "ids": ",".join(["1"] * 21)},
        {"channel": "System", "ids": "1", "since": "yesterday"},
        {"channel": "System", "ids": "1", "since": "2026-11-21T22:00:00"},
        {"channel": "System", "ids": "1", "provider": "x'] or *[System"},
        {"channel": "System", "ids": "1", "most": 0},
        {"channel": "System", "ids": "1", "most": "5 /q:*"},
        {"channel": "System", "ids": "1", "most": True},
        {"channel": "System", "ids": "1", "file": "c:\\x"},
    ],
)
def test_values_that_do_not_fit_are_refused(params):
    with pytest.raises(ValueError, match="wevtutil query events"):
        EVENTS.command_line(make_params(**params))


def test_a_value_with_braces_stays_a_value():
    row = Program("x", "reads", ("x", "{a}", "{b}"), lambda _: (), (Parameter("a", str), Parameter("b", str)))
    assert row.command_line(make_params(a="{b}", b="2")) == ("x", "{b}", "2")


def test_no_word_of_a_template_needs_quotes_to_stay_one_argument():
    words = EVENTS.command_line(make_params(channel="Windows PowerShell", ids="1,2"))
    assert '"Windows PowerShell"' in subprocess.list2cmdline(words)


LONGEST_PATH = "C:\\" + "a" * 390
HOSTILE = {
    "lines of one letter": "a\n" * (LONGEST_OUTPUT // 2),
    "blank lines": "\n" * LONGEST_OUTPUT,
    "line ends that only Python knows": "a\x1c" * (LONGEST_OUTPUT // 2),
    "words": "ab " * (LONGEST_OUTPUT // 3) + "\n",
    "addresses": f"{LONGEST_PATH}:1:" + "1.1.1.1 " * (LONGEST_OUTPUT // 8 - 60) + "\n",
    "numbered lines": "1:a\n" * (LONGEST_OUTPUT // 4),
    "one field without an end": '"' + "a" * (LONGEST_OUTPUT - 2) + "\n",
}


@pytest.mark.parametrize("what", [what for what, row in PROGRAMS.items() if row.marked == "reads"])
@pytest.mark.parametrize("output", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("code", [0, 77])
def test_nothing_that_a_program_prints_takes_much_more_memory_than_it_is_long(what, output, code):
    """Six megabytes of one line became a thousand, and the bot has 256."""
    program = PROGRAMS[what]
    tracemalloc.start()
    try:
        covered = program.cover(output) if program.cover else output
        rows_of("hv01", program, RunReader("hv01", what), Output(covered, "", code))
    except TargetError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10 * LONGEST_OUTPUT


def test_too_many_lines_are_refused_and_as_many_as_are_read_are_not():
    assert len(lines_of("a\r\n" * MOST_LINES)) == MOST_LINES
    assert lines_of("\n a\n\n") == [" a"]
    with pytest.raises(BadOutput, match="more than 20,000 lines"):
        lines_of("a\n" * (MOST_LINES + 1))


def test_of_too_many_addresses_it_is_said_that_there_are_too_many():
    for output in HOSTILE["addresses"], "C:\\a:1:1.1.1.1\r\n" * 60_000, "C:\\a:1:1.1.1.1\r\n" * 5_001:
        with pytest.raises(BadOutput, match="more than 5,000 lines"):
            parse_lines(cover_lines(output))
    rows = parse_lines(cover_lines(f"C:\\a:1:{'x' * 65_530}10.20.0.15 {'y' * 65_533}10.20.0.16\r\n"))
    assert [row["address"] for row in rows] == ["10.20.0.15", "10.20.0.16"]


def test_more_rows_than_any_answer_may_have_are_no_answer():
    many = Program("many", "reads", ("many",), lambda _: ({"a": "b"},) * (MAX_ROWS + 1))
    with pytest.raises(TargetError, match="exceeds the size limit"):
        rows_of("hv01", many, RunReader("hv01", "many"), Output("", "", 0))
