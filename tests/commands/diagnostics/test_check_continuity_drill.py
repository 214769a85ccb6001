"""What proves a drill: a ticket there and back that is done, in time, by the proved entries of the ledger, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.api.continuity import Assumption, Probe, Service
from bot.api.facts import Unknown
from commands.continuity.drills import judge_drill
from commands.continuity.outcomes import Outcome
from commands.sources.drills import drills_of

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
DRILL = Assumption("The CRM was failed over and back", Probe.DRILL, "crm", "CRM team", max_age_days=180)
KEPT = (
    "failover took 42 min, RTO 60 min: kept",
    "failback took 31 min, RTO 60 min: kept",
    "last replication 4 min before the planned stop, RPO 15 min: kept",
    "crm-01 runs on hv05 as the primary (Name A: EnabledState 2)",
)
CHANGED = tuple(f"{step}-{way}-crm-01" for way in ("out", "back") for step in ("stop", "send", "over", "start"))


CRM = Service("crm", ("prod", "dr"), ("crm-01",))


def row(**more):
    return {
        "ticket": "T-7",
        "target": "crm",
        "line": "/drill crm",
        "ended": "2026-11-12T10:00:00.000Z",
        "measured": KEPT,
        "changed": CHANGED,
        "undone_by": "",
    } | more


def judged(*rows, assumption=DRILL, guests=CRM.guests):
    told = drills_of("crm").read(rows)
    return judge_drill(assumption, replace(CRM, guests=guests), told, NOW)


def test_a_drill_in_time_proves_it():
    seen = judged(row())
    assert seen.outcome is Outcome.PROVED
    assert seen.why == f"T-7, last drill 12 November 2026, 10 days ago; {'; '.join(KEPT[:3])}"


@pytest.mark.parametrize(
    ("more", "outcome", "says"),
    [
        ({"ended": "2025-11-12T10:00:00Z"}, Outcome.STALE, "limit: 180 days"),
        ({"ended": "2027-11-12T10:00:00Z"}, Outcome.UNPROVABLE, "in the future"),
        ({"measured": (KEPT[0].replace("kept", "broken"), *KEPT[1:])}, Outcome.BROKEN, "failover took 42 min, RTO 60 min: broken"),
        ({"measured": (*KEPT[:2], "last replication 30 min before the planned stop, RPO 15 min: broken")}, Outcome.BROKEN, "RPO 15 min: broken"),
        ({"measured": ()}, Outcome.UNPROVABLE, "how long it took is not known"),
        ({"measured": KEPT[1:]}, Outcome.UNPROVABLE, "how long it took is not known"),
        ({"measured": (*KEPT, "last replication of crm-02 before the planned stop: not known")}, Outcome.UNPROVABLE, "how long it took is not known"),
        ({"undone_by": "T-8"}, Outcome.UNPROVABLE, "no drill there and back"),
        ({"changed": [one for one in CHANGED if "-out-" in one]}, Outcome.UNPROVABLE, "no drill there and back"),
        ({"changed": [one for one in CHANGED if "over-back" not in one]}, Outcome.UNPROVABLE, "no drill there and back"),
        ({"changed": ()}, Outcome.UNPROVABLE, "no drill there and back"),
        ({"target": "prod"}, Outcome.UNPROVABLE, "no drill there and back"),  # a cluster of the name of a place
    ],
)  # fmt: skip
def test_all_else_proves_nothing_or_the_opposite(more, outcome, says):
    seen = judged(row(**more))
    assert seen.outcome is outcome
    assert says in seen.why


def test_the_newest_whole_drill_counts_and_a_way_back_alone_does_not_hide_it():
    older = row(measured=(KEPT[0].replace("kept", "broken"), *KEPT[1:]), ended="2026-06-12T10:00:00Z", ticket="T-2")
    back = row(changed=[one for one in CHANGED if "-back-" in one], ended="2026-11-20T10:00:00Z", ticket="T-9")
    assert judged(older, row(), back).why.startswith("T-7, last drill")
    assert judged(row(), older).outcome is Outcome.PROVED


def keys(*names):
    return tuple(one.replace("crm-01", name) for name in names for one in CHANGED)


@pytest.mark.parametrize(
    ("guests", "changed", "absent"),
    [
        (("crm-01", "crm-02"), CHANGED, "crm-02"),
        (("crm-01", "crm-02"), keys("crm-01", "crm-02"), ""),
        (("crm-01", "crm-02"), [one for one in keys("crm-01", "crm-02") if one != "start-back-crm-02"], "crm-02"),
        (("crm-01", "CRM 01"), keys("crm-01", "crm-01-0f3a99c2"), ""),
        (("crm-01", "CRM 01"), CHANGED, "CRM 01"),
        (("crm",), keys("crm-01"), "crm"),
    ],
)
def test_a_drill_proves_nothing_of_a_machine_that_was_not_in_it(guests, changed, absent):
    """The service may have got it since."""
    seen = judged(row(changed=changed), guests=guests)
    assert seen.outcome is (Outcome.UNPROVABLE if absent else Outcome.PROVED)
    assert not absent or seen.why == f"T-7, the last drill there and back, was without {absent}"


def test_a_ledger_that_is_not_proved_or_another_target_proves_nothing():
    silent = judge_drill(DRILL, CRM, Unknown("crm", "bad reply", "The ledger is not proved."), NOW)
    assert (silent.outcome, silent.why) == (
        Outcome.UNPROVABLE,
        "which drills were done is not known: The ledger is not proved",
    )
    assert judge_drill(DRILL, CRM, None, NOW).outcome is Outcome.UNPROVABLE
    other = Assumption("x", Probe.DRILL, "crm-01")
    assert "is of the service crm as a whole" in judged(row(), assumption=other).why


@pytest.mark.parametrize("more", [{"ended": None}, {"ended": "yesterday"}, {"measured": 5}])
def test_a_row_that_cannot_be_read_is_no_proof(more):
    with pytest.raises(ValueError, match=r"ended|measured"):
        drills_of("crm").read([row(**more)])
