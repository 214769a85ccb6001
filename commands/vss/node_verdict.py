"""One node's verdict: its writers judged beside what else the node and its cluster say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from bot.api.facts import Unknown
from bot.api.report import Sample
from commands.formatting import tell_apart
from commands.sources.backup_state import Backup
from commands.sources.event_log import Event, EventLog
from commands.sources.guests import Guest
from commands.sources.identity import guid
from commands.sources.rules import WriterService
from commands.sources.vss_writers import HYPER_V
from commands.vss.event_8194 import CallbackError, Cause, judge_callbacks
from commands.vss.facts import LOOK_BACK, LogFacts, NodeFacts, WriterFacts
from commands.vss.suspects import ClusterLocks, HostLog, Locks, Suspect, find_suspects, suspects_by_node
from commands.vss.writer_verdict import (
    WriterSample,
    WriterStatus,
    WriterVerdict,
    backup_with_writers,
    judge_writer,
    last_unwell,
    last_well,
    sample,
    samples_of_each,
)

_SKEW = timedelta(minutes=5)  # Kerberos allows the host's clock this much, so the ledger and its log may differ by it
WELL = (WriterStatus.STABLE, WriterStatus.EXPECTED)
TROUBLED = (WriterStatus.STUCK, WriterStatus.LOOKS_STUCK, WriterStatus.FAILED, WriterStatus.ERROR, WriterStatus.ODD)


MOST_SAMPLES = 32  # writers of a host that an answer remembers; Windows and what runs on it bring some forty


@dataclass(frozen=True)
class NodeVerdict:
    """A node, what is known of it, and what that means. Without an answer about its writers there are none.

    Attributes:
        absent: rules of writers that every Windows lists, all other nodes too, and this one does not.
    """

    facts: NodeFacts
    writers: tuple[WriterVerdict, ...]
    backup: Backup
    locks: Locks
    suspects: tuple[Suspect, ...]
    callback: CallbackError | None
    logs_since: datetime
    absent: tuple[WriterService, ...] = ()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.facts.node.name

    @property
    def guests(self) -> int | None:
        """How many virtual machines it has; None where unknown."""
        return None if isinstance(self.facts.guests, Unknown) else len(self.facts.guests)

    @property
    def lacks_hyper_v_writer(self) -> bool:
        """Whether a Hyper-V host lists writers, and not that of Hyper-V. One whose id cannot be read may be it."""
        listed = any(one.writer.is_hyper_v or not guid(one.writer.writer_id) for one in self.writers)
        return bool(self.writers) and self.facts.runs_hyper_v and not listed

    @property
    def is_well(self) -> bool:
        """Whether nothing about it needs saying."""
        return self._is_calm and all(one.verdict in WELL for one in self.writers)

    @property
    def is_probably_well(self) -> bool:
        """Whether all that is missing is the meaning of last errors in an unknown language, and a guess says none."""
        return (
            self._is_calm and not self.is_well and all(one.verdict in WELL or one.writer.guess for one in self.writers)
        )

    @property
    def _is_calm(self) -> bool:
        """Whether nothing but its writers' own states may need saying."""
        calm = self.callback is None or self.callback.cause is Cause.UNCLEAR
        quiet = self.backup.runs or not self.locks.roles
        return bool(self.writers) and not (self.lacks_hyper_v_writer or self.absent) and calm and bool(quiet)

    def has(self, verdict: WriterStatus) -> tuple[WriterVerdict, ...]:
        """Its writers of that verdict, the Hyper-V writer first."""
        found = (one for one in self.writers if one.verdict is verdict)
        return tuple(sorted(found, key=lambda one: (not one.writer.is_hyper_v, one.writer.name.casefold())))

    def shown(self, one: WriterVerdict) -> str:
        """The name of one of its writers; with the beginning of its instance id where it lists another of that name."""
        is_alone = self._times[one.writer.name.casefold()] == 1
        return one.writer.name if is_alone else f"{one.writer.name} ({one.writer.instance_id[:8]})"

    @cached_property
    def _times(self) -> Counter[str]:
        """How often it lists a writer of a name: it may list thousands, of each of which that is asked."""
        return Counter(one.writer.name.casefold() for one in self.writers)

    def samples(self) -> tuple[Sample, ...]:
        """What the next answer will want to know: the Hyper-V writer, writers that are not well or only just are."""
        readable = (one for one in self.writers if not one.writer.unreadable)
        kept = (
            one
            for one in readable
            if one.writer.is_hyper_v or (one.verdict not in WELL and not one.writer.guess) or one.was
        )
        # The Hyper-V writer first: a host can list thousands that have failed, and each answer is kept and read again.
        first = sorted(kept, key=lambda one: not one.writer.is_hyper_v)
        return tuple(sample(self.name, one.writer, self.backup) for one in first[:MOST_SAMPLES])


