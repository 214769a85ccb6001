"""How a guest would leave its node: live or saved and moved, and where to.

A guest whose role has a priority below MoveTypeThreshold is moved quickly: saved, moved, resumed, which is downtime [doc:
Microsoft's articles on updating clusters]. The threshold is a private property of the resource type, whose form over
WS-Management was never captured; the cluster's hive is the second way [mem].
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.vocabulary.questions import Registry, Term, Wql
from bot.vocabulary.rows import Cell, Rows, number
from commands.know.cluster import NAMESPACE

_MACHINES = "Virtual Machine"
_THRESHOLD = "MoveTypeThreshold"


def ask_threshold(on: str) -> Wql:
    """The question: from which priority on do guests move live?"""
    named = (Term("Name", "=", _MACHINES),)
    return Wql(on, NAMESPACE, "MSCluster_ResourceType", ("Name", "PrivateProperties"), named)


def ask_threshold_of_hive(on: str) -> Registry:
    """The same, from the cluster's hive on one node."""
    return Registry(on, rf"Cluster\ResourceTypes\{_MACHINES}\Parameters", (_THRESHOLD,))


def ask_possible_owners(on: str) -> Wql:
    """The question: which resource may be on which node? One row for each pair."""
    return Wql(on, NAMESPACE, "MSCluster_ResourceToPossibleOwner", ("GroupComponent", "PartComponent"))


def read_threshold(rows: Rows) -> int | None:
    """The priority from the private properties; None where they do not tell. Raises Unreadable."""
    for row in rows:
        private = row.get("PrivateProperties")
        if isinstance(private, Mapping):
            plain = {name.casefold(): value for name, value in private.items()}
            if (found := number(plain, _THRESHOLD.casefold())) is not None:
                return found
    return None


def read_threshold_of_hive(rows: Rows) -> int | None:
    """The priority from the registry; None where there is no such value. Raises Unreadable."""
    return number(rows[0], _THRESHOLD) if rows else None


def read_possible_owners(rows: Rows) -> dict[str, frozenset[str]]:
    """Resource -> nodes, all in lower case."""
    found: dict[str, set[str]] = {}
    for row in rows:
        resource, node = _named(row.get("GroupComponent")), _named(row.get("PartComponent"))
        if resource and node:
            found.setdefault(resource, set()).add(node)
    return {resource: frozenset(nodes) for resource, nodes in found.items()}


def _named(reference: Cell) -> str:
    """The key `Name` of a REF; "" where it is none."""
    if not isinstance(reference, Mapping):
        return ""
    name = next((value for key, value in reference.items() if key.casefold() == "name"), "")
    return name.casefold() if isinstance(name, str) else ""
