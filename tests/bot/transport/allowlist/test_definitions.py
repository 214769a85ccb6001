import subprocess

import pytest

from bot.api.queries import make_params
from bot.transport.allowlist import PROGRAMS, Parameter, Program

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
