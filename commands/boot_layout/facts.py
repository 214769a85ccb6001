"""Ask hosts how they start. What one host does not answer stays unknown of that host alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.facts import Guess, Known, Unknown, value_of
from bot.api.query_client import QueryClient
from commands.sources.boot_disks import Disk, Partition, PartitionWord, boot_disks, disk_partitions, partition_words
from commands.sources.cluster import BUILD_2012, cluster_nodes
from commands.sources.firmware import (
    Firmware,
    FirmwareVersion,
    Model,
    WindowsFolder,
    firmware_at_setup,
    firmware_type,
    firmware_version,
    machine_model,
    windows_folder,
)


@dataclass(frozen=True, slots=True)
class HostBoot:
    """What one host told of how it starts.

    Attributes:
        windows: its build decides what a missing firmware value means.
        firmware: None where this Windows keeps no such value.
        at_setup: where there is no value: what setup's own log says of the day of installation, with its own word; a
            guess about today, or why there is none.
        disks: of the storage provider, without dynamic ones.
        words: of the older provider; only asked where the storage provider shows no disk that Windows runs from.
    """

    windows: WindowsFolder | Unknown
    firmware: Firmware | Unknown | None
    version: FirmwareVersion | Unknown
    model: Model | Unknown
    disks: tuple[Disk, ...] | Unknown
    partitions: tuple[Partition, ...] | Unknown
    at_setup: Guess[Firmware] | Unknown | None = None
    words: tuple[PartitionWord, ...] | Unknown | None = None

    @property
    def is_2008(self) -> bool:
        """Whether it is known to be older than Windows Server 2012."""
        build = None if isinstance(self.windows, Unknown) else self.windows.build
        return build is not None and build < BUILD_2012

    @property
    def is_silent(self) -> bool:
        """Whether it answered nothing that matters."""
        return all(isinstance(one, Unknown) for one in (self.windows, self.firmware, self.disks, self.partitions))


@dataclass(frozen=True, slots=True)
class BootFacts:
    """Each host, in the order of the cluster; where the cluster named none, why."""

    hosts: Mapping[str, HostBoot]
    unlisted: Unknown | None = None


async def find_boot_facts(target: Target, ask: QueryClient) -> BootFacts:
    """Ask a host, or every node of a cluster at once."""
    names: Sequence[str] = (target.name,)
    if target.kind == "cluster":
        nodes = await ask.query(cluster_nodes(target.name))
        if isinstance(nodes, Unknown):
            return BootFacts({}, nodes)
        names = [node.name for node in nodes.value]
    found = await asyncio.gather(*(find_host_boot(name, ask) for name in names))
    return BootFacts(dict(zip(names, found, strict=True)))


async def find_host_boot(on: str, ask: QueryClient) -> HostBoot:
    """Ask one host: all at once, then what its answers make necessary."""
    windows, firmware, version, model, disks, partitions = await asyncio.gather(
        ask.query(windows_folder(on)),
        ask.query(firmware_type(on)),
        ask.query(firmware_version(on)),
        ask.query(machine_model(on)),
        ask.query(boot_disks(on)),
        ask.query(disk_partitions(on)),
    )
    found = HostBoot(
        value_of(windows),
        value_of(firmware),
        value_of(version),
        value_of(model),
        value_of(disks),
        value_of(partitions),
    )
    if found.is_silent:
        return found
    at_setup, words = await asyncio.gather(_at_setup(on, found, ask), _words(on, found, ask))
    return HostBoot(
        found.windows, found.firmware, found.version, found.model, found.disks, found.partitions, at_setup, words
    )


async def _at_setup(on: str, found: HostBoot, ask: QueryClient) -> Guess[Firmware] | Unknown | None:
    """What setup's log says, where nothing else does."""
    if found.firmware is not None or isinstance(found.windows, Unknown) or not found.windows.folder:
        return None
    told = await ask.query(firmware_at_setup(on, found.windows.folder))
    if not isinstance(told, Known):
        return told
    firmware, word = told.value
    return Guess(firmware, f"setup's own log names the firmware {word} at installation")


async def _words(on: str, found: HostBoot, ask: QueryClient) -> tuple[PartitionWord, ...] | Unknown | None:
    """What the older provider lists, where the storage provider does not show what Windows runs from."""
    if isinstance(found.disks, Unknown) or any(one.has_windows for one in found.disks):
        return None
    return value_of(await ask.query(partition_words(on)))
