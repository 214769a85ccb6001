"""Erase an evicted node and reinstall Windows for UEFI, by hand: someone reads back which disk is erased."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.arguments import HostTarget
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Gate, Group, Plan
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.boot_layout.layout import Judged, Layout, judge
from commands.boot_layout.redeploy import RedeployFacts, find_redeploy_facts, gates, member, other_disks, steps
from commands.formatting import format_size
from commands.no_plan import blocking_reason, held, no_plan

_WANTED = (Layout.BIOS, Layout.CONTRADICTS)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    host: HostTarget


async def collect(args: Args, ask: QueryClient) -> RedeployFacts:
    """Ask the host how it starts and what is on it, and its cluster whether it still is a node."""
    return await find_redeploy_facts(args.host, ask)


def plan(args: Args, facts: RedeployFacts) -> Plan:
    """The steps of the field note; none where the layout is well or not known, or the host is still in use."""
    on = args.host.name
    look = (Remedy("Check Boot Layout", f"/check-boot-layout {on}"),)
    judged = judge(on, facts.boot)
    if isinstance(judged, Unknown):
        return no_plan(f"No plan for {on}: how it boots cannot be determined. {judged.why}", remedies=look)
    if refusal := _not_wanted(on, judged):
        return no_plan(refusal, remedies=look, is_done_already=judged.layout is Layout.UEFI)
    size = format_size(judged.disk.size or 0)
    own = gates(args.host, facts, judged)
    if holding := held(own):
        return no_plan(blocking_reason(on, holding), own, _drain(args, facts))
    return Plan(
        reason=f"{on} boots in {judged.firmware} mode from {'a GPT' if judged.disk.is_gpt else 'an MBR'} disk ({size}).{other_disks(facts.boot, judged.disk)}",
        impact=(
            f"Windows on {on} is erased and reinstalled. Someone at its console does every step. From step 2 to the last"
            f" step {on} does not answer; that is expected. Guests of the cluster are not affected."
        ),
        rollback=f"Until the disk is erased: press Stop After Step and start the server again. After the disk is erased, the only way back is to restore {on} from backup.",
        locks=(f"host:{on.lower()}",),  # it is no node any more: changes of its former cluster go on meanwhile
        gates=own,
        groups=(Group("redeploy", steps(args.host, judged)),),
        current_state=f"{judged.layout}, {judged.disk.serial or 'no serial number'}, {size}",
        expected_state="UEFI from a GPT disk with EFI and reserved partition",
        touches=(on,),
        title=f"Erase {on} and reinstall Windows for UEFI",
    )


def _not_wanted(on: str, judged: Judged) -> str:
    """Why this host is not reinstalled; "" where it may be."""
    if judged.layout in _WANTED:
        return ""
    if judged.layout is Layout.NO_EFI:
        return (
            f"No plan for {on}: UEFI started it, but no EFI partition is visible. First find out what it starts from."
        )
    odd = "" if judged.layout is Layout.UEFI else f" ({judged.layout})"
    return f"Nothing to redeploy: {on} already starts by UEFI from a GPT disk{odd}."


def _drain(args: Args, facts: RedeployFacts) -> tuple[Remedy, ...]:
    """A node that is not drained is drained first."""
    found = member(args.host.name, facts)
    if found is None or found.is_drained:
        return ()
    return (Remedy("Drain Node…", f"/drain-node {args.host.name}", primary=True),)


def undo_gates(args: Args, facts: RedeployFacts, back: Plan) -> tuple[Gate, ...]:
    """Nothing of it can be undone."""
    del args, facts, back
    return ()


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates)
