"""What has to be so before a guest moves live, beside what has to be so before any move of it. Pure.

Nothing here is worked around: a guest that is locked, backed up, saved or bound stays where it is. A migration that could turn
out to be a quick one, which saves the guest and so is an outage, is not begun.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from commands.drain.effects import together
from commands.drain.gates import node_is_up
from commands.drain.move import GUEST_MOVES
from commands.migration.facts import MigrationFacts
from commands.sources.cluster import Group
from commands.sources.guests import Power
from commands.sources.migration import BY_PRIORITY, LIVE, ONLINE, REASONS, RUNNING, MachineResource, Migration

_STATES = {1: "offline", 2: "failed", 3: "partially online", 4: "pending"}
_ROLE_ONLINE = 0


def move_gates(of: MigrationFacts, to: str, *, and_back: bool = False) -> tuple[Gate, ...]:
    """Every gate of one live migration of a guest to a node, and of the way back where it comes back."""
    return together(
        GUEST_MOVES.judge(of.to(to)),
        (
            runs(of),
            moves_live(of),
            not_migrating(of),
            role_is_online(of),
        ),
        (node_is_up(of.node, of.drain.state, of.drain.nodes),) if and_back else (),
    )


def _not_known(says: GateText, what: str, why: str) -> Gate:
    """Nobody's word represents it: it decides what the cluster does with the guest."""
    return Gate.of(
        says, GateOutcome.NOT_KNOWN, f"not known: {why}", unknowns=(OpenQuestion(what, why),), answerable=False
    )


def runs(of: MigrationFacts) -> Gate:
    """Only a guest that runs moves live; the cluster answers 5023 for any other [doc], and one in saved state is only copied."""
    name, one = of.guest.name, of.resource
    says = GateText(
        f"{name} is running, and its cluster shows it as running on {of.node}",
        f"{name} is not running on {of.node}, by its host or by its cluster",
        f"It is not known whether {name} is running on {of.node}",
    )
    if of.guest.power is not Power.RUNNING:
        known = of.guest.power is not Power.UNKNOWN
        return Gate.of(says, GateOutcome.of(False if known else None), f"it is {of.guest.power}", answerable=False)
    if isinstance(one, Unknown):
        return _not_known(says, f"the resource of {name}", one.why.rstrip("."))
    if one.state is None or one.vm_state is None or not one.owner:
        return _not_known(says, f"the state of the resource of {name}", "its State, VmState or OwnerNode was not told")
    there = one.owner.casefold() == of.node.casefold()
    told = "" if there else f"its resource is on {one.owner}"
    told = told or ("" if one.state == ONLINE else f"its resource is in state {one.state}")
    told = told or ("" if one.vm_state == RUNNING else f"VmState is {one.vm_state}, so it would be refused with 5023")
    return Gate.of(says, GateOutcome.of(not told), told, answerable=False)


def moves_live(of: MigrationFacts) -> Gate:
    """How it is set to move: one that would be moved quickly, by anybody else, is not moved by hvops either."""
    name, one = of.guest.name, of.resource
    says = GateText(
        f"{name} is set to live-migrate, never to quick-migrate",
        f"{name} is not set to live-migrate",
        f"It is not known whether {name} is set to live-migrate",
    )
    if isinstance(one, Unknown):
        return _not_known(says, f"DefaultMoveType of {name}", one.why.rstrip("."))
    if one.move_type is None:
        return _not_known(says, f"DefaultMoveType of {name}", "its resource does not tell DefaultMoveType")
    if one.move_type == LIVE:
        return Gate.of(says, GateOutcome.PASSED, "DefaultMoveType is 4, live")
    if one.move_type not in BY_PRIORITY:
        return Gate.of(says, GateOutcome.BLOCKED, f"DefaultMoveType is {one.move_type}, not live (4)", answerable=False)
    return _by_priority(of, one, says)


def _by_priority(of: MigrationFacts, one: MachineResource, says: GateText) -> Gate:
    role, threshold = _role(of, one), of.drain.threshold
    if role is None or role.priority is None:
        return _not_known(says, f"the priority of {one.group}", "the cluster did not tell it")
    if not isinstance(threshold, int):
        why = threshold.why.rstrip(".") if isinstance(threshold, Unknown) else "the cluster did not tell it"
        return _not_known(says, f"MoveTypeThreshold of {of.cluster}", why)
    told = f"priority {role.priority}, MoveTypeThreshold {threshold}"
    live = role.priority >= threshold
    return Gate.of(
        says, GateOutcome.of(live), told if live else f"{told}: it would be saved and moved", answerable=False
    )


def not_migrating(of: MigrationFacts) -> Gate:
    """Nobody else moves it now. 4 and 5 tell of an earlier migration, and say nothing of the next."""
    name, one = of.guest.name, of.resource
    says = GateText(
        f"No migration of {name} is running",
        f"A migration of {name} is running; let it finish first",
        f"It is not known whether a migration of {name} is running",
    )
    if isinstance(one, Unknown):
        return _not_known(says, f"MigrationState of {of.guest.name}", one.why.rstrip("."))
    if one.migration not in list(Migration):
        why = (
            "its resource does not tell MigrationState"
            if one.migration is None
            else f"MigrationState is {one.migration}"
        )
        return _not_known(says, f"MigrationState of {of.guest.name}", why)
    state = Migration(one.migration)
    why = f" ({REASONS.get(one.reason, f'MigrationFailureReason {one.reason}')})" if one.reason else ""
    earlier = {
        Migration.CANCELLED: "an earlier one was cancelled, which counts for nothing",
        Migration.FAILED: f"an earlier one failed{why}, which counts for nothing",
    }
    told = f"MigrationState is {int(state)}" if state.is_under_way else earlier.get(state, "")
    return Gate.of(says, GateOutcome.of(not state.is_under_way), told, answerable=False)


def role_is_online(of: MigrationFacts) -> Gate:
    """A role that is pending, failed or half online has something going on that a move would only hide."""
    name, one = of.guest.name, of.resource
    says = GateText(
        f"The role of {name} is online",
        f"The role of {name} is not online",
        f"It is not known whether the role of {name} is online",
    )
    if isinstance(one, Unknown):
        return _not_known(says, f"the role of {of.guest.name}", one.why.rstrip("."))
    role = _role(of, one)
    if role is None or role.state is None:
        return _not_known(says, f"the state of {one.group}", "the cluster did not tell it")
    online = role.state == _ROLE_ONLINE
    told = "" if online else f"it is {_STATES.get(role.state, f'in state {role.state}')}"
    return Gate.of(says, GateOutcome.of(online), told, answerable=False)


def _role(of: MigrationFacts, one: MachineResource) -> Group | None:
    groups: Sequence[Group] = () if isinstance(of.drain.cluster.groups, Unknown) else of.drain.cluster.groups
    return next((role for role in groups if role.name.casefold() == one.group.casefold()), None)
