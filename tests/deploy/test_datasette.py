"""The ledger opens in Datasette with what deploy/datasette.yaml says of it: a real server, asked over HTTP."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from entry_samples import entry_data, entry_data_of

from bot.ledger import Ledger
from bot.ledger.copies import write_file
from bot.ledger.key import read_key
from bot.ledger.verify import verify

METADATA = Path(__file__).parents[2] / "deploy" / "datasette.yaml"
TOLD = yaml.safe_load(METADATA.read_text())["databases"]["ledger"]
UNTIL = "2026-03-02T15:00:00Z"


class Clock:
    """Three minutes pass between two entries."""

    now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(minutes=3)
        return self.now


def write_history(ledger):
    """A question, a refusal, a ticket that was done, one that was rejected, a stop, a head."""
    asked = ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
    answer = {
        "asked": asked.seq,
        "answer": "token",
        "target": "prod",
        "verdict": "prod: all well",
        "seconds_tenths": 12,
    }
    ledger.append("T0/U1", entry_data("answered", answer))
    ledger.append(
        "T0/U4",
        entry_data("refused", {"line": "/drain-node hv03", "category": "not allowed", "reason": "You may not."}),
    )
    data = {"digest": "9f3c41aa00", "policy": "approval", "open_until": UNTIL, "target": "hv03", "risk": "high"}
    data |= {"line": "/drain-node hv03", "name": "operator"}
    by = {"by": "T0/U2", "name": "approver", "via": "button", "start_by": UNTIL, "digest": data["digest"]}
    done = ledger.append("T0/U1", entry_data("proposed", data)).ticket
    ledger.append("T0/U2", entry_data("approved", by), done)
    ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), done)
    step = {"step": "drain", "round": 1, "attempt": 1}
    ledger.append("bot", entry_data("intent", {**step, "description": "Drain hv03"}), done)
    ledger.append("bot", entry_data("outcome", {**step, "result": "failed", "message": "3 of 11 stayed"}), done)
    ledger.append("bot", entry_data("failed", {"reason": "step 1: 3 of 11 stayed"}), done)
    rejected = ledger.append("T0/U1", entry_data("proposed", data)).ticket
    ledger.append("T0/U2", entry_data_of("rejected", {**by, "reason": "backup window"}), rejected)
    ledger.append("T0/U2", entry_data("stop", {"name": "approver", "reason": "power work"}))
    ledger.append("bot", entry_data("anchor", {"head": 12, "channel": "C0AUDIT", "ts": "1.5"}))
    ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy made as the file says, and proved."""
    folder = tmp_path_factory.mktemp("ledger")
    files = (folder / "ledger.db", folder / "key", folder / "anchors.txt")
    (folder / "review").mkdir()
    with Ledger(*files, clock=Clock()) as ledger:
        write_history(ledger)
        write_file(files[0], folder / "review" / "ledger.db")
    made = folder / "review" / "ledger.db"
    assert verify(made, read_key(files[1]), files[2]).holds
    return made


