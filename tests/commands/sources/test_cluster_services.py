"""Resources of a cluster that stand for services: a cluster may tell tens of thousands."""

import threading
from typing import ClassVar

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from commands.sources.cluster_services import find_cluster_services

SILENT = Unknown("prod", "timed out", "no answer in 20 s.")


class Name(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    times = 0

    def __eq__(self, other):
        Name.times += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


class Kind(str):
    """A type that notes on which threads it is looked at."""

    __slots__ = ()
    threads: ClassVar[set[threading.Thread]] = set()

    def casefold(self):
        Kind.threads.add(threading.current_thread())
        return super().casefold()


class Ask:
    """A cluster that tells its resources and nothing of their properties."""

    def __init__(self, rows):
        self.rows = rows

    async def query(self, source):
        return Known(source.read(self.rows), None, None) if "Name" in source.query.columns else SILENT

    async def query_many(self, sources):
        return dict.fromkeys(sources, SILENT)


async def test_of_thousands_of_resources_none_is_compared_with_all_and_none_looked_at_on_the_loop():
    many = 2_000
    rows = [
        {
            "Name": Name(f"r-{at}"),
            "Id": f"{at}",
            "Type": Kind("Generic Service" if at % 2 else "DHCP Service"),
            "OwnerGroup": f"g-{at}",
            "OwnerNode": "hv03",
        }
        for at in range(many)
    ]
    Name.times = 0
    found = await find_cluster_services(Target("hv03", "host", "prod"), Ask(rows))
    assert (len(found.found), len(found.unread)) == (many // 2, many // 2)
    assert Name.times <= 2 * many
    assert Kind.threads
    assert threading.main_thread() not in Kind.threads
