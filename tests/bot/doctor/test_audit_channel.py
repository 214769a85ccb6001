"""What doctor says about the audit channel: can it be read, and does it know this ledger?"""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from entry_samples import entry_data

from bot.config.settings import load
from bot.doctor.audit_channel import audit_channel
from bot.doctor.check import Status
from bot.ledger import Ledger
from bot.ledger.chain_heads import format_anchor
from bot.ledger.schema import TRIGGERS
from bot.slack.manifest import manifest
from bot.slack.outbound.api_errors import make_client
from lab.slack.server import FakeSlack

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def slack():
    async with FakeSlack(manifest=manifest(()), rates="off") as made:
        yield made


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt", clock=lambda: NOON) as made:
        yield made


@pytest.fixture
def looked(slack, tmp_path):
    """Looks, so many minutes after noon; what was found by its name."""

    async def look(minutes=0, channel="C0AUDIT"):
        told = {"bot_token": slack.bot_token, "app_token": slack.app_token, "base_url": slack.base_url}
        rows = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (told | {"audit_channel": channel}).items())
        file = tmp_path / "settings.toml"
        file.write_text(f'inventory = "e.toml"\n[credentials.reader]\ntransport = "kerberos"\n[slack]\n{rows}')
        settings = load(file)
        found = await audit_channel(settings, settings.slack, NOON + timedelta(minutes=minutes))
        return {check.what: check for check in found}

    return look


async def anchored(slack, ledger, entry):
    client = make_client(slack.bot_token, slack.base_url)
    await client.chat_postMessage(channel="C0AUDIT", text=format_anchor(entry, ledger.seal))


def asked(ledger):
    return ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))


async def test_a_channel_that_knows_the_head_is_well(slack, ledger, looked):
    assert (await looked())["audit heads"].status is Status.SKIP
    await anchored(slack, ledger, asked(ledger))
    ledger.append("bot", entry_data("shown", {"what": "audit", "last_published": 1, "channel": "C0AUDIT"}))
    found = await looked(minutes=600)
    assert [check.status for check in found.values()] == [Status.OK, Status.OK]
    assert found["audit heads"].says == "the newest head is for entry 1 of this ledger"


async def test_a_head_that_is_long_due_is_missed(slack, ledger, looked):
    await anchored(slack, ledger, asked(ledger))
    asked(ledger)
    assert (await looked(minutes=120))["audit heads"].status is Status.OK
    late = (await looked(minutes=121))["audit heads"]
    assert late.status is Status.WARN
    assert "entry 2 is 2 h 1 min old" in late.says


async def test_a_ledger_that_was_cut_is_noticed(slack, ledger, looked, tmp_path):
    asked(ledger)
    await anchored(slack, ledger, asked(ledger))
    ledger.close()
    database = sqlite3.connect(tmp_path / "ledger.db")
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("DELETE FROM entry WHERE seq = 2")
    database.commit()
    database.close()
    wrong = (await looked())["audit heads"]
    assert wrong.status is Status.FAIL
    assert "the channel records entry 2 with mac" in wrong.says
    assert "this ledger's newest is entry 1 with mac" in wrong.says
    assert "Was it restored from a copy?" in wrong.says
    assert "hvops audit verify --channel" in wrong.do


async def test_a_forged_head_is_named(slack, ledger, looked):
    entry = asked(ledger)
    await slack.person("nobody").types(format_anchor(entry, ledger.seal).replace("entry 1", "entry 1000"), "hv-audit")
    found = await looked()
    assert found["audit heads"].status is Status.SKIP
    assert "of entry 1000: a person wrote it." in found["a head in it"].says


async def test_a_channel_without_the_bot_says_what_to_type(slack, ledger, looked):
    slack.workspace.leaves("hvops", "hv-audit")
    found = (await looked())["slack audit channel"]
    assert found.status is Status.FAIL
    assert "/invite @hvops" in found.says


async def test_no_channel_is_a_warning(looked):
    assert (await looked(channel=""))["slack audit channel"].status is Status.WARN


async def test_a_head_that_was_posted_and_is_gone_is_named(slack, ledger, looked):
    """While it is not found no other one is posted: whoever only waits for the next head waits in vain."""
    entry = ledger.append("U", entry_data("asked", {"line": "/x"}))
    ledger.append("bot", entry_data("anchor", {"head": entry.seq, "channel": "C0AUDIT", "ts": "1.5"}))
    found = (await looked(minutes=1))["audit heads"]
    assert found.status is Status.WARN
    assert "the head of entry 1 was posted there" in found.says
    assert "posts no head there" in found.do
    assert (await looked(minutes=1, channel="C0OPS"))["audit heads"].status is Status.SKIP
