"""Everything that is asked before a writer is reset: its writers, its cluster, its guests' space, and the backup product."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from commands.drain.facts import DrainFacts, find_drain_facts
from commands.guest_space import facts as space_facts
from commands.sources.cluster_services import ClusterServices, find_cluster_services
from commands.sources.commvault import ON, BackupJob, active_jobs, jobs_of
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
    """

    writers: writer_facts.WriterFacts
    drain: DrainFacts | None
    space: space_facts.GuestSpaceFacts
    jobs: tuple[BackupJob, ...] | Unknown
    clustered: ClusterServices | Unknown

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

        None at all only where its guests are known, and every job says which machine it saves.
        """
        if isinstance(self.jobs, Unknown):
            return self.jobs
        guests = [hosted.guest.name for hosted in self.space.guests]
        own = jobs_of({target.name, target.cluster, *guests} - {""}, self.jobs)
        return own or self._unseen() or own

    def _unseen(self) -> Unknown | None:
        """Why there may be a job of theirs among those that are not theirs by name."""
        silent = (one.guests for one in self.writers.nodes if one.runs_hyper_v)
        if unknown := next((one for one in silent if isinstance(one, Unknown)), None):
            return replace(unknown, why=f"its guests are not known: {unknown.why}")
        if isinstance(self.jobs, Unknown):
            return self.jobs
        nobodys = [job for job in self.jobs if not job.client and not job.has_ended]
        if not nobodys:
            return None
        return Unknown(ON, "not whole", f"job {nobodys[0].number} does not say which machine it saves.")


async def find_reset_facts(target: Target, ask: QueryClient) -> ResetFacts:
    """Ask everything at once: as many rounds as the guests' volumes take."""
    writers, drain, space, jobs, clustered = await asyncio.gather(
        writer_facts.find_writer_facts(target, ask),
        _drain(target, ask),
        space_facts.find_guest_space(target, ask),
        ask.query(active_jobs()),
        find_cluster_services(target, ask),
    )
    return ResetFacts(writers, drain, space, value_of(jobs), clustered)


async def _drain(target: Target, ask: QueryClient) -> DrainFacts | None:
    return await find_drain_facts(target, ask) if target.cluster else None
