"""How a guest would leave its node: live or saved and moved, and where to.

A guest whose role has a priority below MoveTypeThreshold is moved quickly: saved, moved, resumed, which is downtime [doc:
Microsoft's articles on updating clusters]. The threshold is a private property of the resource type, whose form over
WS-Management was never captured; the cluster's hive is the second way [mem].

Which resource may be on which node has a row for each pair: a cluster of 64 nodes has tens of thousands. So only the
resources of one node are asked for, by comparing the REF with their paths, as public scripts do with this provider's other
associations and with Win32_GroupUser [src]; it was never captured [mem]. Where that is refused, or a resource is missing in
the answer, the whole table is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.api.facts import Unknown, value_of
from bot.api.queries import Predicate, Registry, Wql, object_path
from bot.api.query_client import QueryClient
from bot.api.rows import Rows, get_int, get_reference_name
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE

_MACHINES = "Virtual Machine"
_THRESHOLD = "MoveTypeThreshold"
_AT_ONCE = 40  # resources in one question: WQL limits the terms of one, and does not say how many it takes [doc]
# Asking for more would not help.
_SILENT = (
    "timed out",
    "unreachable",
    "not asked",
    "out of time",
    "login refused",
    "login not checked",
    "too busy",
)

Owners = dict[str, frozenset[str]]


def move_threshold(on: str) -> Source[int | None]:
    """The question: from which priority on do guests move live?"""
    named = (Predicate("Name", "=", _MACHINES),)
    return Source(Wql(on, NAMESPACE, "MSCluster_ResourceType", ("Name", "PrivateProperties"), named), _read_threshold)


def move_threshold_of_hive(on: str) -> Source[int | None]:
    """The same, from the cluster's hive on one node."""
    return Source(
        Registry(on, rf"Cluster\ResourceTypes\{_MACHINES}\Parameters", (_THRESHOLD,)), _read_threshold_of_hive
    )


def possible_owners(on: str, resources: Sequence[str] = ()) -> Source[Owners]:
    """The question: which node may each of these resources be on? One row for each pair; all resources where none is named."""
    paths = tuple(object_path("MSCluster_Resource", "Name", name) for name in resources)
    where = (Predicate("GroupComponent", "in", paths),) if paths else ()
    return Source(
        Wql(on, NAMESPACE, "MSCluster_ResourceToPossibleOwner", ("GroupComponent", "PartComponent"), where),
        _read_possible_owners,
    )


async def find_possible_owners(on: str, resources: Sequence[str], ask: QueryClient) -> Owners | Unknown:
    """Resource -> nodes where it may be, in lower case, for at least these resources of a cluster."""
    # Each once: a cluster that has many of one name would be asked for them as often, and tell them all each time.
    names = tuple({name.casefold(): name for name in resources}.values())
    slices = [names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]
    questions = {at: possible_owners(on, some) for at, some in enumerate(slices)}
    told = await ask.query_many(questions)
    silent = [part for part in told.values() if isinstance(part, Unknown)]
    if away := next((part for part in silent if part.kind in _SILENT), None):
        return away
    found = {
        name: nodes for part in told.values() if not isinstance(part, Unknown) for name, nodes in part.value.items()
    }
    if not silent and all(name.casefold() in found for name in names):
        return found
    return value_of(await ask.query(possible_owners(on)))


def _read_threshold(rows: Rows) -> int | None:
    """The priority from the private properties; None where they do not tell. Raises CellError."""
    for row in rows:
        private = row.get("PrivateProperties")
        if isinstance(private, Mapping):
            plain = {name.casefold(): value for name, value in private.items()}
            if (found := get_int(plain, _THRESHOLD.casefold())) is not None:
                return found
    return None


def _read_threshold_of_hive(rows: Rows) -> int | None:
    """The priority from the registry; None where there is no such value. Raises CellError."""
    return get_int(rows[0], _THRESHOLD) if rows else None


def _read_possible_owners(rows: Rows) -> Owners:
    """Resource -> nodes, all in lower case.

    Raises:
        CellError: an end names nothing. Without its row a node would count as one where the resource may not be.
    """
    found: dict[str, set[str]] = {}
    for row in rows:
        resource, node = (get_reference_name(row, end).casefold() for end in ("GroupComponent", "PartComponent"))
        found.setdefault(resource, set()).add(node)
    return {resource: frozenset(nodes) for resource, nodes in found.items()}
