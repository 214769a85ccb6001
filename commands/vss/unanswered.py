"""Who did not answer `/check-writers`, and what is unknown because of it: one line per node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.api.query_client import QueryFailure
from commands.formatting import join_names
from commands.vss.facts import LogFacts, NodeFacts, WriterFacts
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import WriterStatus


def silences(facts: WriterFacts, nodes: Sequence[NodeVerdict]) -> tuple[QueryFailure, ...]:
    """The cluster's gaps, then the nodes'."""
    return (*_cluster(facts), *_nodes(facts.nodes), *_unread(nodes), *_beside(facts.beside))


def _cluster(facts: WriterFacts) -> Iterator[QueryFailure]:
    if facts.unfound:
        yield facts.unfound
    cluster = facts.cluster
    if cluster is None or facts.unfound:
        return
    parts = {
        "locked roles": cluster.groups,
        "locked resources": cluster.resources,
        "backups of shared volumes": cluster.volumes,
        "the backup hint": cluster.backup_hint,
    }
    old = not isinstance(cluster.nodes, QueryFailure) and any(node.is_2008 for node in cluster.nodes)
    silent = {what: one for what, one in parts.items() if isinstance(one, QueryFailure)}
    if old:  # a note says that 2008 R2 has no such thing; that is no missing answer
        silent = {what: one for what, one in silent.items() if one.kind not in ("absent", "refused")}
    if silent:
        yield _together(cluster.name, silent)


def _nodes(nodes: Sequence[NodeFacts]) -> Iterator[QueryFailure]:
    for one in nodes:
        if isinstance(one.writers, QueryFailure):
            yield _silent(one, one.writers)
            continue
        parts = {
            "guests": one.guests if one.runs_hyper_v else (),
            "events 10102": one.vmms if one.runs_hyper_v else (),
            "events 1137 and 1071": one.clustering,
            "events 8194": one.callbacks,
            "snapshot volumes": one.snapshots,
            "earlier answers": one.samples,
        }
        silent = {what: part for what, part in parts.items() if isinstance(part, QueryFailure)}
        if silent:
            yield _together(one.node.name, silent)


def _silent(one: NodeFacts, why: QueryFailure) -> QueryFailure:
    says = f"{why.message} The cluster calls it down." if one.node.down else f"{why.message} Not counted as healthy."
    return QueryFailure(one.node.name, why.kind, says, why.hint)


def _unread(nodes: Sequence[NodeVerdict]) -> Iterator[QueryFailure]:
    for node in nodes:
        found = node.has(WriterStatus.UNREAD)
        if found:
            texts = join_names(dict.fromkeys(f"“{one.writer.error_text}”" for one in found), 3)
            says = f"The last error of {join_names([one.writer.name for one in found], 3)} is {texts}, in a language not known here."
            yield QueryFailure(node.name, "not understood", says, "Read it on the host.")


def _beside(beside: Sequence[LogFacts]) -> Iterator[QueryFailure]:
    for one in beside:
        if isinstance(one.vmms, QueryFailure):
            says = f"{one.vmms.message} Guests that its log names are not known."
            yield QueryFailure(one.node.name, one.vmms.kind, says, one.vmms.hint)


def _together(on: str, silent: dict[str, QueryFailure]) -> QueryFailure:
    """Several gaps of one target in one line; the first reason stands for all."""
    first = next(iter(silent.values()))
    return QueryFailure(on, first.kind, f"{join_names(silent)} not known: {first.message}", first.hint)
