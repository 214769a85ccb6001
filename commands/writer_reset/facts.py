"""Everything that is asked before a writer is reset: its writers, its cluster, its guests' space, and the backup product."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from commands.drain.facts import DrainFacts, find_drain_facts
from commands.formatting import join_names
from commands.guest_space import facts as space_facts
from commands.sources.backup_state import find_strangers
from commands.sources.cluster_services import ClusterServices, find_cluster_services
from commands.sources.commvault import ON, BackupJob, active_jobs, jobs_of, why_unplaced
from commands.vss import facts as writer_facts
from commands.vss.node_verdict import NodeVerdict, judge_nodes


@dataclass(frozen=True, slots=True)
class ResetFacts:
    """What was found out.

    Attributes:
        writers: of the node, and what its logs say.
        drain: None for a host that stands alone.
        space: of the node's guests.
        jobs: of the backup product that have not ended; unanswered with the kind "absent" where none is set up.
        clustered: the resources of the cluster that stand for services.
        strangers: as of `BackupProducts`.
    """

    writers: writer_facts.WriterFacts
    drain: DrainFacts | None
    space: space_facts.GuestSpaceFacts
    jobs: tuple[BackupJob, ...] | Unknown
    clustered: ClusterServices | Unknown
    strangers: frozenset[str] = frozenset()

    @property
    def node(self) -> NodeVerdict | None:
        """The node with its writers judged; None where it did not tell of them."""
        return next(iter(judge_nodes(self.writers)[0]), None)

    @property
    def silence(self) -> Unknown | None:
        """Why the writers are not known."""
        found = (one.writers for one in self.writers.nodes)
        return next((one for one in found if isinstance(one, Unknown)), self.writers.unfound)

    def own_jobs(self, target: Target) -> tuple[BackupJob, ...] | Unknown:
        """The jobs that save this node, its cluster, or a guest that runs on it.

        None at all only where its guests are known, and it is known of every job which machine it saves.
        """
        if isinstance(self.jobs, Unknown):
            return self.jobs
        return self._by_name(target) or self._unseen(target) or ()

    def unplaced_jobs(self, target: Target) -> tuple[BackupJob, ...]:
        """The jobs of which nobody knows which machine they save: none is named, or none that is known here."""
        if isinstance(self.jobs, Unknown):
            return ()
        own = frozenset(self._by_name(target))
        return tuple(
            job
            for job in self.jobs
            if not job.has_ended and job not in own and (not job.client or job.client in self.strangers)
        )

    def _by_name(self, target: Target) -> tuple[BackupJob, ...]:
        guests = [hosted.guest.name for hosted in self.space.guests]
        jobs = () if isinstance(self.jobs, Unknown) else self.jobs
        return jobs_of({target.name, target.cluster, *guests} - {""}, jobs)

    def _unseen(self, target: Target) -> Unknown | None:
        """Why there may be a job of theirs among those that are not theirs by name."""
        silent = (one.guests for one in self.writers.nodes if one.runs_hyper_v)
        if unknown := next((one for one in silent if isinstance(one, Unknown)), None):
            return replace(unknown, why=f"its guests are not known: {unknown.why}")
        unplaced = self.unplaced_jobs(target)
        if not unplaced:
            return None
        return Unknown(ON, "not whole", join_names([why_unplaced(job) for job in unplaced], 4) + ".")


async def find_reset_facts(target: Target, ask: QueryClient) -> ResetFacts:
    """Ask everything at once: as many rounds as the guests' volumes take."""
    writers, drain, space, jobs, clustered = await asyncio.gather(
        writer_facts.find_writer_facts(target, ask),
        _drain(target, ask),
        space_facts.find_guest_space(target, ask),
        ask.query(active_jobs()),
        find_cluster_services(target, ask),
    )
    told = value_of(jobs)
    if isinstance(told, Unknown) and told.kind == "absent" and target.backup == ():
        told = ()  # no product backs it up, so there is none whose jobs could be missing
    found = ResetFacts(writers, drain, space, told, clustered)
    return replace(found, strangers=await find_strangers(target, found.jobs, ask))


async def _drain(target: Target, ask: QueryClient) -> DrainFacts | None:
    return await find_drain_facts(target, ask) if target.cluster else None
