"""What must be so before a service is restarted: nothing may lean on its writer, and no cluster may own it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from commands.formatting import format_time, join_names
from commands.sources.cluster_services import ClusterServices, is_sql_engine, names_of
from commands.sources.commvault import BackupJob, jobs_in_words, which_machine
from commands.sources.rules import folded_names, service_of
from commands.sources.vss_writers import Error, no_error_text
from commands.vss.node_verdict import NodeVerdict
from commands.vss.writer_verdict import APART, WriterStatus, WriterVerdict


def no_backup_job(
    target: str, own: Sequence[BackupJob] | Unknown, now: datetime, unplaced: Sequence[BackupJob] = ()
) -> Gate:
    """Where there is no backup product to ask this only warns: locks and mounted volumes are then all there is.

    Args:
        target: the host.
        own: its jobs, or why they are not known.
        now: the time of the answer.
        unplaced: jobs of which nobody knows which machine they save.
    """
    says = GateText(
        f"No backup job of {target}, its cluster or its guests is pending",
        f"A backup job of {target}, its cluster or its guests is active",
        f"It is not known whether a backup job of {target}, its cluster or its guests is pending",
    )
    if isinstance(own, Unknown):
        open_ = tuple(map(which_machine, unplaced)) or (
            OpenQuestion(
                f"backup jobs of {target}", own.why, own.remedy or "See in the backup product whether one runs."
            ),
        )
        told = f"not known: {own.why.rstrip('.')}"
        return Gate.of(says, GateOutcome.NOT_KNOWN, told, blocks=own.kind != "absent", unknowns=open_)
    return Gate.of(says, GateOutcome.of(not own), jobs_in_words(own, now) or "none among its active jobs")


def readable(node: NodeVerdict) -> Gate:
    """Whether the check afterwards can tell "no error" in the host's own words; else the state's number is all it has."""
    says = GateText(
        f"The language of VSS error texts on {node.name} is known",
        f"The language of VSS error texts on {node.name} is not known",
        f"The language of VSS error texts on {node.name} is not known",
    )
    words = no_error_text([one.writer for one in node.writers])
    if words:
        return Gate.of(says, GateOutcome.PASSED, f"“{words}”", guards="worth")
    texts = dict.fromkeys(one.writer.error_text for one in node.writers if one.writer.error is Error.UNREAD)
    return Gate.of(
        says,
        GateOutcome.NOT_KNOWN,
        "not one known here",
        guards="worth",
        unknowns=(
            OpenQuestion(
                f"what {node.name} prints for “No error”",
                f"it prints {join_names([f'“{text}”' for text in texts], 3) or 'nothing'}, in a language not known here.",
                f"Read on {node.name} what vssadmin list writers prints for a healthy writer. Afterwards only its"
                " state [1] in a new instance is checked.",
            ),
        ),
    )


def curable(node: NodeVerdict, one: WriterVerdict) -> tuple[Gate, ...]:
    """Whether a restart can help against the error of a failed writer at all; none where it has not failed."""
    if one.verdict is not WriterStatus.FAILED:
        return ()
    name, text = one.writer.name, one.writer.error_text
    says = GateText(
        f"{name} has not failed over what the backup job selects",
        f"{name} failed because of what the backup job selects; a restart does not help",
        f"It is not known whether {name} failed because of what the backup job selects",
    )
    if one.writer.error is Error.UNREAD:
        missing = OpenQuestion(
            f"what the last error of {name} on {node.name} means",
            f"“{text}” is in a language not known here." if text else "it prints none.",
            "If it means that the shadow copy is inconsistent, the job leaves out a volume, and no restart helps.",
        )
        return (Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: “{text}”", guards="worth", unknowns=(missing,)),)
    found = Gate.of(says, GateOutcome.of(not one.writer.needs_other_job), f"“{one.writer.error}”", guards="worth")
    return (found, _comes_back(node, one)) if one.writer.fails_again else (found,)


def _comes_back(node: NodeVerdict, one: WriterVerdict) -> Gate:
    """A restart of the service does no harm, clears the state, and cures nothing: people decide, and only are told."""
    rule = service_of(one.writer.writer_id, one.writer.name, folded_names(other.writer.name for other in node.writers))
    log = rule.log if rule and rule.log else f"the Application log of {node.name}"
    return Gate.of(
        GateText(
            f"The error of {one.writer.name} is one that a restart fixes",
            f"A restart does not fix the error of {one.writer.name}",
            f"It is not known whether a restart fixes the error of {one.writer.name}",
        ),
        GateOutcome.BLOCKED,
        f"“{one.writer.error}”: a restart clears the state only, and the next backup may fail the same way. Find the cause first: see {log}",
        blocks=False,
        guards="worth",
    )


def gate_stuck_twice(one: WriterVerdict, now: datetime) -> tuple[Gate, ...]:
    """A writer that waits may only be slow. One sample too few is a matter of time: people can decide meanwhile."""
    says = GateText(
        f"{one.writer.name} is stuck: two readings, at least {APART.seconds // 60} minutes apart, found the same instance waiting",
        f"{one.writer.name} is not shown to be stuck yet: two readings, at least {APART.seconds // 60} minutes apart, have to find the same instance waiting",
        f"It is not known whether {one.writer.name} is stuck",
    )
    if one.verdict is WriterStatus.STUCK or (
        one.verdict is WriterStatus.LOOKS_STUCK and one.seen and now - one.seen[0] >= APART
    ):
        measured = f"first seen {format_time(one.seen[0], now)}"
        return (Gate.of(says, outcome=GateOutcome.PASSED, measured=measured, guards="worth"),)
    if one.verdict is not WriterStatus.LOOKS_STUCK:
        return ()
    first = one.seen[0] if one.seen else now
    ripe = first + APART
    measured = f"first seen {format_time(first, now)}; a second reading is due at {ripe:%H:%M:%S} UTC"
    return (Gate.of(says, GateOutcome.BLOCKED, measured, passes_at=ripe.isoformat(), guards="worth"),)


def owned_by_cluster(
    on: str, names: Sequence[str], clustered: ClusterServices | Unknown, running: Sequence[str] = ()
) -> str:
    """Why a service is not stopped on its host: the cluster owns it. "" where none is known to be owned.

    Args:
        on: the host.
        names: the service, and what would be stopped with it.
        clustered: the resources of the cluster that stand for services.
        running: all services that are not stopped: an availability group does not say which instance has it.
    """
    if isinstance(clustered, Unknown):
        return ""
    owners, groups_here = clustered.owners(), clustered.groups_on(on)
    engines = {one.casefold() for one in running if is_sql_engine(one)}
    for name in names:
        lead = "" if name == names[0] else f"{name} depends on it, and "
        if owner := owners.get(name.casefold()):
            where = f", on {owner.owner} now" if owner.owner else ""
            return (
                f"{lead}{name} is a resource of {clustered.cluster}: “{owner.name}” of the role “{owner.role}”{where}."
                " If it is stopped outside the cluster, the cluster treats it as failed and restarts it or moves the role. Take the"
                " resource offline and online in the cluster (Failover Cluster Manager, or Stop-ClusterResource and"
                " Start-ClusterResource), or move its role."
            )
        groups = groups_here if is_sql_engine(name) else ()
        if groups and engines == {name.casefold()}:
            return (
                f"{lead}{name} holds {join_names(names_of(groups), 4)} of {clustered.cluster}, an availability group. Fail"
                " it over to another replica first (ALTER AVAILABILITY GROUP … FAILOVER there)."
            )
    return ""


def not_clustered(on: str, names: Sequence[str], clustered: ClusterServices | Unknown) -> Gate:
    """Whether it is known that the cluster owns none of these services; one that it owns is refused before."""
    says = GateText(
        f"No cluster owns {join_names(names, 40)} on {on}",
        f"A cluster owns {join_names(names, 40)} on {on}",
        f"It is not known whether a cluster owns {join_names(names, 40)} on {on}",
    )
    if isinstance(clustered, Unknown):
        missing = OpenQuestion(
            f"which services of {on} its cluster owns",
            clustered.why,
            clustered.remedy or "See in Failover Cluster Manager whether a cluster resource represents it.",
        )
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {clustered.why.rstrip('.')}", unknowns=(missing,))
    groups = clustered.groups_on(on) if any(map(is_sql_engine, names)) else ()
    silent = names_of([*clustered.possibly_owning(names), *groups])
    if not silent:
        return Gate.of(says, GateOutcome.PASSED, "no cluster resource represents it")
    missing = OpenQuestion(
        f"which service {join_names(silent, 4)} of {clustered.cluster} represents",
        "the resource did not report it.",
        "Read it in Failover Cluster Manager, in the properties of the resource.",
    )
    told = f"not known: {join_names(silent, 4)} of {clustered.cluster} may represent it"
    return Gate.of(says, GateOutcome.NOT_KNOWN, told, unknowns=(missing,))
