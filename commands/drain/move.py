"""One guest is moved to a named node: what must be so before it, and what is known for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateText
from commands.drain import apart, gates, movable
from commands.drain.effects import Effect
from commands.drain.facts import DrainFacts
from commands.formatting import join_names
from commands.sources.backup_state import Backup, no_backup
from commands.sources.cluster import Resource
from commands.sources.guests import Guest


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """What is known of a move.

    Attributes:
        drain: of the node where the guest runs.
        guest: as that node tells it.
        to: the node that takes it.
    """

    drain: DrainFacts
    guest: Guest
    to: str

    @property
    def resources(self) -> tuple[Resource, ...] | Unknown:
        """The guest's own. Where none tells that it is, one that does not tell its machine could be."""
        every = self.drain.cluster.resources
        if isinstance(every, Unknown):
            return every
        own = tuple(one for one in every if one.vm_id == self.guest.vm_id)
        open_ = [one.shown for one in every if not one.vm_id and one.may_be_on(self.drain.node)]
        if open_ and not own:
            names = join_names(list(dict.fromkeys(open_)), 4)
            return Unknown(
                self.drain.cluster.name, "not whole", f"not known which virtual machine each of these is: {names}."
            )
        return own


def _is_up(of: MoveFacts) -> Gate:
    state = next((one for one in of.drain.states if one.name.casefold() == of.to.casefold()), None)
    return gates.node_is_up(of.to, state, of.drain.nodes)


def _fits(of: MoveFacts) -> Gate:
    room = {name: free for name, free in of.drain.free.items() if name.casefold() == of.to.casefold()}
    free: Mapping[str, int | Unknown] | Unknown = room or Unknown(of.to, "absent", "its free memory was not told.")
    gate = gates.memory_suffices(of.drain.node, (of.guest,), of.drain.memory, free, {})
    return gate.saying(
        GateText(
            f"{of.to} has enough memory for {of.guest.name}",
            f"{of.to} does not have enough memory for {of.guest.name}",
            f"It is not known whether {of.to} has enough memory for {of.guest.name}",
        )
    )


def _unlocked(of: MoveFacts) -> Gate:
    cluster = of.drain.cluster
    if not isinstance(of.resources, Unknown) and not isinstance(cluster.groups, Unknown):
        own = {one.group.casefold() for one in of.resources}
        roles = tuple(one for one in cluster.groups if one.name.casefold() in own)
        cluster = replace(cluster, resources=of.resources, groups=roles)
    gate = gates.no_locks(of.drain.node, (of.guest,), cluster)
    name = of.guest.name
    return gate.saying(
        GateText(f"{name} is not locked", f"{name} is locked", f"It is not known whether {name} is locked")
    )


def _unsaved(of: MoveFacts) -> Gate:
    gate = no_backup(of.drain.node, _own_backup(of))
    what = f"backup of {of.guest.name} or of a shared volume is running"
    return gate.saying(GateText(f"No {what}", f"A {what}; let it finish first", f"It is not known whether a {what}"))


def _own_backup(of: MoveFacts) -> Backup:
    """Whether a backup runs, of the node's guests by this one alone; what its writers leave open holds for each of them."""
    plain = replace(of.drain, judged_backup=None)
    own = replace(plain, guests=(of.guest,)).backup
    more = tuple(one for one in of.drain.backup.unknowns if one not in plain.backup.unknowns)
    return own if own.runs or not more else replace(own, runs=None, unknowns=(*own.unknowns, *more))


def _idle(of: MoveFacts) -> Gate:
    gate = movable.no_guest_is_busy(of.drain.node, (of.guest,))
    name = of.guest.name
    return gate.saying(
        GateText(
            f"{name} is not being exported, merged, checkpointed or migrated",
            f"{name} is busy; let that finish first",
            f"It is not known whether {name} is being exported, merged, checkpointed or migrated",
        )
    )


def _unbound(of: MoveFacts) -> Gate:
    drain = of.drain
    gate = movable.guests_are_not_bound(drain.node, drain.build, (of.guest,), of.resources, drain.bonds)
    name = of.guest.name
    return gate.saying(
        GateText(
            f"{name} is not tied to {drain.node} by a device, a disk, a file or a key",
            f"{name} is tied to {drain.node}",
            f"It is not known whether {name} is tied to {drain.node} by a device, a disk, a file or a key",
        )
    )


def _allowed(of: MoveFacts) -> Gate:
    there = of.drain.nodes
    if not isinstance(there, Unknown):
        there = tuple(one for one in there if one.name.casefold() == of.to.casefold())
    gate = gates.guests_may_move(of.drain.node, there, of.resources, of.drain.owners, (of.guest.name,))
    name = of.guest.name
    return gate.saying(
        GateText(
            f"{of.to} is up and a possible owner of {name}",
            f"{of.to} is not up, or is not a possible owner of {name}",
            f"It is not known whether {of.to} is up and a possible owner of {name}",
        )
    )


def _reachable(of: MoveFacts) -> Gate:
    gate = movable.guests_reach_their_files(of.drain.node, (of.guest,))
    name = of.guest.name
    return gate.saying(
        GateText(
            f"{name} is not in a critical state",
            f"{name} is in a critical state",
            f"It is not known whether {name} is in a critical state",
        )
    )


def _apart(of: MoveFacts) -> Gate:
    groups, there = of.drain.cluster.groups, of.drain.nodes
    if isinstance(of.resources, Unknown):
        groups = of.resources
    elif not isinstance(groups, Unknown):
        own = {one.group.casefold() for one in of.resources}
        here = of.drain.node.casefold()
        groups = tuple(one for one in groups if one.owner.casefold() != here or one.name.casefold() in own)
    if not isinstance(there, Unknown):
        there = tuple(one for one in there if one.name.casefold() == of.to.casefold())
    gate = apart.roles_are_kept_apart(of.drain.node, groups, there, of.drain.settings, {})
    name = of.guest.name
    return gate.saying(
        GateText(
            f"No role of the anti-affinity class of {name} is on {of.to}",
            f"Moving {name} to {of.to} would break anti-affinity",
            f"It is not known whether a role of the anti-affinity class of {name} is on {of.to}",
        )
    )


def _jobs(of: MoveFacts) -> Iterable[Gate]:
    return gates.vmm_jobs_end(of.drain.vmm_jobs)


GUEST_MOVES: Effect[MoveFacts] = Effect(
    "one guest is moved to a named node",
    {
        "node's state": lambda of: (_is_up(of),),
        "memory": lambda of: (_fits(of),),
        "locks": lambda of: (_unlocked(of),),
        "backup": lambda of: (_unsaved(of),),
        "activities": lambda of: (_idle(of),),
        "critical guests": lambda of: (_reachable(of),),
        "bonds": lambda of: (_unbound(of),),
        "shared volumes": lambda of: (gates.volumes_are_sound(of.drain.cluster.name, of.drain.cluster.volumes),),
        "possible owners": lambda of: (_allowed(of),),
        "anti-affinity": lambda of: (_apart(of),),
        "updating": lambda of: (gates.no_cluster_aware_updating(of.drain.cluster.name, of.drain.updating),),
        "VMM jobs": _jobs,
    },
)
