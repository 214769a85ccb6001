"""A ledger in which something of everything has happened, on a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data, entry_data_of

from bot.api.command import Role
from bot.audit.query import Review
from bot.dispatch.authorization import Person
from bot.ledger import Ledger, Reader

FAR = "2999-01-01T00:00:00Z"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NAMES = {
    "prod": ("prod",),
    "branch": ("branch",),
    "hv01": ("prod",),
    "hv03": ("prod",),
    "br01": ("branch",),
    "vmm01": ("prod", "branch"),
}
OPERATOR, APPROVER = "T1/U1", "T1/U2"


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


class Told:
    """Writes what happens."""

    def __init__(self, ledger, clock):
        self.ledger, self.clock = ledger, clock

    def asks(self, command, target, *, by=OPERATOR, name="operator", **data):
        line = f"/{command} {target}".strip()
        told = {"name": name, "line": line, "command": command, "target": target, **data}
        return self.ledger.append(by, entry_data("asked", told)).seq

    def answers(self, command, target, places, *, by=OPERATOR, name="operator", verdict="2 stuck"):
        asked = self.asks(command, target, by=by, name=name)
        data = {"asked": asked, "name": name, "line": f"/{command} {target}", "command": command, "target": target}
        return self.ledger.append(by, entry_data("answered", {**data, "places": places, "verdict": verdict})).seq

    def refuses(self, command, target, *, by="T1/U3", name="nobody", kind="not allowed", ticket=None, why="Not you."):
        data = {"name": name, "line": f"/{command} {target}", "command": command, "target": target, "category": kind}
        return self.ledger.append(by, entry_data("refused", {**data, "reason": why}), ticket).seq

    def proposes(self, command, target, places, *, by=OPERATOR, name="operator", **more):
        data = {"name": name, "line": f"/{command} {target}", "command": command, "target": target, "places": places}
        whole = {**data, "digest": "9f3c41aa00", "policy": "approval", "open_until": FAR, **more}
        return self.ledger.append(by, entry_data("proposed", whole)).ticket

    def decides(self, kind, ticket, **data):
        told = {"by": APPROVER, "name": "approver", "start_by": FAR, "digest": "9f3c41aa00", **data}
        return self.ledger.append(APPROVER, entry_data_of(kind, told), ticket)

    def runs(self, ticket, end="done", **data):
        self.decides("approved", ticket)
        self.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": []}), ticket)
        self.ledger.append(
            "bot", entry_data("intent", {"step": "drain", "round": 1, "attempt": 1, "description": "Drain"}), ticket
        )
        outcome = {"step": "drain", "round": 1, "attempt": 1, "result": "done", "message": "11 moved"}
        self.ledger.append("bot", entry_data("outcome", outcome), ticket)
        return self.ledger.append("bot", entry_data(end, data), ticket)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    with Ledger(tmp_path / "ledger.db", tmp_path / "key", tmp_path / "anchors", clock=clock) as made:
        yield made


@pytest.fixture
def told(ledger, clock):
    return Told(ledger, clock)


@pytest.fixture
def review(ledger):
    with Reader(ledger.path) as reader:
        yield Review(reader, lambda: NAMES)


def viewer(*places):
    return Person("T1/U9", "viewer", {Role.VIEWER: frozenset(places)})


@pytest.fixture
def everybody():
    """Somebody who may see everything."""
    return viewer("*")


@pytest.fixture
def of_prod():
    """Somebody who may see prod only."""
    return viewer("prod")
