"""Anti-affinity: may each role run on another node without meeting one of its class?

Roles that share a string of AntiAffinityClassNames are kept apart. By default that is a wish: where no other node is left
they share one. With ClusterEnforcedAntiAffinity set, a role does not come online beside another one of its class [doc:
Cluster affinity]. The rules of affinity of 2022 and later are not asked: no page tells their class in WMI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, missing
from commands.formatting import join_names
from commands.sources.cluster import Group, Resource, RoleResource
from commands.sources.nodes import NodeState
from commands.sources.quorum import ClusterSettings

_MOST = 6
_OFFLINE = 1  # MSCluster_ResourceGroup.State [doc]: only its owner changes
Owners = Mapping[str, frozenset[str]]


def roles_are_kept_apart(
    node: str,
    groups: Sequence[Group] | Unknown,
    others: Sequence[NodeState] | Unknown,
    settings: ClusterSettings | Unknown,
    allowed: Owners | Unknown,
) -> Gate:
    """Every role of the node finds a node that owns none of its class. Where the rule is but a wish, this only warns.

    Args:
        node: that is emptied.
        groups: of the cluster.
        others: the nodes that may take them; those that are up count.
        settings: of the cluster: whether the rule is enforced.
        allowed: role -> nodes where it may be, all in lower case; where it is missing, anywhere.
    """
    says = GateText(
        f"Anti-affinity allows every role on {node} to move",
        f"Moving the roles on {node} would break anti-affinity",
        f"It is not known whether anti-affinity allows every role on {node} to move",
    )
    if isinstance(groups, Unknown) or isinstance(others, Unknown):
        parts = (groups, others)
        why = next(part for part in parts if isinstance(part, Unknown))
        asked = missing("anti-affinity", *parts)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {why.target}: {why.why.rstrip('.')}", unknowns=asked)
    here = node.casefold()
    moved = [one for one in groups if one.owner.casefold() == here and one.apart and one.state != _OFFLINE]
    unread = [one.shown for one in groups if one.apart is None or (one.apart and not one.owner)]
    if unread:
        asked = tuple(
            OpenQuestion(f"the anti-affinity of {name}", "its class, or its node, cannot be read") for name in unread
        )
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known for {join_names(unread, _MOST)}", unknowns=asked)
    if not moved:
        return Gate.of(says, GateOutcome.PASSED, "no role has such a class")
    up = {one.name.casefold(): one.name for one in others if one.is_up}
    taken = _taken(groups)
    room = [_free(one, taken, up, allowed) for one in moved]
    homeless = [moved[at] for at in _homeless([_classes(one) for one in moved], room)]
    if not homeless and isinstance(allowed, Unknown):
        asked = missing("possible owners", allowed)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {allowed.target}: {allowed.why}", unknowns=asked)
    if not homeless:
        return Gate.of(says, GateOutcome.PASSED)
    told = "; ".join(_words(one, groups, up) for one in homeless)
    return _as_enforced(says, told, settings)


def _as_enforced(says: GateText, told: str, settings: ClusterSettings | Unknown) -> Gate:
    """What it means that roles would meet: it holds the plan where the rule is enforced, and only warns where it is a wish."""
    if isinstance(settings, Unknown) or settings.keeps_apart is None:
        why, remedy = (settings.why, settings.remedy) if isinstance(settings, Unknown) else ("it was not told", "")
        question = OpenQuestion("whether the cluster enforces anti-affinity", why, remedy)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known whether it is enforced: {told}", unknowns=(question,))
    if settings.keeps_apart:
        return Gate.of(says, GateOutcome.BLOCKED, f"the rule is enforced: {told}")
    return Gate.of(says, GateOutcome.BLOCKED, f"a wish that is not enforced: {told}", blocks=False)


def allowed_nodes(
    resources: Sequence[Resource | RoleResource] | Unknown, owners: Owners | Unknown
) -> dict[str, frozenset[str]] | Unknown:
    """Role -> where all of its resources may be, in lower case; anywhere where it is missing."""
    if isinstance(resources, Unknown):
        return resources
    if isinstance(owners, Unknown):
        return owners
    found: dict[str, frozenset[str]] = {}
    for one in resources:
        told = owners.get(one.name.casefold())
        if told is not None:
            role = one.group.casefold()
            found[role] = found.get(role, told) & told
    return found


def _classes(role: Group) -> frozenset[str]:
    return frozenset(name.casefold() for name in role.apart or ())


def _taken(groups: Sequence[Group]) -> dict[str, set[str]]:
    """Class -> the nodes that have a role of it. A cluster can tell tens of thousands of roles: none is compared with all."""
    found: dict[str, set[str]] = {}
    for one in groups:
        for name in _classes(one):
            found.setdefault(name, set()).add(one.owner.casefold())
    return found


def _free(
    role: Group, taken: Mapping[str, set[str]], up: Mapping[str, str], allowed: Owners | Unknown
) -> tuple[str, ...]:
    """The nodes where it may go and meets none of its class."""
    may = frozenset(up) if isinstance(allowed, Unknown) else allowed.get(role.name.casefold(), frozenset(up))
    return tuple(sorted((frozenset(up) & may).difference(*(taken[name] for name in _classes(role)))))


def _homeless(classes: Sequence[frozenset[str]], room: Sequence[tuple[str, ...]]) -> list[int]:
    """The roles for which no node is left, where those of one class take a node each; not more than are shown."""
    seats, found = _Seats(classes, room), []
    for role in range(len(classes)):
        if not seats.take(role, set()):
            found.append(role)
            if len(found) == _MOST:
                break
    return found


@dataclass(slots=True)
class _Seats:
    """Who goes where.

    Attributes:
        classes: of each role.
        room: the nodes where each may go.
        sits: node and class -> roles that went there.
    """

    classes: Sequence[frozenset[str]]
    room: Sequence[tuple[str, ...]]
    sits: dict[tuple[str, str], dict[int, None]] = field(default_factory=dict)

    def take(self, role: int, seen: set[str]) -> bool:
        """Find a node for a role: a free one, or one whose only role of its class finds another one. `seen`: those tried."""
        left = [to for to in self.room[role] if to not in seen]
        seen.update(left)
        met = {to: self._met(to, role) for to in left}
        for to in sorted(left, key=lambda to: len(met[to])):
            other = next(iter(met[to]), None)
            if other is None or (len(met[to]) == 1 and self.take(other, seen)):
                self._move(role, to, other)
                return True
        return False

    def _met(self, to: str, role: int) -> dict[int, None]:
        return {one: None for name in self.classes[role] for one in self.sits.get((to, name), ())}

    def _move(self, role: int, to: str, other: int | None) -> None:
        for name in self.classes[other] if other is not None else ():
            self.sits[to, name].pop(other, None)  # type: ignore[arg-type]
        for name in self.classes[role]:
            self.sits.setdefault((to, name), {})[role] = None


def _words(role: Group, groups: Sequence[Group], up: Mapping[str, str]) -> str:
    """Whom it would meet: "branch-sql-01 would meet branch-sql-02 on br02, branch-sql-03 on br03"."""
    own = _classes(role)
    met = [
        f"{one.name} on {up[one.owner.casefold()]}"
        for one in groups
        if one.owner.casefold() in up and own & _classes(one)
    ]
    return f"{role.name} would meet {join_names(met, _MOST)}" if met else f"{role.name} has no node left"
