"""A scripted VMM server, `vmm`, of the scripted cluster: its schema, its records, and what the nodes say of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from scripted_cluster import LARGE, Row, Script, changed, node_row

COLUMNS = (
    ("tbl_ADHC_Host", "HostID", "uniqueidentifier"),
    ("tbl_ADHC_Host", "ComputerName", "nvarchar"),
    ("tbl_WLC_VObject", "ObjectId", "uniqueidentifier"),
    ("tbl_WLC_VObject", "ObjectState", "int"),
    ("tbl_WLC_VObject", "Name", "nvarchar"),
    ("tbl_WLC_VObject", "HostId", "uniqueidentifier"),
    ("tbl_WLC_VObject", "CloudId", "uniqueidentifier"),
    ("tbl_WLC_VObject", "FailedJobID", "uniqueidentifier"),
    ("tbl_WLC_VMInstance", "VMInstanceId", "uniqueidentifier"),
    ("tbl_WLC_VMInstance", "VMId", "nvarchar"),
    ("tbl_WLC_VMInstance", "ProtectionUnitId", "uniqueidentifier"),
    ("tbl_WLC_VMInstance", "SecuritySummary", "int"),
    ("tbl_TR_TaskTrail", "TaskID", "uniqueidentifier"),
    ("tbl_TR_TaskTrail", "TaskState", "nvarchar"),
)
# What the schema of a release lacks.
OF_2012_R2 = ("SecuritySummary",)
OF_2012 = (*OF_2012_R2, "ProtectionUnitId")
OF_2008_R2 = (*OF_2012, "CloudId")


def columns(*without: str) -> list[Row]:
    return [
        {"TABLE_NAME": table, "COLUMN_NAME": column, "DATA_TYPE": kind}
        for table, column, kind in COLUMNS
        if column not in without
    ]


def guid(kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind} {name}")).upper()


def record(name: str, host: str, state: int = 0, vm_id: str | None = None, number: int = 0) -> Row:
    """A virtual machine as VMM has it; `number` tells two records of one machine apart."""
    return {
        "ObjectId": guid("object", f"{name} {number}"),
        "Name": name,
        "ObjectState": str(state),
        "HostId": guid("host", host),
        "VMId": guid("vm", name) if vm_id is None else vm_id,
    }


def there(*names: str, state: int = 2) -> list[Row]:
    """Virtual machines as their host has them."""
    return [
        {
            "Name": guid("vm", name).lower(),
            "ElementName": name,
            "EnabledState": str(state),
            "OperationalStatus": "2",
            "HealthState": "5",
        }
        for name in names
    ]


def on(*names: str, more: list[Row] | None = None) -> dict[str, Any]:
    """What a node answers that has these: hv06=on("crm-01")."""
    return {"Msvm_ComputerSystem": [*there(*names), *(more or [])]}


def world(records: list[Row], **over: Mapping[str, Any]) -> Script:
    """A VMM and six nodes, each with one virtual machine `vm-<node>`; keyword arguments replace what a target says."""
    nodes = LARGE.nodes
    script: Script = {
        ("vmm", "vmm columns"): columns(),
        ("vmm", "vmm hosts"): [
            {"HostID": guid("host", node), "ComputerName": f"{node.upper()}.corp.example"} for node in nodes
        ],
        ("vmm", "vmm virtual machines"): [*(record(f"vm-{node}", node) for node in nodes), *records],
        ("vmm", "vmm failed jobs"): [],
        ("vmm", "vmm running jobs"): [],
        ("prod", "MSCluster_Node"): [node_row(node) for node in nodes],
    }
    script |= {(node, "Msvm_ComputerSystem"): there(f"vm-{node}") for node in nodes}
    return changed(script, over)
