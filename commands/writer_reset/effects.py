"""What must be so before a service that VSS writers live in is stopped: one list of gates, for a reset and for a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.api.facts import Unknown
from commands.drain import gates
from commands.drain.effects import Effect
from commands.drain.facts import DrainFacts
from commands.sources.backup_state import Backup, no_backup
from commands.sources.commvault import BackupJob
from commands.writer_reset.gates import no_backup_job


@dataclass(frozen=True, slots=True)
class StopFacts:
    """What is known of the node whose service stops.

    Attributes:
        host: as it was asked for.
        drain: the node and its guests.
        jobs: the backup jobs that lean on it.
        now: when it was asked.
        unplaced: jobs of which nobody knows which machine they save.
    """

    host: str
    drain: DrainFacts
    jobs: tuple[BackupJob, ...] | Unknown
    now: datetime
    unplaced: tuple[BackupJob, ...] = ()


HYPER_V_STOPS: Effect[StopFacts] = Effect(
    "Hyper-V's management stops on a node",
    {
        "node's state": lambda of: (
            gates.node_is_empty(
                of.drain.node,
                of.drain.state,
                of.drain.cluster.groups if isinstance(of.drain.cluster.groups, Unknown) else of.drain.roles,
                of.drain.guests,
            ),
        ),
        "locks": lambda of: (gates.no_locks(of.drain.node, of.drain.guests, of.drain.cluster),),
        "backup": lambda of: (no_backup(of.drain.node, of.drain.backup),),
        "backup jobs": lambda of: (no_backup_job(of.host, of.jobs, of.now, of.unplaced),),
        "updating": lambda of: (gates.no_cluster_aware_updating(of.drain.cluster.name, of.drain.updating),),
        "VMM jobs": lambda of: gates.vmm_jobs_end(of.drain.vmm_jobs),
    },
)


@dataclass(frozen=True, slots=True)
class WriterStopFacts:
    """What is known of a host where a service with writers stops.

    Attributes:
        host: as it was asked for.
        backup: whether one runs there, its writers asked too.
        jobs: the backup jobs that lean on the host.
        now: when it was asked.
        unplaced: jobs of which nobody knows which machine they save.
    """

    host: str
    backup: Backup
    jobs: tuple[BackupJob, ...] | Unknown
    now: datetime
    unplaced: tuple[BackupJob, ...] = ()


WRITERS_STOP: Effect[WriterStopFacts] = Effect(
    "a service with VSS writers stops",
    {
        "backup": lambda of: (no_backup(of.host, of.backup, on_shared_volumes=False),),
        "backup jobs": lambda of: (no_backup_job(of.host, of.jobs, of.now, of.unplaced),),
    },
)