@pytest.fixture(scope="module")
def pages(copy):
    """A client of a Datasette that was started as the file says, on any free port."""
    command = [sys.executable, "-m", "datasette", "serve", "-i", str(copy), "-m", str(METADATA)]
    with subprocess.Popen([*command, "-h", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True) as server:
        try:
            address = next(
                found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:[1-9]\d+", line))
            )
            with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
                yield client
        finally:
            server.terminate()
            server.communicate(timeout=30)


def rows(pages, path, **parameters):
    answer = pages.get(f"/ledger/{path}.json", params={"_shape": "objects", **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_every_view_of_the_ledger_is_described_and_nothing_else_is(copy):
    database = sqlite3.connect(copy)
    kinds = dict(database.execute("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')"))
    assert set(TOLD["tables"]) == set(kinds)
    for name, told in TOLD["tables"].items():
        columns = {row[1] for row in database.execute(f"PRAGMA table_xinfo({name})")}
        named = [*told.get("columns", ()), *told.get("sortable_columns", ()), *told.get("facets", ())]
        named += [*told.get("units", ()), *([told["sort_desc"]] if "sort_desc" in told else ())]
        assert set(named) <= columns, name
        assert told.get("hidden") or (told["title"] and told["description"])
    database.close()


@pytest.mark.parametrize("name", [name for name, told in TOLD["tables"].items() if not told.get("hidden")])
def test_every_table_and_view_opens_as_page_and_as_json(pages, name):
    told = TOLD["tables"][name]
    page = pages.get(f"/ledger/{name}")
    assert page.status_code == 200
    assert told["title"] in page.text
    assert told["description"].split(",")[0] in page.text
    found = rows(pages, name)
    assert found
    numbers = [row[told["sort_desc"]] for row in found]
    assert numbers == sorted(numbers, reverse=True)
    facets = pages.get(f"/ledger/{name}.json").json()["facet_results"]
    assert list(facets) == told.get("facets", [])


def test_the_tickets_read_as_sentences(pages):
    rejected, failed = rows(pages, "tickets_readable")
    assert (failed["ticket"], failed["status"], failed["asked_by"], failed["decided_by"], failed["plan"]) == (
        "T-1",
        "failed",
        "operator",
        "approver",
        "9f3c41aa",
    )
    assert (rejected["status"], rejected["message"], rejected["minutes"]) == ("rejected", "backup window", 3.0)
    answer = pages.get("/ledger/tickets_readable.json", params={"_facet": "status", "_sort": "minutes"}).json()
    counted = answer["facet_results"]["status"]["results"]
    assert {one["value"]: one["count"] for one in counted} == {"rejected": 1, "failed": 1}


ANSWERS = {
    "story_of_a_ticket": ({"ticket": "T-1"}, 6, {"kind": "outcome", "message": "3 of 11 stayed"}),
    "what_happened_to": ({"target": "HV03"}, 2, {"outcome": "failed", "who": "operator"}),
    "who_decided_for_whom": ({}, 2, {"decided_by": "approver", "asked_by": "operator", "times": 1}),
    "waited_for_a_decision": ({}, 2, {"ticket": "T-2", "decision": "rejected", "minutes": 3.0}),
    "needs_a_person": ({}, 1, {"ticket": "T-1", "status": "failed"}),
    "stops": ({}, 1, {"decision": "stop", "reason": "power work"}),
    "not_anchored_yet": ({}, 1, {"kind": "asked", "line": "/check-writers prod"}),
}


@pytest.mark.parametrize("name", TOLD["queries"])
def test_every_question_that_is_asked_often_is_answered(pages, name):
    parameters, count, expected = ANSWERS[name]
    found = rows(pages, name, **parameters)
    assert len(found) == count
    assert any(expected.items() <= row.items() for row in found)
    page = pages.get(f"/ledger/{name}", params=parameters)
    assert page.status_code == 200
    assert TOLD["queries"][name]["title"] in page.text


def test_nothing_can_be_changed_and_what_is_derived_is_out_of_sight(pages):
    tables = pages.get("/ledger.json").json()["tables"]
    assert {one["name"] for one in tables if one["hidden"]} >= {"ticket", "lock", "blob"}
    refused = pages.get("/ledger.json", params={"sql": "DELETE FROM entry"})
    assert refused.status_code == 400
    assert len(rows(pages, "entry")) == 14


def test_a_ledger_that_is_written_to_can_be_read_too(copy, tmp_path):
    """Without -i, as for the bot's own file: the newest entries are still in the file beside it."""
    files = (tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors.txt")
    with Ledger(*files) as ledger:
        ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
        command = [sys.executable, "-m", "datasette", str(files[0]), "-m", str(METADATA)]
        done = subprocess.run([*command, "--get", "/ledger/timeline.json"], capture_output=True, text=True, check=True)
        assert '"/check-writers prod"' in done.stdout
        assert ledger.verify().holds
