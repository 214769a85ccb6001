"""Does a backup run? A writer that waits is normal while one does, and stuck when none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.facts import Unknown
from commands.formatting import join_names, pluralize
from commands.sources.cluster import Cluster
from commands.sources.guests import Guest


@dataclass(frozen=True, slots=True)
class Backup:
    """What speaks for a running backup on one node.

    Attributes:
        runs: None where a place that would show it did not answer and no other shows one.
        guests: virtual machines of the node that a backup holds (OperationalStatus 32776).
        volumes: cluster shared volumes with a backup in progress, whichever node makes it.
        hint: MSCluster_Cluster.BackupInProgress. It decides nothing: it can be stale.
    """

    runs: bool | None
    guests: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    hint: bool = False

    @property
    def says(self) -> str:
        """In one or two sentences."""
        hint = " BackupInProgress is set, which can be stale." if self.hint and not self.runs else ""
        if self.runs is None:
            return f"Whether a backup runs is not known.{hint}"
        if not self.runs:
            return f"No backup runs.{hint}"
        held = []
        if self.guests:
            held.append(f"{pluralize(len(self.guests), 'guest')} backing up ({join_names(self.guests, 4)})")
        if self.volumes:
            held.append(f"shared volume {join_names(self.volumes, 4)} in backup")
        return f"A backup runs: {'; '.join(held)}."

    @property
    def detail(self) -> str:
        """What goes beside a sentence that says already that none runs; "" where there is nothing more to say."""
        return self.says.removeprefix("No backup runs.").strip().rstrip(".")


def backup_state(guests: Sequence[Guest] | Unknown, cluster: Cluster | None) -> Backup:
    """Judge whether a backup runs that may hold this node's writers."""
    held = () if isinstance(guests, Unknown) else tuple(guest.name for guest in guests if guest.backing_up)
    shared = cluster.volumes if cluster else ()
    volumes = () if isinstance(shared, Unknown) else tuple(volume.name for volume in shared if volume.backing_up)
    hint = cluster.backup_hint is True if cluster else False
    if held or volumes:
        return Backup(runs=True, guests=held, volumes=volumes, hint=hint)
    silent = isinstance(guests, Unknown) or isinstance(shared, Unknown)
    return Backup(runs=None if silent else False, hint=hint)
