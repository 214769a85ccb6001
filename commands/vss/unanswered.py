"""Who did not answer `/check-writers`, and what is unknown because of it: one line per node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.api.facts import Unknown
from commands.formatting import join_names
from commands.sources.cluster import Cluster, Group, Resource
from commands.sources.event_log import guest_event_ids
from commands.vss.evidence import format_event_ids, missing_events
from commands.vss.facts import LOOK_BACK, LogFacts, NodeFacts, WriterFacts
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import WriterStatus


def silences(facts: WriterFacts, nodes: Sequence[NodeVerdict]) -> tuple[Unknown, ...]:
    """The cluster's gaps, then the nodes'."""
    return (*_cluster(facts), *_nodes(facts.nodes), *_unread(nodes), *_beside(facts.beside), *_cut(facts))


def _cluster(facts: WriterFacts) -> Iterator[Unknown]:
    if facts.unfound:
        yield facts.unfound
    cluster = facts.cluster
    if cluster is None or facts.unfound:
        return
    parts = {
        "locked roles": cluster.groups,
        "locked resources": cluster.resources,
        "backups of shared volumes": cluster.volumes,
        "states of nodes": facts.states,
        "the backup hint": cluster.backup_hint,
    }
    old = not isinstance(cluster.nodes, Unknown) and any(node.is_2008 for node in cluster.nodes)
    silent = {what: one for what, one in parts.items() if isinstance(one, Unknown)}
    if old:  # a note says that 2008 R2 has no such thing; that is no missing answer
        silent = {what: one for what, one in silent.items() if one.kind not in ("absent", "refused")}
    if silent:
        yield _together(cluster.name, silent)
    yield from _rows(facts, cluster)


def _rows(facts: WriterFacts, cluster: Cluster) -> Iterator[Unknown]:
    """What single roles and volumes do not tell; of roles only those that the nodes in question own, or may own."""
    groups = () if isinstance(cluster.groups, Unknown) else cluster.groups
    resources = () if isinstance(cluster.resources, Unknown) else cluster.resources
    every: tuple[Group | Resource, ...] = (*groups, *resources)
    owners = {"", *(one.node.name.casefold() for one in facts.nodes)}
    locks = [one.shown for one in every if one.locked is None and one.owner.casefold() in owners]
    volumes = () if isinstance(cluster.volumes, Unknown) else cluster.volumes
    backups = [one.shown for one in volumes if one.backing_up is None]
    parts = {"is locked": locks, "is in backup": backups}
    says = [
        f"Whether {join_names(list(dict.fromkeys(names)), 4)} {what} cannot be read."
        for what, names in parts.items()
        if names
    ]
    if says:
        yield Unknown(cluster.name, "bad reply", " ".join(says), "In Failover Cluster Manager.")


def _nodes(nodes: Sequence[NodeFacts]) -> Iterator[Unknown]:
    for one in nodes:
        if isinstance(one.writers, Unknown):
            yield _silent(one, one.writers)
            continue
        parts = {
            "guests": one.guests if one.runs_hyper_v else (),
            f"events {_guest_events(one)}": one.vmms if one.runs_hyper_v else (),
            "events 1137 and 1071": one.clustering,
            "events 8194": one.callbacks,
            "shadow copies": one.copies,
            "snapshot volumes": () if isinstance(one.copies, Unknown) else one.snapshots,
            "earlier answers": one.samples,
        }
        silent = {what: part for what, part in parts.items() if isinstance(part, Unknown)}
        if silent:
            yield _together(one.node.name, silent)


def _silent(one: NodeFacts, why: Unknown) -> Unknown:
    says = f"{why.why} The cluster calls it down." if one.node.down else f"{why.why} Not counted as healthy."
    return Unknown(one.node.name, why.kind, says, why.remedy)


def _unread(nodes: Sequence[NodeVerdict]) -> Iterator[Unknown]:
    for node in nodes:
        every = node.has(WriterStatus.UNREAD)
        for one in (one for one in every if one.writer.unreadable):
            says = f"{node.shown(one)} {one.writer.says}, and this cannot be relied on: {one.writer.unreadable}."
            yield Unknown(node.name, "not understood", says, "Read it on the host: vssadmin list writers.")
        found = [one for one in every if not one.writer.unreadable and not one.writer.guess]
        if found:
            texts = join_names(dict.fromkeys(f"“{one.writer.error_text}”" for one in found), 3)
            says = f"The last error of {join_names([node.shown(one) for one in found], 3)} is {texts}, in a language not known here."
            yield Unknown(node.name, "not understood", says, "Read it on the host.")


def _beside(beside: Sequence[LogFacts]) -> Iterator[Unknown]:
    for one in beside:
        if isinstance(one.vmms, Unknown):
            says = f"{one.vmms.why} Guests that its log names are not known."
            yield Unknown(one.node.name, one.vmms.kind, says, one.vmms.remedy)


def _cut(facts: WriterFacts) -> Iterator[Unknown]:
    """Logs of events about guests that did not come whole: an older one may name the guest."""
    every: tuple[NodeFacts | LogFacts, ...] = (*facts.nodes, *facts.beside)
    for one in every:
        if isinstance(one.vmms, Unknown):
            continue
        if gap := missing_events(one.vmms, facts.now - LOOK_BACK, facts.now):
            says = f"Events {_guest_events(one)}: {gap} Guests that others of them name are not known."
            yield Unknown(one.node.name, "not whole", says)


def _guest_events(one: NodeFacts | LogFacts) -> str:
    return format_event_ids(guest_event_ids(one.node.build), "and")


def _together(on: str, silent: dict[str, Unknown]) -> Unknown:
    """Several gaps of one target in one line; the first reason stands for all."""
    first = next(iter(silent.values()))
    return Unknown(on, first.kind, f"{join_names(silent)} not known: {first.why}", first.remedy)