def judge_nodes(facts: WriterFacts) -> tuple[tuple[NodeVerdict, ...], tuple[NodeVerdict, ...]]:
    """Judge the nodes: first those that answered about their writers, then those that did not.

    Of the latter the cluster and the other logs may still know something.
    """
    every: tuple[NodeFacts | LogFacts, ...] = (*facts.nodes, *facts.beside)
    guests = {one.node.name: _known(one.guests) for one in every}
    logs = {one.node.name: HostLog(one.node.build, _known_events(one.vmms)) for one in every}
    samples = {one.node.name: _samples(one) for one in facts.nodes}
    since = {name: _job_began(samples.get(name, ()), facts.now) for name in logs}
    suspects = suspects_by_node(find_suspects(logs, guests, since))
    locks = ClusterLocks(facts.cluster)
    shown = tell_apart((guest.vm_id, guest.name) for own in guests.values() for guest in own)
    judged = [
        _judge(
            one,
            facts,
            suspects.get(one.node.name, ()),
            since[one.node.name],
            locks.on(one.node.name, one.guests, shown),
        )
        for one in facts.nodes
    ]
    return (
        tuple(node for node in judged if not isinstance(node.facts.writers, Unknown)),
        tuple(node for node in judged if isinstance(node.facts.writers, Unknown)),
    )


def _judge(
    one: NodeFacts, facts: WriterFacts, suspects: tuple[Suspect, ...], since: datetime, locks: Locks
) -> NodeVerdict:
    listed = () if isinstance(one.writers, Unknown) else one.writers
    samples = _samples(one)
    guests = () if not one.runs_hyper_v else one.guests
    backup = backup_with_writers(
        one.node.name,
        guests,
        facts.cluster,
        copies=one.copies,
        products=facts.products,
        writers=listed,
        samples=samples,
        now=facts.now,
    )
    each = zip(listed, samples_of_each(listed, samples), strict=True)
    writers = tuple(judge_writer(writer, backup, own, facts.now, one.node.build) for writer, own in each)
    return NodeVerdict(
        facts=one,
        writers=writers,
        backup=backup,
        locks=locks,
        suspects=suspects,
        callback=_callback(one, writers),
        logs_since=since,
    )


def _callback(one: NodeFacts, writers: Sequence[WriterVerdict]) -> CallbackError | None:
    """What its events 8194 mean, which only its writers can tell."""
    if isinstance(one.writers, Unknown):
        return None
    well: bool | None = all(judged.verdict not in TROUBLED for judged in writers)
    if well and any(judged.verdict is WriterStatus.UNREAD for judged in writers):
        well = None
    return judge_callbacks(_known_events(one.callbacks), writers_are_well=well, unwell_at=last_unwell(_samples(one)))


def _job_began(samples: Sequence[WriterSample], now: datetime) -> datetime:
    """When the job can have begun at the earliest: after the Hyper-V writer was last well, or a day ago."""
    earliest = now - LOOK_BACK
    well = last_well(HYPER_V, samples)
    return max(earliest, well - _SKEW) if well else earliest


def _samples(one: NodeFacts) -> tuple[WriterSample, ...]:
    return () if isinstance(one.samples, Unknown) else one.samples


def _known(guests: tuple[Guest, ...] | Unknown) -> tuple[Guest, ...]:
    return () if isinstance(guests, Unknown) else guests


def _known_events(log: EventLog | Unknown) -> tuple[Event, ...]:
    return () if isinstance(log, Unknown) else log.events
