from __future__ import annotations

import pytest
from scripted_balancer import LM, BalancerAsk

from bot.api.facts import Unknown
from commands.diagnostics.check_load_balancer import COMMAND, Args
from commands.sources.rules import firmware_faults, firmware_version
from commands.virtual_service.firmware import known_faults


async def look(version):
    args = Args(LM)
    return COMMAND.evaluate(args, await COMMAND.collect(args, BalancerAsk([], lambda *_: None, version=version)))


def keys(faults):
    return [fault.key for fault in faults]


@pytest.mark.parametrize(
    ("version", "has", "unclear"),
    [
        ("7.2.63.2.24350.RELEASE", [], []),
        ("7.2.63.1", ["CVE-2026-8037", "CVE-2026-33691"], []),
        ("7.2.60.0", ["CVE-2026-8037", "CVE-2026-33691", "CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"], []),
        ("7.2.59.2", ["CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"], []),
        ("7.2.59.1", ["CVE-2024-1212", "CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"], []),
        ("7.2.54.18", [], ["CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"]),
        ("7.2.54.7", ["CVE-2026-8037", "CVE-2026-33691", "CVE-2024-1212"], ["CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"]),
        ("7.2.48.10", ["CVE-2026-8037", "CVE-2026-33691"], ["CVE-2024-7591", "CVE-2024-8755", "CVE-2024-56133"]),
    ],
)  # fmt: skip
def test_which_version_has_which_fault(version, has, unclear):
    known = known_faults(version)
    assert (keys(known.has), keys(known.unclear)) == (has, unclear)


def test_every_fault_has_a_source_and_a_date():
    assert all(fault.source and fault.date and fault.affected for fault in firmware_faults())


@pytest.mark.parametrize("text", ["", "RELEASE", "v7"])
def test_what_is_no_version(text):
    with pytest.raises(ValueError, match="no version"):
        firmware_version(text)


async def test_one_without_faults_and_one_with():
    assert (await look("7.2.63.2.1.RELEASE")).title == "lm01: answers, firmware 7.2.63.2.1.RELEASE"
    report = await look("7.2.60.0.1.RELEASE")
    assert report.title == "lm01: its firmware has known faults"
    assert report.has_findings
    assert "without a login (CVE-2026-8037)" in report.findings[0].lines[0][1]


async def test_one_that_is_silent():
    report = await look(Unknown("lm01", "login refused", "it does not take the login."))
    assert report.title == "lm01: it does not answer"
    assert report.unanswered
