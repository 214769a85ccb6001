"""A scripted cluster whose guests may move live, and tickets that have proved a way of moving them."""

from __future__ import annotations

from bot.api.arguments import ClusterTargets, Target

PROD = ClusterTargets((Target("prod", "cluster", "prod", backup=()),))
PRIVATE = {"VmState": "2", "MigrationState": "0", "MigrationFailureReason": "0", "DefaultMoveType": "4294967295"}


def script(make, private=None, resource=None, role=None, **over):
    """The small cluster, with what its resources and roles tell of a migration."""
    answers = make.cluster(**over) | {("prod", "Parameters"): [{"VmID": None}]}
    for row in answers["prod", "MSCluster_Resource"]:
        if row.get("Type") == "Virtual Machine" and row.get("PrivateProperties"):
            row["State"] = "2"
            row["PrivateProperties"] = {**row["PrivateProperties"], **PRIVATE, **(private or {})}
            row.update(resource or {})
    for row in answers["prod", "MSCluster_ResourceGroup"]:
        row.update({"State": "0", "Priority": "2000"} | (role or {}))
    return answers


def ticket(
    number, ending="done", line="/prove-migration crm-01", changed=("control-there", "control-back"), begun=None
):
    return {
        "ticket": f"T-{number}",
        "target": "crm-01",
        "line": line,
        "ending": ending,
        "ended": f"2026-11-0{number}T10:00:00.000Z",
        "changed": changed,
        "begun": changed if begun is None else begun,
    }
