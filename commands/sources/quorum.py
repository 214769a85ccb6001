"""What holds a cluster together beside its nodes: its witness, and whether the rule of anti-affinity is enforced.

Sources: ClusWmi's MSCluster_Cluster and MSCluster_Resource pages [doc]; 2012 and later. QuorumTypeValue says how the quorum
was configured, the state of the witness's resource whether it is there, WitnessDynamicWeight (2012 R2 and later) whether
it has a vote now [doc]: a witness that is online may be without one, where the nodes' votes are odd. A witness that has
failed counts for nothing, whatever was configured [doc: behavior of dynamic witness].
Names of resource types: Microsoft's page "Resource Types" and published scripts [doc, src].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.facts import Unknown
from bot.api.queries import Predicate, Wql
from bot.api.rows import Row, Rows, get_bool, get_int, get_str, readable
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE

_FILE_SHARE, _CLOUD, _DISK = "File Share Witness", "Cloud Witness", "Physical Disk"
_NAMES = {_FILE_SHARE: "file share witness", _CLOUD: "cloud witness", _DISK: "disk witness"}
# QuorumTypeValue [doc]: nodes only, a file share, a disk, none. The page is older than the cloud witness of 2016, whose
# number nobody here has seen: its resource tells of it.
_KINDS: dict[int | None, tuple[str, ...]] = {1: (), 2: (_FILE_SHARE, _CLOUD), 3: (_DISK,), 4: ()}
_ONLINE = 2  # MSCluster_Resource.State [doc]
_NO_VOTE = {3: "is offline", 4: "has failed"}
_ENFORCED = {0: False, 1: True}  # ClusterEnforcedAntiAffinity [doc]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What a cluster says of its quorum and its rules.

    Attributes:
        quorum: QuorumTypeValue; None where it was not told.
        keeps_apart: whether roles of one anti-affinity class never share a node; None where it was not told.
    """

    quorum: int | None
    keeps_apart: bool | None


@dataclass(frozen=True, slots=True)
class WitnessResource:
    """The resource of a witness: its type, and its state as told."""

    name: str
    type: str
    state: int | None


@dataclass(frozen=True, slots=True)
class Witness:
    """Whether a witness votes now.

    Attributes:
        votes: False where there is none, too.
        says: why one that was configured does not; "" where there is nothing to say.
    """

    votes: bool
    says: str = ""


NO_WITNESS = Witness(votes=False)
NO_SETTINGS = ClusterSettings(None, keeps_apart=None)


def cluster_settings(on: str) -> Source[ClusterSettings]:
    """The question: how was the quorum configured, and is anti-affinity enforced?"""
    columns = ("Name", "QuorumTypeValue", "ClusterEnforcedAntiAffinity")
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", columns), _read_settings)


def witness_weight(on: str) -> Source[int | None]:
    """The question: does the witness have a vote now? 2012 R2 and later; 2012 refuses a question for the column."""
    return Source(Wql(on, NAMESPACE, "MSCluster_Cluster", ("Name", "WitnessDynamicWeight")), _read_weight)


def witness_resources(on: str) -> Source[tuple[WitnessResource, ...]]:
    """The question: how is the resource of the witness? A disk is the witness if it is one of the cluster's core."""
    columns = ("Name", "Type", "State", "CoreResource")
    witnesses = (Predicate("Type", "in", tuple(_NAMES)),)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", columns, witnesses), _read_resources)


def witness_shares(on: str) -> Source[tuple[str, ...]]:
    r"""The question: on which shares is the file share witness? `\\\\fs01\\witness`, its private property SharePath [doc]."""
    witnesses = (Predicate("Type", "=", _FILE_SHARE),)
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", ("Name", "PrivateProperties"), witnesses), _read_shares)


def judge_witness(
    cluster: str,
    settings: ClusterSettings | Unknown,
    weight: int | Unknown | None,
    resources: Sequence[WitnessResource] | Unknown,
) -> Witness | Unknown:
    """Whether the witness votes now: configured, online, and with a weight where the cluster tells one."""
    if isinstance(settings, Unknown):
        return settings
    wanted = _KINDS.get(settings.quorum, (_CLOUD,))
    if not wanted:
        return NO_WITNESS
    lost = "" if isinstance(resources, Unknown) else _lost(resources, wanted)
    if weight == 0:
        return Witness(votes=False, says=lost or "the witness has no vote now (WitnessDynamicWeight 0)")
    if isinstance(resources, Unknown):
        return resources
    found = [one for one in resources if one.type in wanted]
    if any(one.state == _ONLINE for one in found):
        return Witness(votes=True)
    return Witness(votes=False, says=lost) if lost else _open(cluster, settings.quorum, found)


def _open(cluster: str, quorum: int | None, found: Sequence[WitnessResource]) -> Unknown:
    """Why nobody knows whether a witness votes."""
    if found:
        state = "no state" if found[0].state is None else f"state {found[0].state}"
        return Unknown(cluster, "not whole", f"{found[0].name} tells {state}, so whether the witness votes is open.")
    if quorum in _KINDS:
        return Unknown(cluster, "not whole", "no resource is its witness, so whether a witness votes is open.")
    told = "no QuorumTypeValue" if quorum is None else f"the unlisted QuorumTypeValue {quorum}"
    return Unknown(cluster, "bad reply", f"the cluster tells {told}, so whether a witness votes is open.")


def _lost(resources: Sequence[WitnessResource], wanted: Sequence[str]) -> str:
    """What became of a witness of which every resource is known not to be there; "" otherwise."""
    found = [one for one in resources if one.type in wanted]
    if not found or any(one.state not in _NO_VOTE for one in found):
        return ""
    one = found[0]
    return f"the {_NAMES[one.type]} {_NO_VOTE[one.state or 0]}, so it does not count"


def _read_settings(rows: Rows) -> ClusterSettings:
    """Raises CellError, and ValueError where there is no row."""
    if not rows:
        raise ValueError("the cluster tells nothing of its quorum")
    rule = get_int(rows[0], "ClusterEnforcedAntiAffinity")
    return ClusterSettings(get_int(rows[0], "QuorumTypeValue"), None if rule is None else _ENFORCED.get(rule))


def _read_shares(rows: Rows) -> tuple[str, ...]:
    """Raises ValueError for a witness that does not tell where its share is."""
    return tuple(_share(row) for row in rows)


def _share(row: Row) -> str:
    private = row.get("PrivateProperties")
    named = {name.casefold(): value for name, value in private.items()} if isinstance(private, Mapping) else {}
    path = named.get("sharepath")
    if not isinstance(path, str) or not path.strip("\\ "):
        raise ValueError("the file share witness does not tell its SharePath")
    return path


def _read_weight(rows: Rows) -> int | None:
    """The weight; None where it was not told. Raises CellError."""
    return get_int(rows[0], "WitnessDynamicWeight") if rows else None


def _read_resources(rows: Rows) -> tuple[WitnessResource, ...]:
    """The witness's resources; disks that are none are left out. A row that cannot be read proves none."""
    types = {one.casefold(): one for one in _NAMES}
    found = []
    for row in rows:
        type_ = types.get((readable(get_str, row, "Type") or "").casefold())
        if type_ is None or (type_ == _DISK and not readable(get_bool, row, "CoreResource")):
            continue
        found.append(WitnessResource(readable(get_str, row, "Name") or "", type_, readable(get_int, row, "State")))
    return tuple(found)
