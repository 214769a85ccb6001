"""Writers compared across the nodes of a cluster, as updates are: one that all nodes but one list is missing there.

Only among nodes of one Windows, and of lists that were read whole. It is a note and never a fault: a writer is there only
while its service runs, and several start on demand [doc in-box-vss-writers].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from commands.formatting import join_names, pluralize
from commands.sources.identity import guid
from commands.sources.vss_writers import HYPER_V, Writer
from commands.vss.node_verdict import NodeVerdict

_Key = tuple[str, str]


def missing_writers(nodes: Sequence[NodeVerdict]) -> Iterator[str]:
    """Sentences, one per node that lacks what all others of its Windows list.

    Several instances of one writer count once: a replica or another instance of an application is no second writer.
    """
    by_build: dict[int, list[NodeVerdict]] = {}
    for node in nodes:
        if node.facts.node.build is not None and _is_whole(node):
            by_build.setdefault(node.facts.node.build, []).append(node)
    for alike in by_build.values():
        if len(alike) > 1:
            yield from _missing(alike)


def _is_whole(node: NodeVerdict) -> bool:
    return bool(node.writers) and all(guid(one.writer.writer_id) and not one.writer.unreadable for one in node.writers)


def _missing(alike: Sequence[NodeVerdict]) -> Iterator[str]:
    listed = {node.name: _listed(node, alike) for node in alike}
    for node in alike:
        others = [listed[other.name] for other in alike if other is not node]
        names = {key: name for key, name in others[0].items() if all(key in other for other in others)}
        gone = sorted(
            (name for key, name in names.items() if key not in listed[node.name] and key[0] != HYPER_V),
            key=str.casefold,
        )
        if gone:
            peers = "the other node" if len(others) == 1 else f"the {len(others)} other nodes"
            yield (
                f"{node.name} does not list {pluralize(len(gone), 'writer')} that {peers} of its Windows"
                f" {'lists' if len(others) == 1 else 'list'}: {join_names(gone, 6)}. Its service may not run there."
            )


def _listed(node: NodeVerdict, alike: Sequence[NodeVerdict]) -> dict[_Key, str]:
    """The writers of a node by id; by name too where some node lists several names under the id (Exchange's two)."""
    names: dict[str, set[str]] = {}
    for other in alike:
        mine: dict[str, set[str]] = {}
        for one in other.writers:
            mine.setdefault(one.writer.writer_id, set()).add(one.writer.name)
        for key, found in mine.items():
            if len(found) > 1:
                names.setdefault(key, set()).update(found)
    return {_key(one.writer, names): one.writer.name for one in node.writers}


def _key(writer: Writer, shared: dict[str, set[str]]) -> _Key:
    return writer.writer_id, writer.name if writer.writer_id in shared else ""
