"""Tickets to render, made by the fold itself out of entries."""

from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data

from bot.api.actions import InvokeMethod, ManualStep
from bot.api.command import Risk
from bot.api.plan import Gate, GateOutcome, Group, Plan, Step, exists
from bot.api.queries import Wql
from bot.ledger import Entry
from bot.ledger.entries import model_of
from bot.ledger.envelope import to_timestamp
from bot.ledger.ticket_state import TicketEvent as Turn
from bot.ledger.ticket_state import replay
from bot.slack.render.ticket_view_model import TicketView
from bot.tickets.plan_digest import plan_to_json
from bot.tickets.proposal import PlannedChange, proposal_from

START = datetime(2026, 3, 2, 23, 5, tzinfo=UTC)
NODE = Wql("hv03", "root/MSCluster", "MSCluster_Node")
REQUESTER, APPROVER = "T0PRACTICE/U0OPERATOR", "T0PRACTICE/U0APPROVER"


def step(key="drain", says="Pause and drain hv03", **more):
    act = InvokeMethod("hv03", "root/MSCluster", (("Name", "hv03"),), "MSCluster_Node", "Pause", (("DrainType", 1),))
    told = {"act": act, "done": (exists(NODE, within=1_800),), **more}
    return Step(key=key, description=says, **told)


def drain_plan(**more):
    told = {
        "reason": "[5] Unexpected error, no job.",
        "impact": "11 guests live-migrate off and back",
        "rollback": "Resume hv03 at any step",
        "locks": ("cluster:prod",),
        "gates": (
            Gate("No guest on hv03 is locked", outcome=GateOutcome.PASSED, measured="0 of 11 locked"),
            Gate("No other node is paused", outcome=GateOutcome.BLOCKED, measured="hv05 is paused", blocks=False),
        ),
        "groups": (
            Group(
                "drain",
                (step(before=NODE, undo=InvokeMethod("hv03", "root/MSCluster", (), "MSCluster_Node", "Resume")),),
            ),
            Group("restart", (step("restart", "Restart vmms on hv03"),)),
            Group("look", (step("wizard", "Reopen the wizard", act=ManualStep("Open the wizard again.", "operator")),)),
        ),
        **more,
    }
    return Plan(**told)


class Told:
    """The entries of one ticket, told one after the other."""

    def __init__(self, plan=None, policy="approval", **more):
        made = PlannedChange(
            line="/drain-node hv03",
            command="drain-node",
            target="hv03",
            places=("prod",),
            risk=Risk.HIGH,
            plan=plan or drain_plan(),
            version="0.1+cafe",
        )
        self.entries, self.now, self.digest = [], START, made.digest
        data = {
            "line": made.line,
            "command": made.command,
            "target": made.target,
            "places": ["prod"],
            "name": "operator",
            "risk": "high",
            "policy": policy,
            "open_until": to_timestamp(START + timedelta(minutes=30)),
            "start_minutes": 15,
            "version": made.version,
            "digest": made.digest,
            "undoes": "",
            "plan": plan_to_json(made.plan),
            **more,
        }
        self.tells("proposed", REQUESTER, **data)

    def tells(self, kind, actor="bot", **data):
        self.now += timedelta(minutes=1)
        seq = 1_300 + len(self.entries)
        blank = {"reason": ""} if "reason" in model_of(kind, data).model_fields and kind != "closed" else {}
        fields = entry_data(kind, blank | data).fields
        self.entries.append(Entry(seq, f"id-{seq}", to_timestamp(self.now), kind, actor, "T-412", fields, b""))
        return self

    def tells_of(self, kind, actor, **data):
        return self.tells(kind, actor, **{name: data[name] for name in data.keys() & model_of(kind, data).model_fields})

    def approved(self, **more):
        until = to_timestamp(self.now + timedelta(minutes=15))
        return self.tells(
            "approved", APPROVER, by=APPROVER, name="approver", start_by=until, digest=self.digest, **more
        )

    def started(self):
        return self.approved().tells("started", locks=["cluster:prod"], attempt=1)

    def begins(self, key, attempt=1, **more):
        return self.tells("intent", step=key, round=1, attempt=attempt, **more)

    def ends(self, key, result="done", attempt=1, **more):
        return self.tells("outcome", step=key, round=1, attempt=attempt, result=result, **more)

    def card(self, **more):
        turns = [Turn(one.actor, one.at, one.data) for one in self.entries if one.kind != "shown"]
        ticket = replay("T-412", turns)
        return TicketView(
            proposal_from(self.entries[0]), ticket, tuple(self.entries), approver_ids=("S0APPROVERS",), **more
        )


@pytest.fixture(scope="session")
def drained():
    """Makes the plan, with other parts."""
    return drain_plan


@pytest.fixture(scope="session")
def told():
    return Told
