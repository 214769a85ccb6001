"""Virtual disks on SCSI controllers of guests, on hosts of 2008 R2 (root/virtualization).

A disk names its drive as parent, a drive its controller; its file is in Connection [src]. Whether a .vhd expands is not in
these settings; a .avhd is a differencing disk, which always grows [doc].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.api.queries import Predicate, Wql
from bot.api.rows import Rows, get_str, get_strs, readable
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.identity import guid

_CONTROLLER, _DRIVE, _IMAGE = (
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
    kinds = (Predicate("ResourceSubType", "in", (_CONTROLLER, _DRIVE, _IMAGE)),)
    return Source(
        Wql(node.name, "root/virtualization", "Msvm_ResourceAllocationSettingData", columns, kinds), _read_disks
    )


def _read_disks(rows: Rows) -> Mapping[str, ScsiDisks]:
    """By VM id. Raises CellError for a column that is no text."""
    kinds = {_instance(get_str(row, "InstanceID")): get_str(row, "ResourceSubType") for row in rows}
    parents = {_instance(get_str(row, "InstanceID")): _instance(get_str(row, "Parent")) for row in rows}
    files = {_instance(get_str(row, "InstanceID")): readable(get_strs, row, "Connection") or () for row in rows}
    found: dict[str, list[str]] = {}
    for disk, kind in kinds.items():
        controller = parents.get(parents.get(disk, ""), "")
        vm_id = guid(disk.removeprefix("MICROSOFT:").partition("\\")[0])
        if vm_id and kind == _IMAGE and kinds.get(controller) == _CONTROLLER:
            found.setdefault(vm_id, []).append(next(iter(files[disk]), ""))
    return {vm_id: ScsiDisks(tuple(sorted(own))) for vm_id, own in found.items()}


def _instance(path: str) -> str:
    """The InstanceID out of a WMI path, where backslashes are doubled, or out of a plain column."""
    tail = path.rpartition('InstanceID="')[2]
    return tail.rstrip('"').replace("\\\\", "\\").upper()
