"""Logs go to standard error, masked, one JSON line each; libraries' lines too."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from bot.logging_setup import configure
from bot.redaction import MASKED, Redactor


@pytest.fixture
def lines():
    """What was logged since, as data; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("slack_bolt", "slack_sdk", "asyncio", "urllib3")}
    stream = io.StringIO()
    configure(Redactor(["hunter2"]), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def test_our_own_lines_are_json_with_time_and_level_and_without_secrets(lines):
    structlog.get_logger().info(
        "asked with hunter2", url="https://hooks.slack.com/x/y", password="abc", rows=3, on=("a",)
    )
    (line,) = lines()
    assert line["event"] == "asked with [masked]"
    assert line["url"] == line["password"] == "[masked]"
    assert (line["level"], line["rows"], line["on"]) == ("info", 3, ["a"])
    assert line["timestamp"].endswith("Z")


def test_a_traceback_is_masked(lines):
    try:
        int("hunter2")
    except ValueError:
        structlog.get_logger().exception("our bug", bug="ab12")
    (line,) = lines()
    assert "ValueError: invalid literal for int() with base 10: '[masked]'" in line["exception"]
    assert line["bug"] == "ab12"


def test_libraries_are_heard_from_warnings_on_and_masked_too(lines):
    logging.getLogger("somebody").info("chatter")
    logging.getLogger("somebody").warning("failed with %s", "xoxb-123-456")
    (line,) = lines()
    assert (line["event"], line["level"]) == ("failed with [masked]", "warning")


def test_something_that_is_no_text_is_masked_as_it_prints(lines):
    structlog.get_logger().warning("odd", error=ValueError("hunter2"), debug=b"x")
    (line,) = lines()
    assert line["error"] == "[masked]"


def test_a_number_and_what_is_in_a_list_are_masked_too(lines):
    configure(Redactor(["20261130", "hunter2"]), out := io.StringIO())
    structlog.get_logger().warning(
        "odd", code=20261130, deep={"a": [20261130, 7]}, errors=[ValueError("hunter2")], pwd=7
    )
    logging.getLogger("library").warning("broken %d %s", 20261130, {"n": 20261130}, extra={"code": 20261130})
    ours, theirs = (json.loads(line) for line in out.getvalue().splitlines())
    assert (ours["code"], ours["deep"], ours["errors"]) == (MASKED, {"a": [MASKED, 7]}, [MASKED])
    assert ours["pwd"] == MASKED
    assert theirs["event"] == f"broken {MASKED} {{'n': {MASKED}}}"
    assert "20261130" not in out.getvalue()
    assert lines() == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_line_on_a_terminal_cannot_move_the_cursor_or_forge_another_line(lines):
    out = Terminal()
    configure(Redactor(), out)
    structlog.get_logger().warning("odd", line="/x\x1b]0;mine\x07", name="\x9b2J\u202e")
    logging.getLogger("library").warning("broken\n2026-01-01T00:00:00Z [info] all is well \x1b[2J")
    told = out.getvalue()
    assert not any(one in told for one in "\x1b\x07\x9b\u202e")
    assert "/x\\u001b]0;mine\\u0007" in told
    assert [line for line in told.splitlines() if line.startswith("2026-01-01T00:00:00Z")] == []
    assert lines() == []
