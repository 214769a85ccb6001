"""Packages of a practice machine: a change waits for a restart, and a restart is a silence with another start after it."""

from __future__ import annotations

import pytest

from lab import scenarios
from lab.scenarios.kb_drift_fix import BLOCKED, BLOCKER, path
from lab.world import servicing


@pytest.fixture
def world():
    return scenarios.begin("kb-drift-fix")


def run(world, *words):
    return world.machine("hv02").run(["dism", "/English", "/Online", *words])


def identity(world, kb):
    return servicing.identity_of(world.node("hv02"), kb)


def test_a_change_waits_for_the_restart_and_takes_no_other_meanwhile(world):
    hv02 = world.node("hv02")
    removed = run(world, "/Remove-Package", f"/PackageName:{identity(world, BLOCKER)}", "/NoRestart")
    assert removed.exit_code == 3010
    assert (
        f"{identity(world, BLOCKER)}\r\nState : Uninstall Pending" in run(world, "/Get-Packages", "/Format:List").stdout
    )
    assert run(world, "/Add-Package", f"/PackagePath:{path(BLOCKED)}", "/NoRestart").exit_code == 0x800F0823 - 2**32
    before = hv02.booted
    servicing.restart(world, hv02)
    world.skip(servicing.SHUTDOWN_SECONDS)
    assert (hv02.state, world.machine("hv02").trouble.refuse) == (servicing.DOWN, True)
    world.skip(servicing.START_SECONDS + 1)
    assert (hv02.state, world.machine("hv02").trouble.refuse) == (servicing.UP, False)
    assert hv02.booted > before
    assert BLOCKER not in {update.kb for update in hv02.updates}
    assert [event.id for event in hv02.events if event.provider.endswith("Servicing")] == [1, 4, 2]
    assert "cbs" not in hv02.reboot_wanted_by
    assert run(world, "/Add-Package", f"/PackagePath:{path(BLOCKED)}", "/NoRestart").exit_code == 3010


def test_what_another_update_keeps_out_does_not_apply(world):
    refused = run(world, "/Add-Package", f"/PackagePath:{path(BLOCKED)}", "/NoRestart")
    assert refused.exit_code == 0x800F081E - 2**32
    assert "Error: 0x800f081e" in refused.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("/Remove-Package", "/PackageName:KB3102429"), 0x800F0805 - 2**32),
        (("/Add-Package", "/PackagePath:C:\\nowhere.cab"), 0x80070002 - 2**32),
        (("/Add-Package", "/PackagePath:C:\\hvops\\x.msu"), 0x80070032 - 2**32),
        (("/Get-Packages", "/Nonsense"), 87),
    ],
)
def test_each_refusal_has_its_code(world, words, code):
    assert run(world, *words).exit_code == code


def test_without_english_a_german_host_prints_german(world):
    printed = world.machine("hv04").run(["dism", "/Online", "/Get-Packages"]).stdout
    assert "Paketidentität : " in printed
    assert "Package Identity" not in printed


def test_a_reader_changes_nothing(world):
    reader = world.machine("hv02").acting_for(world.accounts["reader"].user)
    refused = reader.run(["dism", "/English", "/Online", "/Add-Package", f"/PackagePath:{path(BLOCKER)}"])
    assert refused.exit_code == 740
