"""Virtual disks on SCSI controllers of guests, on hosts of 2008 R2 (root/virtualization).

A disk names its drive as parent, a drive its controller; its file is in Connection [src]. Whether a .vhd expands is not in
these settings; a .avhd is a differencing disk, which always grows [doc].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.api.queries import Predicate, Wql
from bot.api.rows import CellError, Row, Rows, get_str, get_strs, readable
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.identity import guid

DISK_TYPES = _CONTROLLER, _DRIVE, _IMAGE = (
    "Microsoft Synthetic SCSI Controller",
    "Microsoft Synthetic Disk Drive",
    "Microsoft Virtual Hard Disk",
)
_GROWING = (".avhd", ".avhdx")


@dataclass(frozen=True, slots=True)
class ScsiDisks:
    """The virtual hard disks on SCSI controllers of one guest, by file; "" for one whose file was not told."""

    files: tuple[str, ...] = ()

    @property
    def growing(self) -> int:
        """How many are known to grow: differencing disks. Of the others nothing tells."""
        return sum(file.casefold().endswith(_GROWING) for file in self.files)


def scsi_disks(node: Node) -> Source[Mapping[str, ScsiDisks]]:
    """The question: which guests of a 2008 R2 node have disks on SCSI controllers? By VM id, of all guests in one answer."""
    columns = ("InstanceID", "ResourceSubType", "Parent", "Connection")
    kinds = (Predicate("ResourceSubType", "in", DISK_TYPES),)
    return Source(
        Wql(node.name, "root/virtualization", "Msvm_ResourceAllocationSettingData", columns, kinds), _read_disks
    )


def _read_disks(rows: Rows) -> Mapping[str, ScsiDisks]:
    """By VM id. Raises CellError as `on_scsi`."""
    files = {_instance(get_str(row, "InstanceID")): readable(get_strs, row, "Connection") or () for row in rows}
    found: dict[str, list[str]] = {}
    for disk in on_scsi(rows):
        if vm_id := machine_of(disk):
            found.setdefault(vm_id, []).append(next(iter(files[disk]), ""))
    return {vm_id: ScsiDisks(tuple(sorted(own))) for vm_id, own in found.items()}


def on_scsi(rows: Rows) -> tuple[str, ...]:
    """The ids of disks on SCSI controllers. Raises CellError for what does not tell its id or kind, or of whom it is a part.

    A disk names its drive as parent, a drive its controller; the ids inside of those paths decide [src].
    """
    kinds, parents = dict[str, str](), dict[str, str]()
    for row in rows:
        instance, kind = (_told(row, column) for column in ("InstanceID", "ResourceSubType"))
        key = _instance(instance)
        # Hyper-V's own defaults are of no machine, and have no parent.
        is_part = kind != _CONTROLLER and machine_of(key)
        kinds[key], parents[key] = kind, _instance(_told(row, "Parent") if is_part else get_str(row, "Parent"))
    drives = {drive for drive, parent in parents.items() if kinds.get(parent) == _CONTROLLER}
    return tuple(disk for disk, kind in kinds.items() if kind == _IMAGE and parents[disk] in drives)


def _told(row: Row, column: str) -> str:
    if told := get_str(row, column):
        return told
    raise CellError(column, row.get(column))


def machine_of(instance: str) -> str:
    """Whose setting it is, by its id; "" for Hyper-V's own defaults."""
    return guid(instance.removeprefix("MICROSOFT:").partition("\\")[0])


def _instance(path: str) -> str:
    """The InstanceID out of a WMI path, where backslashes are doubled, or out of a plain column."""
    tail = path.rpartition('InstanceID="')[2]
    return tail.rstrip('"').replace("\\\\", "\\").upper()
