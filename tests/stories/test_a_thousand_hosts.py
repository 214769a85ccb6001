"""The estate that measurements are made with: a thousand hosts, drawn by the same code, asked by the same bot."""

from datetime import UTC, datetime

from bot.api.facts import Unknown, values_of
from bot.api.queries import Wql
from bot.api.sources import Source
from bot.config.inventory_file import InventoryFile
from bot.config.settings import Limits
from bot.dispatch.query_session import QuerySession
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from lab.windows import BackgroundServer
from lab.world.factory import make


async def test_all_of_a_thousand_hosts_are_accounted_for():
    world = make(hosts=1_000)
    nodes = [node for cluster in world.clusters.values() for node in cluster.nodes]
    world.trouble("farm07n07", "hang", on=True)
    world.trouble("farm13n13", "html", on=True)
    reader = world.accounts["reader"]
    progress = []
    with BackgroundServer({node.address: world.machines[node.address] for node in nodes}) as up:
        reach = TargetClient(Router(_estate(world, up), {"reader": Credentials("ntlm", reader.user, reader.password)}))
        limits = Limits(per_host_seconds=15, overall_seconds=300)
        look = QuerySession(reach, lambda _: [], datetime.now(UTC), limits, progress.append)
        try:
            questions = {n.name: Wql(n.name, "root/cimv2", "Win32_OperatingSystem", ("CSName",)) for n in nodes}
            answers = values_of(
                await look.query_many(
                    {
                        key: Source(question, lambda rows: str(rows[0]["CSName"]).casefold())
                        for key, question in questions.items()
                    }
                )
            )
        finally:
            reach.close()
    silent = {name: one.kind for name, one in answers.items() if isinstance(one, Unknown)}
    assert silent == {"farm07n07": "timed out", "farm13n13": "bad reply"}
    assert all(answers[name] == name for name in questions if name not in silent)
    assert len(look.evidence) == len(questions) == 1_000
    assert (progress[-1].done, progress[-1].total) == (1_000, 1_000)


def _estate(world, up) -> InventoryFile:
    clusters = {
        name: {"domain": cluster.domain, "entry_hosts": [node.name for node in cluster.nodes]}
        for name, cluster in world.clusters.items()
    }
    endpoints = {node.name: up.url(node.address) for cluster in world.clusters.values() for node in cluster.nodes}
    return InventoryFile.model_validate({"clusters": clusters, "endpoints": endpoints})
