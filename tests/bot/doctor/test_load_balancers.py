"""Doctor asks each load balancer of the inventory: does it answer, and is its firmware known to be faulty."""

from __future__ import annotations

import pytest

from bot.config.settings import load
from bot.doctor.clusters import check_clusters
from bot.services import open_connections
from lab.plugin import PRACTICE


@pytest.fixture(scope="module")
def balanced(tmp_path_factory):
    with PRACTICE.start("host-header-check", tmp_path_factory.mktemp("balanced")) as running:
        yield running


async def looked(balanced):
    with open_connections(load(balanced.settings_path)) as out:
        return [(one.status, one.on, one.says) for one in await check_clusters(out) if one.on == "lm01"]


async def test_it_answers_and_its_firmware_is_well(balanced):
    assert await looked(balanced) == [("OK", "lm01", "answers, firmware 7.2.63.2.24350.RELEASE, no known fault")]


async def test_known_faults_are_warned_about(balanced):
    appliance = balanced.world.load_balancers["lm01"]
    balanced.do(lambda: setattr(appliance, "version", "7.2.60.0.1.RELEASE"))
    ((status, on, says),) = await looked(balanced)
    assert (status, on) == ("WARN", "lm01")
    assert "CVE-2026-8037" in says


async def test_a_wrong_password_fails_and_is_not_shown(balanced, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__LOAD_BALANCER__LM01__PASSWORD", "wrong-password-1")
    ((status, on, says),) = await looked(balanced)
    assert (status, on) == ("FAIL", "lm01")
    assert "does not take the login" in says
    assert "wrong-password-1" not in says
