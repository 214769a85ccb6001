from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

from lab.windows.machine_protocol import WmiFailure
from lab.windows.query import wql_rows
from lab.world.factory import make
from lab.world.world import World


@pytest.fixture
def world(clock) -> World:
    return make(clock=clock)


class ClusterSeen:
    """A world's prod cluster as an operator of it sees it: through WMI and event logs."""

    namespace = "root/MSCluster"

    def __init__(self, world: World) -> None:
        self.world = world

    def rows(self, machine: str, query: str, namespace: str = namespace):
        return [row.instance for row in wql_rows(self.world.machine(machine), namespace, query)]

    def call(self, cls: str, name: str, method: str, by: str = "hv01", **params):
        machine = self.world.machine(by).acting_for(self.world.accounts["operator"].user)
        return machine.invoke(self.namespace, cls, {"Name": name}, method, params)

    def pause(self, name: str, **params):
        return self.call("MSCluster_Node", name, "Pause", **params)

    def resume(self, name: str, **params):
        return self.call("MSCluster_Node", name, "Resume", **params)

    def node(self, name: str):
        (row,) = self.rows("hv01", f"SELECT * FROM MSCluster_Node WHERE Name='{name}'")
        return row

    def owners(self) -> dict[str, str]:
        found = self.rows("hv01", "SELECT * FROM MSCluster_ResourceGroup WHERE GroupType=111")
        return {row["Name"]: row["OwnerNode"] for row in found}

    def owned(self, name: str) -> set[str]:
        return {group for group, owner in self.owners().items() if owner == name}

    def logged(self, name: str, channel: str, event_id: int):
        query = f"/q:*[System[(EventID={event_id})]]"
        output = self.world.machine(name).run(["wevtutil", "qe", channel, query, "/e:Events"])
        return list(fromstring(output.stdout))

    @staticmethod
    def data(event, name: str) -> str:
        space = "{http://schemas.microsoft.com/win/2004/08/events/event}"
        return event.findtext(f"{space}EventData/{space}Data[@Name='{name}']")

    @staticmethod
    def refused(code: int):
        """Expect the failure that a cluster error is."""
        return pytest.raises(WmiFailure, match=f"0x{0x80070000 | code:08X}")


@pytest.fixture
def cluster(world) -> ClusterSeen:
    return ClusterSeen(world)
