"""Browsing for files on a node fails: its audit policy is toggled and set back exactly, and a person says whether it helped."""

import re

from lab.slack.plain_text import plain_text
from lab.world import audit_policy
from lab.world.executables import auditpol

LOUD = {audit_policy.guid_of(number) for number in audit_policy.FILTERING_PLATFORM}


def policy(ops, name="hv02"):
    return ops.estate.do(lambda: audit_policy.policy(ops.estate.world.node(name)))


def entries(ops, kind):
    return [entry.data for entry in ops.ledger() if entry.ticket == "T-1" and entry.kind == kind]


def settings_of(rows):
    return {row["guid"]: row["setting"] for row in rows}


async def shown(ops, text):
    return await ops.slack.person("operator").sees(re.compile(text), "hv-ops")


async def approved(ops, line="/fix-remote-browsing hv02"):
    await ops.says(line)
    plan = await ops.sees("*T-1* · requested by", channel="hv-ops")
    await ops.clicks(plan, "Approve", who="approver")
    return plain_text(plan)


async def test_the_audit_policy_is_toggled_and_set_back_and_a_person_confirms(play):
    async with play("remote-browsing") as ops:
        before = policy(ops)
        assert {before[guid] for guid in LOUD} == {audit_policy.FAILURE, audit_policy.NONE}
        told = await approved(ops)
        for fact in (
            "All 4 checks passed",
            "On hv02: turn on Success auditing for 9 subcategories that audit nothing now",
            "On hv02: restore 1 subcategory to Failure auditing only",
            "Confirm that remote browsing works on hv02",
            "Risk:* high",
            "If one of these steps fails",
        ):
            assert fact in told
        assert not LOUD & set(re.findall("[0-9A-F-]{36}", told))

        waits = await shown(ops, "T-1 is waiting for a manual step: Confirm that remote browsing works on hv02")
        assert "close every open wizard and Hyper-V Manager, open them again" in plain_text(waits)
        assert (
            "hvops cannot verify this (its check is already met), so it records your confirmation as unverified"
            in plain_text(waits)
        )
        assert policy(ops) == before
        assert ops.estate.world.node("hv02").browsing == "works"
        await ops.guest_admin("Reopen the Wizard and Browse hv02")
        await ops.until("hv02 wizard", "files are listed")
        await ops.clicks(waits, "Done")
        done = await shown(ops, "^Done: Fix remote browsing")
        assert done.ts == waits.ts
        assert "confirmed but not verified: step 6" in plain_text(done)
        assert "Confirm that remote browsing works on hv02: confirmed, not verified" in plain_text(done)
        assert re.search(
            r"\*After, .*:\* hv02 audits exactly what it did before \(14 of 14 rows as before\)", plain_text(done)
        )
        assert "a person has browsed again" not in plain_text(done)

        intents = entries(ops, "intent")
        assert [one.step for one in intents] == [
            "on-nothing", "on-failure", "back-nothing", "back-failure", "compare", "browse"
        ]  # fmt: skip
        outcomes = {one.step: one for one in entries(ops, "outcome")}
        assert (outcomes["browse"].basis, outcomes["on-nothing"].basis) == ("statement", "changed")
        assert outcomes["browse"].message == (
            "confirmed by operator; not verified: the check was already met before the step"
        )
        first = settings_of(intents[0].before)
        assert settings_of(outcomes["back-failure"].after) == first
        toggled = settings_of(outcomes["on-failure"].after)
        assert {guid for guid in first if toggled[guid] != first[guid]} == {
            guid
            for guid, value in before.items()
            if guid not in LOUD and value in (audit_policy.NONE, audit_policy.FAILURE)
        }
        assert all(toggled[guid] == first[guid] for guid in LOUD)
        assert [one["actor"] for one in map(vars_of, ops.ledger()) if one["kind"] == "step-confirmed"] == [
            "T0PRACTICE/U0OPERATOR"
        ]


def vars_of(entry):
    return {"kind": entry.kind, "actor": entry.actor}


async def test_other_windows_are_refused_with_the_reason(play):
    async with play("remote-browsing") as ops:
        await ops.says("/fix-remote-browsing br01")
        told = plain_text(await ops.sees("No plan for br01: it runs build 17763"))
        assert "This workaround is known for Windows Server 2012 and 2012 R2 only" in told
        assert not [entry for entry in ops.ledger() if entry.kind == "proposed"]


async def test_a_failure_in_the_middle_takes_back_what_was_toggled(play, monkeypatch):
    """The second of the four changes is refused, as by a policy that came meanwhile; half of the toggle stands by then."""
    async with play("remote-browsing") as ops:
        before, changes = policy(ops), []
        carried_out = auditpol._set

        def refuse_the_second(call, options):
            changes.append(options["subcategory"])
            return (
                auditpol._failed(call.windows, auditpol.NO_PRIVILEGE)
                if len(changes) == 2
                else carried_out(call, options)
            )

        monkeypatch.setattr(auditpol, "_set", refuse_the_second)
        await approved(ops)
        failed = plain_text(await shown(ops, "^Failed at step 2: Fix remote browsing"))
        assert "hvops undid the steps of this group." in failed
        assert policy(ops) == before
        assert [one.step for one in entries(ops, "intent")] == [
            "on-nothing", "on-failure", "undo-on-failure", "undo-on-nothing"
        ]  # fmt: skip
        outcomes = {one.step: one.result for one in entries(ops, "outcome")}
        assert outcomes == {
            "on-nothing": "done", "on-failure": "failed", "undo-on-failure": "done", "undo-on-nothing": "done"
        }  # fmt: skip


async def test_browsing_that_still_fails_is_stopped_and_nothing_is_pretended(play):
    async with play("remote-browsing") as ops:
        before = policy(ops)
        await approved(ops)
        waits = await shown(ops, "T-1 is waiting for a manual step: Confirm")
        await ops.clicks(waits, "Stop After Step")
        await shown(ops, "^Stopped at step 6: Fix remote browsing")
        assert policy(ops) == before
        assert not [entry for entry in ops.ledger() if entry.kind == "done"]
