"""What a change does to guests and nodes, and what must be so before it: one list of gates for each effect.

Every command that has an effect asks all gates of its list, so that no gate belongs to one command only. A test says of
each gate of one list where it stands in the others, or why it is not needed there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome
from commands.drain import apart, gates, movable
from commands.drain.facts import DrainFacts, ResumeFacts
from commands.sources.backup_state import no_backup
from commands.sources.cluster import Resource

F = TypeVar("F")


@dataclass(frozen=True, slots=True, eq=False)
class Effect(Generic[F]):
    """One effect.

    Attributes:
        says: what happens: "a node loses its guests".
        gates: subject -> how it is judged. A subject is called the same in every effect.
    """

    says: str
    gates: Mapping[str, Callable[[F], Iterable[Gate]]]

    def judge(self, facts: F, without: Collection[str] = ()) -> tuple[Gate, ...]:
        """Every gate, but for the subjects that the plan's own steps bring about. Raises KeyError for an unknown one."""
        for subject in without:
            self.gates[subject]
        return tuple(gate for subject, judge in self.gates.items() if subject not in without for gate in judge(facts))


def together(*parts: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates of several effects, each once: of those that say the same, of several nodes, the one that holds most."""
    found: dict[str, Gate] = {}
    for gate in (gate for part in parts for gate in part):
        found[gate.description] = _stricter(found.get(gate.description, gate), gate)
    return tuple(found.values())


def _stricter(one: Gate, other: Gate) -> Gate:
    """The one that holds more; of two that are not known, with what is missing for either."""
    held = max(one, other, key=lambda gate: (gate.blocks_plan, not gate.is_open, bool(gate.passes_at), not gate.passed))
    if one.outcome is other.outcome is GateOutcome.NOT_KNOWN:
        return replace(held, unknowns=tuple(dict.fromkeys((*one.unknowns, *other.unknowns))))
    return held


NODE_LOSES_GUESTS: Effect[DrainFacts] = Effect(
    "a node loses its guests",
    {
        "node's state": lambda of: (gates.node_is_up(of.node, of.state, of.nodes),),
        "other nodes": lambda of: (
            gates.other_nodes_work(of.cluster.name, of.nodes if isinstance(of.nodes, Unknown) else of.others),
        ),
        "quorum": lambda of: (gates.quorum_holds(of.node, of.nodes, of.witness),),
        "memory": lambda of: (_memory(of),),
        "locks": lambda of: (gates.no_locks(of.node, of.guests, of.cluster),),
        "locks elsewhere": lambda of: (gates.others_are_free(of.node, of.cluster, with_volumes=False),),
        "backup": lambda of: (no_backup(of.node, of.backup),),
        "activities": lambda of: (movable.no_guest_is_busy(of.node, of.guests),),
        "critical guests": lambda of: (movable.guests_reach_their_files(of.node, of.guests),),
        "bonds": lambda of: (
            movable.guests_are_not_bound(
                of.node, of.build, gates.clustered_guests(of.guests, _resources(of)), _resources(of), of.bonds
            ),
        ),
        "shared volumes": lambda of: (gates.volumes_are_sound(of.cluster.name, of.cluster.volumes),),
        "storage jobs": lambda of: (gates.no_storage_repair(of.repairs),),
        "virtual disks": lambda of: (gates.virtual_disks_are_healthy(of.node, of.virtual_disks),),
        "possible owners": lambda of: (
            gates.guests_may_move(
                of.node,
                of.nodes if isinstance(of.nodes, Unknown) else of.others,
                _resources(of),
                of.owners,
                of.roles,
            ),
        ),
        "other roles": lambda of: (
            gates.roles_may_move(
                of.node,
                of.nodes if isinstance(of.nodes, Unknown) else of.others,
                of.other_roles,
                of.others_held,
                of.others_owners,
            ),
        ),
        "anti-affinity": lambda of: (
            apart.roles_are_kept_apart(
                of.node,
                of.cluster.groups,
                of.nodes if isinstance(of.nodes, Unknown) else of.others,
                of.settings,
                _allowed(of),
            ),
        ),
        "way of moving": lambda of: (
            gates.guests_move_live(of.node, of.cluster.groups, _resources(of), of.guests, of.threshold),
        ),
        "clustered": lambda of: (
            gates.guests_are_clustered(of.node, of.guests, gates.clustered_guests(of.guests, _resources(of))),
        ),
        "updating": lambda of: (gates.no_cluster_aware_updating(of.cluster.name, of.updating),),
        "VMM jobs": lambda of: gates.vmm_jobs_end(of.vmm_jobs),
    },
)

NODE_TAKES_GUESTS: Effect[ResumeFacts] = Effect(
    "a node takes guests",
    {
        "node's state": lambda of: (gates.node_is_paused(of.node, of.state, of.nodes),),
        "drain under way": lambda of: (gates.drain_has_ended(of.node, of.state, of.nodes),),
        "Hyper-V": lambda of: (gates.hyper_v_answers(of.node, of.vmms),),
        "locks": lambda of: (gates.others_are_free(of.node, of.cluster),),
        "shared volumes": lambda of: (
            # to have the node back may be what mends it
            replace(gates.volumes_are_sound(of.cluster.name, of.cluster.volumes), blocks=False),
        ),
        "updating": lambda of: (gates.no_cluster_aware_updating(of.cluster.name, of.updating),),
        "VMM jobs": lambda of: gates.vmm_jobs_end(of.vmm_jobs),
    },
)


def resume_facts(drain: DrainFacts) -> ResumeFacts:
    """What a drain knows of the node that is resumed at its end; how Hyper-V is by then its own steps prove."""
    return ResumeFacts(drain.node, drain.build, drain.cluster, drain.nodes, drain.updating, drain.vmm_jobs)


def gates_back(drain: DrainFacts) -> tuple[Gate, ...]:
    """What has to be so before a node that was drained takes its guests again; the undo of a drain asks it."""
    if drain.unfound is not None:
        return (gates.nothing_known(drain.cluster.name or drain.node, drain.unfound),)
    return NODE_TAKES_GUESTS.judge(resume_facts(drain), without=("node's state", "drain under way", "Hyper-V"))


def _resources(of: DrainFacts) -> tuple[Resource, ...] | Unknown:
    return of.cluster.resources if isinstance(of.cluster.resources, Unknown) else of.resources


def _allowed(of: DrainFacts) -> dict[str, frozenset[str]] | Unknown:
    guests = apart.allowed_nodes(_resources(of), of.owners)
    roles = apart.allowed_nodes(of.others_held, of.others_owners)
    if isinstance(guests, Unknown):
        return guests
    return roles if isinstance(roles, Unknown) else guests | roles


def _memory(of: DrainFacts) -> Gate:
    free = of.nodes if isinstance(of.nodes, Unknown) else of.free  # of the nodes that are up, which nobody told then
    clustered = gates.clustered_guests(of.guests, _resources(of))
    owners = gates.owners_of_guests(_resources(of), of.owners)
    return gates.memory_suffices(of.node, clustered, of.memory, free, owners)
