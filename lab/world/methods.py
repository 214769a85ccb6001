"""What providers answer to methods.

Only the harmless ones do something. Everything that would change the world is refused the way its provider refuses an
account without the right: a fault from the cluster, ReturnValue 32769 from Hyper-V, 2 from services [doc].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.windows.machine import Wmi, WmiFailure
from lab.world.model import Node, Windows
from lab.world.views.cluster import NAMESPACE as CLUSTER

NOT_FOUND, INVALID_METHOD, ACCESS_DENIED = 0x80041002, 0x8004102E, 0x80070005
HYPER_V_ACCESS_DENIED, SERVICE_NO_ACCESS = 32769, 2

Method = Callable[[Windows, Mapping[str, str]], Mapping[str, Wmi]]


def _node(windows: Windows, keys: Mapping[str, str]) -> Node:
    wanted = {name.casefold(): value for name, value in keys.items()}.get("name", "")
    assert isinstance(windows, Node)
    for node in windows.cluster.nodes:
        if node.name.casefold() == wanted.casefold():
            return node
    raise WmiFailure(NOT_FOUND, "Not found ")


def _would_lose_quorum(windows: Windows, keys: Mapping[str, str]) -> Mapping[str, Wmi]:
    """Whether the cluster loses quorum without that node: nodes and a disk witness, one vote each."""
    leaving = _node(windows, keys)
    up = [node for node in leaving.cluster.nodes if node.state != 1 and node is not leaving]
    votes = len(leaving.cluster.nodes) + 1
    return {"ReturnValue": len(up) + 1 <= votes // 2}


_METHODS: dict[tuple[str, str], Method] = {
    ("mscluster_node", "willofflinelosequorum"): _would_lose_quorum,
    ("mscluster_node", "willevictlosequorum"): _would_lose_quorum,
    ("mscluster_cluster", "getnodeclusterstate"): lambda _windows, _keys: {"ClusterState": 19},
}


def invoke(windows: Windows, namespace: str, cls: str, keys: Mapping[str, str], method: str) -> Mapping[str, Wmi]:
    """Answer a method call.

    Raises:
        WmiFailure: the provider refuses.
    """
    known = _METHODS.get((cls.casefold(), method.casefold()))
    if known is not None and namespace.casefold() == CLUSTER.casefold():
        return known(windows, keys)
    if namespace.casefold().startswith("root/virtualization"):
        return {"ReturnValue": HYPER_V_ACCESS_DENIED}
    if cls.casefold() == "win32_service":
        return {"ReturnValue": SERVICE_NO_ACCESS}
    if namespace.casefold() == CLUSTER.casefold():
        raise WmiFailure(ACCESS_DENIED, "Access is denied. ")
    raise WmiFailure(INVALID_METHOD, "Invalid method ")
