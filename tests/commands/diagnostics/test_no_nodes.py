"""A cluster that names no node is unknown to every diagnostic: never well."""

import importlib
import pkgutil

import pytest

import commands.diagnostics
from bot.api.arguments import Target
from bot.dispatch.registry import parameters

EVERY = [
    importlib.import_module(f"commands.diagnostics.{one.name}")
    for one in pkgutil.iter_modules(commands.diagnostics.__path__)
]


def takes_a_cluster(command) -> bool:
    return any("cluster" in one.targets for one in parameters(command.Args))


@pytest.mark.parametrize("command", [one for one in EVERY if takes_a_cluster(one)], ids=lambda one: one.__name__)
async def test_a_cluster_without_nodes_is_unknown(scripted, make, command):
    ask = scripted(make.cluster() | {("prod", "MSCluster_Node"): []})
    args = command.Args(Target("prod", "cluster", "prod"))
    report = command.COMMAND.evaluate(args, await command.COMMAND.collect(args, ask))
    assert [(one.target, one.kind) for one in report.unanswered] == [("prod", "bad reply")]
    assert not report.fine
    assert not report.has_findings
