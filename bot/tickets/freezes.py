"""What windows of the inventory mean for a plan: a freeze keeps it from starting, and an approver may override that.

Whether a freeze is in force is a gate. A plan that is proposed inside of one leaves it open, as it leaves open what is not
known: whoever approves writes why it starts all the same, and those words are signed for this freeze and its end. A plan
that was proposed before waits until the freeze has ended. What has begun is finished, and what failed is taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, Plan
from bot.api.windows import Opening, Window, WindowKind, next_opening, open_now

_WAITS = (WindowKind.FREEZE, WindowKind.BACKUP)


def with_windows(
    plan: Plan,
    windows: Sequence[Window],
    places: Sequence[str],
    now: datetime,
    approved: Plan | None,
    *,
    has_begun: bool,
) -> Plan:
    """The plan with its gate about freezes, and with the windows that people should know of beside it.

    Args:
        plan: as it was made.
        windows: of the inventory.
        places: where a role must hold for it.
        now: the time, UTC.
        approved: the plan as it was proposed, where it is made anew; None for a proposal.
        has_begun: its first group has: no freeze holds the rest.
    """
    if not plan.groups:
        return plan
    evidence = tuple(_sentences(windows, places, now))
    freezes = [one for one in windows if one.kind is WindowKind.FREEZE and one.is_about(places)]
    gates = (_gate(open_now(freezes, places, now), places, approved, has_begun=has_begun),) if freezes else ()
    impact = " ".join((plan.impact, *evidence))  # whoever decides reads it on the card
    return replace(plan, gates=(*plan.gates, *gates), evidence=(*plan.evidence, *evidence), impact=impact)


def without_windows(plan: Plan) -> str:
    """The impact of a plan without what windows meant for it when it was made: that is not so any more, and evidence has it too."""
    impact = plan.impact
    for says in reversed(plan.evidence):
        if not impact.endswith(f" {says}"):
            break
        impact = impact.removesuffix(f" {says}")
    return impact


def why_repeated_moves_wait(windows: Sequence[Window], places: Sequence[str], now: datetime) -> str:
    """The window in which nothing is repeated, as a sentence without its full stop; "" where none is open."""
    found = open_now(windows, places, now, *_WAITS)
    return str(found[0]) if found else ""


def why_not_begun(
    plan: Plan,
    windows: Sequence[Window],
    places: Sequence[str],
    now: datetime,
    answered: Collection[str],
    *,
    undoes_half_done: bool = False,
) -> str:
    """The freeze in which the first act of a plan may not go out, as a sentence without its full stop; "" where it may.

    Args:
        plan: as it was proposed. It has no gate where there was no freeze then; one may have been written since.
        windows: of the inventory.
        places: where a role must hold for it.
        now: the time, UTC.
        answered: what an approver said something of, by name: a freeze that was overridden is among it.
        undoes_half_done: it undoes what another ticket left half done: without the gate, no freeze holds that.
    """
    if undoes_half_done and all(one.description != _says(places) for one in plan.gates):
        return ""
    found = open_now(windows, places, now, WindowKind.FREEZE)
    return next((str(one) for one in found if str(one) not in answered), "")


def _says(places: Sequence[str]) -> str:
    return f"No change freeze is in force on {', '.join(places)}"


def _gate(openings: Sequence[Opening], places: Sequence[str], approved: Plan | None, *, has_begun: bool) -> Gate:
    where = ", ".join(places)
    frozen = f"A change freeze is in force on {where}"
    says = GateText(_says(places), frozen, frozen)
    if not openings or has_begun:
        return Gate.of(says, GateOutcome.PASSED, "it has begun" if openings else "", guards="worth")
    if approved is not None and any(
        one.description == says.passed and (one.passed or one.passes_at) for one in approved.gates
    ):
        measured = (
            f"{openings[0]}; to start before its end, withdraw this and propose it again: an approver may override it"
        )
        return Gate.of(says, GateOutcome.BLOCKED, measured, passes_at=openings[0].ends.isoformat(), guards="worth")
    return Gate.of(
        says,
        GateOutcome.NOT_KNOWN,
        "; ".join(map(str, openings)),
        guards="worth",
        unknowns=tuple(
            OpenQuestion(
                str(one),
                "nothing starts inside it unless an approver overrides it",
                f"propose it again after {one.end_in_words()}",
                is_override=True,
            )
            for one in openings
        ),
    )


def _sentences(windows: Sequence[Window], places: Sequence[str], now: datetime) -> list[str]:
    """The windows that are open, but for freezes, which are a gate, and the one that opens next."""
    shown = [f"Open now: {one}." for one in open_now(windows, places, now, WindowKind.BACKUP, WindowKind.MAINTENANCE)]
    ahead = next_opening(windows, places, now)
    return [*shown, *([f"Next window: {ahead.ahead_in_words()}."] if ahead is not None else [])]
