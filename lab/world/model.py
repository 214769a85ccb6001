"""What there is in a practice estate. Plain values that change over time; nothing here knows WMI or a wire."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from lab.world.os_releases import Release

KIB, MIB, GIB = 1024, 1024**2, 1024**3

HOST_MEMORY = 8 * GIB  # what a node keeps for itself

VolumeKind = Literal["basic", "system reserved", "efi", "recovery", "cd"]
Reserved = Literal["behind", "first", "none"]
WriterError = Literal["none", "retryable", "unexpected", "timed out", "inconsistent", "non-retryable"]
GuestState = Literal["running", "off", "saved", "paused"]

_NAMESPACE = uuid.UUID("6a0f1b36-5f0e-5d0c-9d7e-0b9d0c5a41e7")


@lru_cache(maxsize=65_536)
def identity(*parts: str) -> str:
    """A GUID, lower case and bare, that is always the same for the same parts."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(slots=True)
class Volume:
    """A volume of a Windows. Sizes in bytes; `mount` is a folder, for a volume without a letter."""

    guid: str
    capacity: int
    free: int
    letter: str = ""  # "C"
    label: str = ""
    file_system: str = "NTFS"
    kind: VolumeKind = "basic"
    mount: str = ""
    disk: int = 0

    @property
    def name(self) -> str:
        """The way people name it: the letter, else the folder it is mounted on, else its label."""
        return f"{self.letter}:" if self.letter else self.mount or self.label


@dataclass(frozen=True, slots=True)
class Update:
    """An update as Component Based Servicing lists it."""

    kb: str  # "KB2616676"
    installed: datetime
    description: str = "Security Update"


@dataclass(frozen=True, slots=True)
class StagedPackage:
    """An update that somebody has put on a machine as a file. `revision`: the third number of its version."""

    kb: str
    revision: int = 1
    description: str = "Security Update"


