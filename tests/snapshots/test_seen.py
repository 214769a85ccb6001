"""What holds of everything that people see in Slack, read from the files that hold it."""

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SEEN = sorted(HERE.glob("*/*.json"))
PLANS = [path for path in SEEN if path.stem.endswith("proposed") or path.parent.name == path.stem == "redeploy-uefi"]
THREADS = sorted(HERE.glob("*/*-thread.txt"))
TOKEN = re.compile(r"<!date\^[0-9]+\^[^|<>]*\|[^<>]*>")
GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def name(path):
    return f"{path.parent.name}/{path.stem}"


def texts(node):
    """Every text that Slack shows, but what is printed as it came (a plan, a program's output, a file) and a date's fallback."""
    if isinstance(node, list):
        for one in node:
            yield from texts(one)
    elif isinstance(node, dict) and node.get("type") not in ("rich_text_preformatted", "date"):
        for key, value in node.items():
            if isinstance(value, str):
                yield from (value,) if key in ("text", "title", "caption", "label", "name") else ()
            else:
                yield from texts(value)


def blocks(node):
    if isinstance(node, dict):
        if node.get("type") in ("actions", "section", "header", "context"):
            yield node
        for value in node.values():
            yield from blocks(value)
    elif isinstance(node, list):
        for one in node:
            yield from blocks(one)


@pytest.mark.parametrize("path", SEEN, ids=name)
def test_no_time_is_said_in_utc_to_a_reader_elsewhere(path):
    told = [TOKEN.sub("", one) for one in texts(json.loads(path.read_text()))]
    assert [one for one in told if re.search(r"\bUTC\b", one)] == []


@pytest.mark.parametrize("path", PLANS, ids=name)
def test_nobody_reads_ids_and_paths_before_they_can_approve(path):
    told = [
        one["text"]["text"]
        for one in blocks(json.loads(path.read_text()))
        if one["type"] == "section" and "text" in one
    ]
    for one in told:
        assert not GUID.search(one), one
        assert "root/" not in one
        assert "• Passed" not in one


@pytest.mark.parametrize("path", PLANS, ids=name)
def test_a_plan_says_its_impact_and_its_way_back_and_asks_in_whole_words(path):
    seen = json.loads(path.read_text())
    told = "\n".join(texts(seen))
    for label in ("*Impact:*", "*Way back:*", "*Risk:*", "*Takes:*"):
        assert label in told
    for row in (one for one in blocks(seen) if one["type"] == "actions"):
        for button in row["elements"]:
            assert "…" not in button.get("confirm", {}).get("text", {}).get("text", "")


@pytest.mark.parametrize("path", THREADS, ids=name)
def test_a_run_says_little_in_its_thread(path):
    """The plan, the decision, the end, and a line for each step; what interrupts it or gives it on adds one each."""
    told = path.read_text()
    messages = re.split(r"(?m)^--- [0-9]+$", told)[1:]
    steps = sum(re.match(r"\s*\*Step [0-9]+ of [0-9]+, ", one) is not None for one in messages)
    turns = sum(
        bool(re.search(r"is interrupted:|resumed T-[0-9]+|confirmed step|asked T-[0-9]+ to stop", one))
        for one in messages
    )
    looks = sum("checked by" in one for one in messages)
    files = told.count("[file ")  # Slack posts a file as a message of its own
    assert len(messages) <= 3 + steps + turns + looks + files, messages


def test_there_is_something_to_look_at():
    assert len(SEEN) > 100
    assert len(PLANS) >= 10
    assert len(THREADS) >= 8
