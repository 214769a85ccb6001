"""Five hundred guests: private properties of a resource take 19 ms on a real cluster, so the rows asked are counted."""

from __future__ import annotations

import pytest
from scripted_cluster import Guest, ScriptedCluster

from bot.api.arguments import Target
from bot.api.queries import Wql
from bot.tickets.conditions import matches
from commands.diagnostics.check_writers import COMMAND as CHECK_WRITERS
from commands.remediations.drain_node import COMMAND as DRAIN_NODE
from commands.remediations.reset_writer import COMMAND as RESET_WRITER
from commands.remediations.resume_node import COMMAND as RESUME_NODE

NODES = ("hv01", "hv02", "hv03", "hv04", "hv05")
EACH = 100
MANY = ScriptedCluster(
    {
        node: tuple(Guest(f"vm-{at}", at, f"role-{at}") for at in range(first * EACH, (first + 1) * EACH))
        for first, node in enumerate(NODES)
    }
)
HYPER_V = "Microsoft Hyper-V VSS Writer"


def rows(locked):
    """Two resources for each guest; the machine's has the lock."""
    machines = [row | {"Type": "Virtual Machine"} for row in MANY.resource_rows(locked=locked)]
    configurations = [
        row | {"Type": "Virtual Machine Configuration", "Name": f"{row['Name']} c", "Id": f"{row['Id']}c"}
        for row in MANY.resource_rows()
    ]
    return [*machines, *configurations]


def answers(locked):
    script = MANY.resettable(
        locked=locked,
        prod={"MSCluster_Resource": rows(locked)},
        hv03={"Win32_Service": [{"Name": "vmms", "State": "Running", "ProcessId": "4"}]},
    )
    script["*", "Win32_DependentService"] = []
    return script


def asked_with_private_properties(ask, every):
    """The rows that a cluster would have had to read them of."""
    return sum(
        sum(matches(row, question.where) for row in every)
        for question in ask.asked
        if isinstance(question, Wql)
        and question.cls == "MSCluster_Resource"
        and ("PrivateProperties" in question.columns or not question.columns)
    )


COMMANDS = {
    "check-writers": (CHECK_WRITERS, Target("prod", "cluster", "prod")),
    "reset-writer": (RESET_WRITER, Target("hv03", "host", "prod")),
    "drain-node": (DRAIN_NODE, Target("hv03", "host", "prod")),
    "resume-node": (RESUME_NODE, Target("hv03", "host", "prod")),
}


@pytest.mark.parametrize(
    ("command", "locked", "most"),
    [
        ("check-writers", (), 0),
        ("check-writers", ("vm-200", "vm-201"), 2),
        ("resume-node", ("vm-200",), 0),
        ("drain-node", (), EACH),
        ("reset-writer", (), EACH),
        ("reset-writer", ("vm-0", "vm-200"), EACH + 3),
    ],
)
async def test_private_properties_are_asked_of_few_of_500_guests(scripted, command, locked, most):
    asked, target = COMMANDS[command]
    ask = scripted(answers(locked))
    await asked.collect(asked.args(target), ask)
    assert asked_with_private_properties(ask, rows(locked)) == most