@dataclass(slots=True)
class Writer:
    """A VSS writer. `state` is the VSS_WRITER_STATE number that vssadmin prints in brackets."""

    name: str
    id: str
    instance: str
    state: int = 1
    error: WriterError = "none"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a log.

    `data` are the named values of EventData, or the elements of VmlEventLog when `hyper_v`; a name may be empty.
    `level`: 1 critical, 2 error, 3 warning, 4 information.
    """

    log: str
    provider: str
    id: int
    level: int
    at: datetime
    data: tuple[tuple[str, str], ...] = ()
    message: str = ""
    record: int = 0
    hyper_v: bool = False
    custom: bool = False  # written by eventcreate, for a source that no installed program owns


@dataclass(slots=True)
class Service:
    """A Windows service; `state` and `start` in the words of Win32_Service."""

    name: str
    display: str
    path: str
    state: str = "Running"
    start: str = "Auto"
    account: str = "LocalSystem"
    pid: int = 0
    stoppable: bool = True  # whether it accepts the stop control at all
    needed_by: tuple[str, ...] = ()  # services that depend on it
    hangs: bool = False  # once told to stop, it stays at Stop Pending


@dataclass(frozen=True, slots=True)
class ShadowCopy:
    """A snapshot that is mounted on a node: the extra LUN that disk management shows during a hardware backup."""

    id: str
    set_id: str
    volume: str  # device id of the original volume
    created: datetime
    label: str
    capacity: int
    free: int


@dataclass(frozen=True, slots=True)
class ShadowStorage:
    """Where the shadow copies of a volume lie; bytes. Windows keeps none for a volume that never had a copy."""

    volume: str  # drive letter
    allocated: int
    used: int
    limit: int = 2**64 - 1  # UNBOUNDED


@dataclass(slots=True, kw_only=True)
class Windows:
    """What every Windows of the estate has, on metal or in a guest."""

    name: str
    domain: str
    address: str
    release: Release
    booted: datetime
    clock_ahead: timedelta = timedelta()  # of the true time; negative where its clock is behind
    language: str = "en-US"
    bios_guid: str = ""
    memory: int = 4 * GIB
    processors: int = 2
    volumes: list[Volume] = field(default_factory=list)
    reserved: Reserved = "behind"  # where the reserved partition of a GPT boot disk stands, against the EFI partition
    dynamic_disks: frozenset[int] = frozenset()  # numbers of those that the Logical Disk Manager keeps
    updates: list[Update] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)  # lower-case name -> service
    writers: list[Writer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    shadows: list[ShadowCopy] = field(default_factory=list)
    shadow_storage: list[ShadowStorage] = field(default_factory=list)
    reboot_wanted_by: set[Literal["cbs", "update", "rename"]] = field(default_factory=set)
    package_states: dict[str, str] = field(default_factory=dict)  # update -> state of its package, where not Installed
    # Update -> third number of its version, where not 1.
    package_revisions: dict[str, int] = field(default_factory=dict)
    staged: dict[str, StagedPackage] = field(default_factory=dict)  # path -> the update that somebody has put there
    kept_out: dict[str, str] = field(default_factory=dict)  # update -> the one that keeps it out while installed
    permanent: set[str] = field(default_factory=set)  # updates that cannot be removed
    servicing_fails: dict[str, int] = field(default_factory=dict)  # update -> the error that dism ends with
    attack_surface_blocks: bool = False  # a rule lets nobody change packages
    silent_about_restarts: bool = False  # dism ends with 0 although a restart is pending
    keeps_reboot_flag: bool = False  # the key RebootPending outlives every restart
    stays_down: bool = False  # once restarted, it does not come up until somebody starts it
    update_policy: dict[str, int] = field(default_factory=dict)  # values of Windows Update's policy
    # File of Windows -> version, where it is not that of the release.
    files: dict[str, str] = field(default_factory=dict)
    text_files: dict[str, str] = field(default_factory=dict)  # path -> content, as people wrote it
    records: dict[str, int] = field(default_factory=dict)  # log -> number of its latest record
    # Audit subcategory -> 1 success + 2 failure; see lab.world.audit_policy.
    audit: dict[str, int] = field(default_factory=dict)

    @property
    def fqdn(self) -> str:
        """The DNS name."""
        return f"{self.name}.{self.domain}"

    def service(self, name: str) -> Service:
        """The service of that name; KeyError where there is none."""
        return self.services[name.casefold()]

    def writer(self, name: str) -> Writer:
        """The writer of that name; StopIteration where there is none."""
        return next(writer for writer in self.writers if writer.name == name)

    def volume(self, letter: str) -> Volume:
        """The volume with that drive letter; StopIteration where there is none."""
        return next(volume for volume in self.volumes if volume.letter == letter)


@dataclass(eq=False, frozen=True, slots=True)
class Move:
    """A guest on its way to another node. `ended` is told the Win32 error it ended with, 0 for none."""

    target: Node
    kind: Literal["live", "quick", "offline"]  # quick: saved, moved, restored; offline: it does not run anyway
    ended: Callable[[int], None]
    began: datetime | None = None
    error: int = 0  # an HRESULT with which it will fail at the end


@dataclass(eq=False, slots=True)
class HyperVJob:
    """A job of Hyper-V. `state`: 4 running, 7 completed, 10 exception [doc: CIM_ConcreteJob.JobState]."""

    id: str
    started: datetime
    state: int = 4
    percent: int = 0


@dataclass(eq=False, slots=True)
class Replication:
    """What one end of a Hyper-V Replica relationship knows. States and healths are Msvm_ReplicationRelationship's numbers.

    Attributes:
        mode: 1 primary, 2 replica, 4 extended replica.
        primary, recovery: DNS names of the hosts.
        last: when the last cycle ended; None where none ever did.
        latency: seconds, summed over the cycles of the monitoring period; `size`: bytes, likewise.
        tested: the last test failover, which only the recovery server knows; None for never.
        failed_over: FailedOverReplicationType: 0 none, 1 regular, 3 planned.
        extended: state and health of the relationship to a third host; None where there is none.
    """

    mode: int
    primary: str
    recovery: str
    interval: int = 300
    state: int = 3
    health: int = 1
    last: datetime | None = None
    cycles: int = 144
    latency: int = 144 * 21
    size: int = 144 * 48 * MIB
    missed: int = 0
    pending: int = 0
    tested: datetime | None = None
    failed_over: int = 0
    extended: tuple[int, int] | None = None


@dataclass(slots=True, kw_only=True)
class Guest(Windows):
    """A virtual machine. A Linux guest has a release of the Linux family and no Windows services."""

    vm_id: str
    node: Node
    shared_volume: SharedVolume
    group: str  # the cluster group's name; not always the guest's
    resource: str = ""  # the name of its resource; "": as VMM or the cluster names one
    state: GuestState = "running"
    generation: int = 1
    locked: bool = False  # cluster resource and group in locked mode
    backing_up: bool = False
    reports_address: bool = True  # KVP carries FQDN and addresses
    last_backup: datetime | None = None
    created: datetime | None = None
    priority: int = 2000  # of its group: 3000 high, 2000 medium, 1000 low, 0 no automatic start
    fails_back: bool = False  # AutoFailbackType of its group
    possible_owners: frozenset[str] | None = None  # names of nodes; None: all
    move: Move | None = None  # under way
    drained_from: Node | None = None  # where failback would bring it
    queued: bool = False  # its role waits for a move
    pending: bool = False  # its role hangs in the state Pending
    move_type: int = 0xFFFFFFFF  # DefaultMoveType of its resource: 4 live, 1 quick; this one leaves it to the priority
    migration_memory: tuple[int, int] = (0, 0)  # MigrationState and MigrationFailureReason between two migrations
    migration_errors: list[int] = field(default_factory=list)  # HRESULTs of its next live migrations; 0: it succeeds
    stops_on_arrival: list[int] = field(default_factory=list)  # of its next live migrations: bugcheck there; 0: none
    disc: str = ""  # the file in its DVD drive
    checkpointed: set[int] = field(default_factory=set)  # numbers of disks that have a checkpoint: theirs is an .avhd
    tpm: bool = False  # whether it has a virtual TPM
    replication: Replication | None = None
    ignores_shutdown: bool = False  # a program in it keeps its Windows from shutting down
    configuration: str = ""  # version of its configuration; "": what its host writes
    integration: str = ""  # version of its integration services; "": what its host expects, or its own Windows'
    components_off: set[str] = field(default_factory=set)  # switched off in its settings: "kvp", "vss", "heartbeat"
    # OperationalStatus where it is otherwise.
    component_status: dict[str, tuple[int, ...]] = field(default_factory=dict)
    kvp_first: tuple[str, ...] = ()  # data exchange items that come before the others
    physical_disks: tuple[str, ...] = ()  # paths of the host's disks that it has as its own
    assigned_devices: tuple[str, ...] = ()  # paths of the host's devices that it has as its own


@dataclass(slots=True, kw_only=True)
class Node(Windows):
    """A Hyper-V host, of a cluster or alone. `state` and `drain` are MSCluster_Node's numbers."""

    cluster: Cluster
    id: int
    state: int = 0  # 0 up, 1 down, 2 paused
    state_before_restart: int = 0
    drain: int = 0  # 0 not initiated, 1 in progress, 2 completed, 3 failed
    drain_target: str = ""
    draining: object | None = None  # what the drain under way knows; see lab.world.drain
    expected_integration: dict[str, str] = field(default_factory=dict)  # values of GuestInstaller that are otherwise
    browsing: Literal["works", "fails", "toggled"] = "works"  # remote file browsing; see lab.world.audit_policy
    firmware_version: str = "2.17.0"  # SMBIOSBIOSVersion
    jobs: list[HyperVJob] = field(default_factory=list)

    @property
    def guests(self) -> list[Guest]:
        """The guests that this node owns."""
        return [guest for guest in self.cluster.guests if guest.node is self]

    @property
    def free_memory(self) -> int:
        """Bytes that neither the host, nor its running guests, nor those on their way here need."""
        running = sum(guest.memory for guest in self.guests if guest.state in {"running", "paused"})
        coming = sum(guest.memory for guest in self.cluster.guests if guest.move and guest.move.target is self)
        return self.memory - HOST_MEMORY - running - coming


