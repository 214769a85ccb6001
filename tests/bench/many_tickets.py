"""Fills a ledger with tickets as the product would leave them, without its fsyncs: real plans, chained, with triggers.

Most tickets of a ledger that was used for years have ended; the open ones lie among them, evenly. They wait for a decision, but
for as many pairs as wanted: one is interrupted for good, and one is approved and waits for the lock of the first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bot.api.actions import InvokeMethod
from bot.api.command import Risk, Role
from bot.api.plan import Gate, GateOutcome, Group, Plan, Step, exists
from bot.api.queries import Predicate, Wql, make_params
from bot.config.settings import Policy
from bot.dispatch.authorization import Person
from bot.ledger import EntryDraft, Ledger
from bot.ledger.entries import Approved, Interrupted, Rejected, Started, ThreadReplyShown, TicketMessageShown
from bot.ledger.envelope import FIRST, encode, entry_mac, to_timestamp
from bot.ledger.key import read_key
from bot.redaction import Redactor
from bot.tickets.proposal import Origin, PlannedChange, draft_proposal

CHANNEL, REQUESTER, APPROVER = "C0OPS", "T0PRACTICE/U0OPERATOR", "T0PRACTICE/U0APPROVER"
POLICY = Policy(low="approval", high="approval", open_minutes=1440, start_minutes=1440)
OPEN = ("locked", "interrupted", *["waiting"] * 8)
BEGAN = datetime.now(UTC)
AT = to_timestamp(BEGAN)


@dataclass(frozen=True)
class Filled:
    """A ledger's folder, and its tickets that wait for a decision."""

    folder: Path
    waiting: Sequence[str]

    def open(self) -> Ledger:
        """Open it as the bot does."""
        return opened(self.folder)


def opened(folder: Path) -> Ledger:
    """The ledger of a folder, under the names that the settings have by default."""
    return Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt")


def filled(folder: Path, tickets: int, are_open: int, *, pairs: int = 0, place: str = "prod") -> Filled:
    """A ledger of that many tickets, all about `place`."""
    opened(folder).close()
    chain, waiting = _Chain(read_key(folder / "ledger.key")), []
    every, found = max(1, tickets // are_open), 0
    database = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    database.execute("BEGIN")
    for number in range(1, tickets + 1):
        kind, pair = "ended", 0
        if number % every == 0 and found < are_open:
            pair = found // len(OPEN)
            kind = OPEN[found % len(OPEN)] if pair < pairs else "waiting"
            pair = 0 if kind == "waiting" else pair
            found += 1
        waiting += [f"T-{number}"] if kind == "waiting" else []
        rows = chain.rows(_story(f"T-{number}", kind, pair, place))
        database.executemany("INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    database.close()
    return Filled(folder, waiting)


class _Chain:
    """Entries as rows, each chained to the one before."""

    def __init__(self, key: bytes) -> None:
        self._key, self._seq, self._previous = key, 0, FIRST

    def rows(self, drafts: Iterator[EntryDraft]) -> Iterator[tuple[int, str, bytes, bytes]]:
        for draft in drafts:
            self._seq += 1
            data = draft.data.fields
            if isinstance(draft.data, ThreadReplyShown):
                data |= {"entry": self._seq - draft.data.entry}
            body = _proposal(draft, self._seq) if draft.kind == "proposed" else _plain(draft, data, self._seq)
            mac = entry_mac(self._key, self._previous, body)
            yield self._seq, body.decode(), self._previous, mac
            self._previous = mac


def _plain(draft: EntryDraft, data: Mapping[str, Any], seq: int) -> bytes:
    """Of plain texts and small numbers this is the canonical JSON, and made much faster."""
    told = {
        "seq": seq,
        "id": draft.id,
        "at": AT,
        "kind": draft.kind,
        "actor": draft.actor,
        "ticket": draft.ticket,
        "data": data,
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


_plans: dict[str, bytes] = {}


def _proposal(draft: EntryDraft, seq: int) -> bytes:
    """Those of one digest differ in their numbers only, which stand last."""
    signed = str(draft.data.digest)
    if signed not in _plans:
        _plans[signed] = encode(0, AT, draft, draft.data.fields, draft.ticket).partition(b'"id":')[0]
    return _plans[signed] + f'"id":"{draft.id}","kind":"proposed","seq":{seq},"ticket":"{draft.ticket}"}}'.encode()


def _story(ticket: str, kind: str, pair: int, place: str) -> Iterator[EntryDraft]:
    number, lock = int(ticket.removeprefix("T-")), f"cluster:{place}-{pair}"
    proposed = _proposed(f"hv{number % 64 + 1:02}", lock, place)
    yield EntryDraft(proposed.actor, proposed.data, ticket)
    yield EntryDraft(
        "bot",
        TicketMessageShown(channel=CHANNEL, ts=f"{1_600_000_000 + number}.000100"),
        ticket,
    )
    yield EntryDraft("bot", ThreadReplyShown(channel=CHANNEL, entry=2), ticket)  # so many entries before
    by = {"by": APPROVER, "name": "approver", "via": "button", "place": CHANNEL}
    if kind == "ended":
        yield EntryDraft(APPROVER, Rejected(reason="not tonight", **by), ticket)
        yield EntryDraft("bot", ThreadReplyShown(channel=CHANNEL, entry=1), ticket)
    if kind in ("locked", "interrupted"):
        start_by = to_timestamp(BEGAN + timedelta(minutes=POLICY.start_minutes))
        yield EntryDraft(APPROVER, Approved(start_by=start_by, digest=proposed.data.digest, **by), ticket)
    if kind == "interrupted":
        yield EntryDraft("bot", Started(attempt=1, locks=(lock,)), ticket)
        yield EntryDraft("bot", Interrupted(attempt=1, step="pause", known="", reason="the node is silent"), ticket)


@cache
def _proposed(node: str, lock: str, place: str) -> EntryDraft:
    """A plan of one step that pauses a node: about as long as a real one."""
    states = Wql(place, "root/MSCluster", "MSCluster_Node", ("Name", "State", "NodeDrainStatus"))
    named = Predicate("Name", "=", node)
    steps = tuple(
        Step(
            key=key,
            description=f"{key.capitalize()} {node}",
            act=InvokeMethod(place, "root/MSCluster", make_params(Name=node), "MSCluster_Node", key.capitalize()),
            done=(exists(states, named, Predicate("State", "=", state), within=1800),),
            guard=(exists(states, named, Predicate("State", "=", 2 - state)),),
            before=states,
        )
        for key, state in (("pause", 2), ("resume", 0))
    )
    plan = Plan(
        reason=f"Somebody wants {node} empty.",
        impact="11 guests move live to other nodes.",
        rollback=f"Resume {node}.",
        locks=(lock,),
        gates=(Gate("No guest is locked", outcome=GateOutcome.PASSED, measured="0 of 11"),),
        groups=tuple(Group(step.key, (step,)) for step in steps),
    )
    made = PlannedChange(f"/drain-node {node}", "drain-node", node, (place,), Risk.HIGH, plan, "bench")
    by = Person(REQUESTER, "operator", {Role.OPERATOR: frozenset({"*"})})
    return draft_proposal(made, by, POLICY, now=BEGAN, mask=Redactor(), origin=Origin())
