"""`hvops doctor --migrate`: which way is proved where, from the ledger alone; and what to type where none is."""

from __future__ import annotations

import pytest
from entry_samples import entry_data

from bot.config.settings import load
from bot.doctor.check import Status
from bot.doctor.migration import check_migration
from bot.doctor.runner import examine
from bot.services import open_connections, open_ledger

LINE = "/prove-migration crm-01 --on prod"


async def told(settings, vm="crm-01"):
    with open_connections(settings) as out:
        return {(one.on, one.status): f"{one.says} {one.do}".strip() for one in await check_migration(out, vm)}


def prove(settings, end="done", line=LINE):
    with open_ledger(settings) as ledger:
        proposal = {"command": "prove-migration", "target": "crm-01", "line": line, "places": ("prod",)}
        ticket = ledger.append("U1", entry_data("proposed", proposal)).ticket
        ledger.append("U2", entry_data("approved", {"by": "U2"}), ticket)
        ledger.append("bot", entry_data("started", {"locks": ["cluster:prod"]}), ticket)
        for step in ("control-there", "control-back"):
            ledger.append("bot", entry_data("intent", {"step": step}), ticket)
            ledger.append("bot", entry_data("outcome", {"step": step, "basis": "changed"}), ticket)
        ledger.append("bot", entry_data(end), ticket)


@pytest.fixture
def settings(practice, tmp_path):
    """Those of the practice environment, with a ledger of its own."""
    found = load(practice.settings_path)
    files = {"path": tmp_path / "l.db", "key_file": tmp_path / "l.key", "anchor_file": tmp_path / "a.txt"}
    return found.model_copy(update={"ledger": found.ledger.model_copy(update=files)})


async def test_it_says_what_is_proved_where_and_what_to_type(settings):
    assert await told(settings) == {
        ("prod", Status.WARN): "not proved, so hvops leaves migrations there to people "
        "Type in Slack: /prove-migration crm-01 --on prod",
        ("branch", Status.SKIP): "not proved, so hvops leaves migrations there to people",
    }
    assert not settings.ledger.path.exists(), "nothing is begun by looking"
    prove(settings)
    found = await told(settings)
    assert "ExecuteResourceControl, proved with crm-01 in T-1" in found["prod", Status.OK]
    assert ("prod", Status.WARN) not in found
    prove(settings, "failed")
    found = await told(settings)
    assert ("prod", Status.OK) not in found
    assert "/prove-migration crm-01 --on prod" in found["prod", Status.WARN]


async def test_a_guest_that_is_nowhere_is_said(settings):
    found = await told(settings, "nobody")
    assert any(status is Status.FAIL and "nobody" in says for (_, status), says in found.items())


def test_it_is_asked_for_by_name(practice, capsys):
    assert examine(practice.settings_path, migrate="crm-01") == 0
    assert "live migration" in capsys.readouterr().out