@dataclass(slots=True)
class SharedVolume:
    """A Cluster Shared Volume. Sizes in MB, as MSCluster_DiskPartition counts."""

    name: str  # "Volume1"
    resource: str  # "Cluster Disk 1"
    guid: str
    owner: Node
    size_mb: int
    free_mb: int
    fault: int = 0
    backing_up: bool = False

    @property
    def path(self) -> str:
        """The folder under which every node sees it."""
        return f"C:\\ClusterStorage\\{self.name}"


@dataclass(slots=True)
class Cluster:
    """A failover cluster and all that runs on it."""

    name: str
    domain: str
    nodes: list[Node] = field(default_factory=list)
    evicted: list[Node] = field(default_factory=list)  # were nodes; they still stand in people's inventory
    guests: list[Guest] = field(default_factory=list)
    shared_volumes: list[SharedVolume] = field(default_factory=list)
    backup_in_progress: bool = False
    updating_from: Node | None = None  # the node on which the run of Cluster-Aware Updating under way has its object
    starts_migrations: bool = True  # whether resources take the control code that starts a live migration
    move_type_threshold: int = 2000  # groups of lower priority are moved by quick migration when a node is drained

    @property
    def fqdn(self) -> str:
        """The DNS name of the cluster name object."""
        return f"{self.name}.{self.domain}"


JobState = Literal["pending", "queued", "waiting", "running", "suspended", "completed", "killed"]


@dataclass(slots=True)
class BackupJob:
    """A job of the backup product that saves all guests of one node. `reason`: why it waits; `client`: its name there."""

    id: int
    node: Node
    state: JobState = "pending"
    reason: str = ""
    started: datetime | None = None
    changed: datetime | None = None  # when its state last changed
    client: str = ""  # the node's name, where the product knows it by another one
