"""Anti-affinity: may each role run on another node without meeting one of its class?

Roles that share a string of AntiAffinityClassNames are kept apart. By default that is a wish: where no other node is left
they share one. With ClusterEnforcedAntiAffinity set, a role does not come online beside another one of its class [doc:
Cluster affinity]. The rules of affinity of 2022 and later are not asked: no page tells their class in WMI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    room = {one.name: _free(one, groups, up, allowed) for one in moved}
    homeless = _homeless(moved, room)
    if not homeless and isinstance(allowed, Unknown):
        asked = missing("possible owners", allowed)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {allowed.target}: {allowed.why}", unknowns=asked)
    if not homeless:
        return Gate.of(says, GateOutcome.PASSED)
    told = "; ".join(_words(one, groups, up) for one in homeless[:_MOST])
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


def _shares(one: Group, other: Group) -> bool:
    return bool({name.casefold() for name in one.apart or ()} & {name.casefold() for name in other.apart or ()})


def _free(role: Group, groups: Sequence[Group], up: Mapping[str, str], allowed: Owners | Unknown) -> frozenset[str]:
    """The nodes where it may go and meets none of its class."""
    taken = {other.owner.casefold() for other in groups if _shares(role, other)}
    may = frozenset(up) if isinstance(allowed, Unknown) else allowed.get(role.name.casefold(), frozenset(up))
    return (frozenset(up) & may) - taken


def _homeless(moved: Sequence[Group], room: Mapping[str, frozenset[str]]) -> list[Group]:
    """The roles for which no node is left, where those of one class take a node each."""
    by_name = {one.name: one for one in moved}
    sits: dict[str, list[str]] = {}  # node -> roles that went there

    def seat(role: Group, seen: set[str]) -> bool:
        for to in sorted(room[role.name] - seen):
            seen.add(to)
            there = [by_name[name] for name in sits.get(to, ()) if _shares(role, by_name[name])]
            if not there or (len(there) == 1 and seat(there[0], seen)):
                sits[to] = [name for name in sits.get(to, ()) if name not in {one.name for one in there}] + [role.name]
                return True
        return False

    return [one for one in moved if not seat(one, set())]


def _words(role: Group, groups: Sequence[Group], up: Mapping[str, str]) -> str:
    """Whom it would meet: "branch-sql-01 would meet branch-sql-02 on br02, branch-sql-03 on br03"."""
    met = [
        f"{one.name} on {up[one.owner.casefold()]}"
        for one in groups
        if one.owner.casefold() in up and _shares(role, one)
    ]
    return f"{role.name} would meet {join_names(met, _MOST)}" if met else f"{role.name} has no node left"
