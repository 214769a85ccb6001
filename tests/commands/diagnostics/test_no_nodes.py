"""A cluster that names no node is unknown to every command: never well."""

import pytest

from bot.api.arguments import Target
from commands.diagnostics import check_host_access, check_writers, find_full_guests, verify_kb_drift


@pytest.mark.parametrize("command", [check_host_access, check_writers, find_full_guests, verify_kb_drift])
async def test_a_cluster_without_nodes_is_unknown(scripted, make, command):
    ask = scripted(make.cluster() | {("prod", "MSCluster_Node"): []})
    args = command.Args(Target("prod", "cluster", "prod"))
    report = command.COMMAND.evaluate(args, await command.COMMAND.collect(args, ask))
    assert [(one.target, one.kind) for one in report.unanswered] == [("prod", "bad reply")]
    assert not report.fine
    assert not report.has_findings
