"""Prove that hvops can live-migrate on a cluster: one guest that you name moves to another node and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from bot.api.arguments import NO_HOST, ClusterTargets, HostTarget
from bot.api.command import ProofLine, Remediation, Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Gate, Group, Plan
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from bot.api.rows import Rows
from commands.formatting import join_names
from commands.migration.facts import MigrationFacts, Place, find_migration_facts, find_place
from commands.migration.gates import move_gates
from commands.migration.proof import Way, read_proofs, step_keys
from commands.migration.steps import live_move_step, machine
from commands.no_plan import cluster_lock, no_plan, or_no_plan

_EVERY = ClusterTargets()


class Vm(str):
    """A virtual machine's name, or its id."""

    __slots__ = ()
    is_subject = True
    label = "Virtual machine"
    names = "guest"


class WayWord(str):
    """How the migration is started."""

    __slots__ = ()
    wants = "control or parameters"
    choices = MappingProxyType({  # word -> what a form calls it
        "control": "By control code",
        "parameters": "By parameters of a move",
    })  # fmt: skip

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        return cls(Way(word.casefold()))


_FIRST = WayWord(Way.CONTROL)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type. Where no cluster is named, the guest is looked for on all of them."""

    vm: Vm
    to: HostTarget = NO_HOST  # type: ignore[assignment] # parsed only: it is a Target of kind "host"
    way: WayWord = _FIRST
    on: ClusterTargets = _EVERY


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the guest is, and all about it; or why that is not known."""

    place: Place | str
    found: MigrationFacts | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Look for the guest on every node, then ask about it as for a drain."""
    clusters = [one for one in args.on if not args.to.cluster or one.name == args.to.cluster]
    place = await find_place(args.vm, clusters, ask)
    if isinstance(place, str):
        return Facts(place)
    return Facts(place, await find_migration_facts(place, ask))


def plan(args: Args, facts: Facts) -> Plan:
    """There and back, each step proved by itself."""
    found = facts.found
    if found is None:
        assert isinstance(facts.place, str)
        return no_plan(facts.place)
    if found.unplannable:
        return no_plan(found.unplannable)
    to = destination(found, args.to.name)
    name = found.guest.name
    if not to:
        return no_plan(no_destination(found, args.to.name))
    assert not isinstance(found.resource, Unknown)
    way = Way(args.way)
    there, back = step_keys(way)
    one = machine(found)
    whole = Plan(
        reason=f"{_proved_words(found)} {name} runs on {found.node}; the way that is tried is {way.method}.",
        impact=f"{name} live-migrates to {to} and back; it pauses for a moment at the end of each move.",
        rollback=(
            f"None is needed once both moves are done. Should the second one fail, {name} goes on running on {to}: move it back"
            " in Failover Cluster Manager."
        ),
        locks=(cluster_lock(found.target),),
        gates=move_gates(found, to, and_back=True),
        groups=(
            Group(
                "proof",
                (
                    live_move_step(one, found.node, to, way=way, key=there, can_cancel=True),
                    live_move_step(one, to, found.node, way=way, key=back),
                ),
            ),
        ),
        remedies=(Remedy("Check Writers", f"/check-writers {found.cluster}"),),
        title=f"Prove live migration on {found.cluster} with {name}",
        places=(found.cluster,),
        current_state=f"{name} runs on {found.node}",
        expected_state=f"{name} has been on {to} and is on {found.node} again; hvops may migrate live on {found.cluster}",
        self_reverting=True,
    )
    return or_no_plan(name, whole)


def destination(found: MigrationFacts, wanted: str) -> str:
    """The node that was asked for, else the first by name that could take it; "" where there is none."""
    if wanted:
        node = found.find_node(wanted)
        return "" if node.casefold() == found.node.casefold() else node
    return next(iter(found.destinations()), "")


def no_destination(found: MigrationFacts, wanted: str) -> str:
    """Why there is nowhere to go."""
    name = found.guest.name
    if not wanted:
        return (
            f"No plan for {name}: no other node of {found.cluster} is up, may own it and tells that it has room for it."
        )
    if found.find_node(wanted):
        return f"No plan for {name}: it is on {found.node} already. Name another node."
    nodes = join_names([one.name for one in found.drain.others])
    return f"No plan for {name}: {wanted} is no node of {found.cluster}. Nodes that it could go to: {nodes or 'none'}."


def _proved_words(found: MigrationFacts) -> str:
    """What is known of the ways by now."""
    if isinstance(found.proved, Unknown):
        return f"What was proved on {found.cluster} is not known: {found.proved.why}"
    told = "; ".join(one.says for one in found.proved)
    return f"On {found.cluster}: {told}." if told else f"No way to migrate live has been proved on {found.cluster}."


def proof_lines(rows: Rows) -> Sequence[ProofLine]:
    """The newest attempt of each way on a cluster. Raises ValueError."""
    return tuple(ProofLine(one.says, one.holds) for one in read_proofs(rows))


def undo_gates(args: Args, facts: Facts, back: Plan) -> tuple[Gate, ...]:
    """Nothing: an undo cancels the migration that is running, and that none is running has to be so on the way there alone.

    That it is this machine's, and still at a point where the cluster cancels it, is seen just before. As a gate it would be signed,
    and would void the undo as soon as the migration begins to show.
    """
    del args, facts, back
    return ()


COMMAND = Remediation(Role.OPERATOR, Risk.HIGH, Args, collect, plan, undo_gates, proofs=proof_lines)
