"""What providers answer to methods.

What the practice world can do is done, over time; what it cannot is refused the way a provider refuses. Who may not change
anything is refused too: a fault from the cluster, ReturnValue 2 from services, 32769 from Hyper-V [doc].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.windows.machine_protocol import Wmi, WmiFailure
from lab.world import cluster_methods, replica_methods, services, servicing
from lab.world.method_call import Call
from lab.world.win32_errors import ACCESS_DENIED, failure
from lab.world.wmi_providers import replica
from lab.world.wmi_providers.cluster_links import NAMESPACE as CLUSTER

NOT_FOUND, INVALID_METHOD, NOT_SUPPORTED = 0x80041002, 0x8004102E, 0x8004100C
HYPER_V_ACCESS_DENIED, HYPER_V_NOT_SUPPORTED = 32769, 32770
SERVICE_NOT_SUPPORTED = 1
PRIVILEGE_NOT_HELD = 0x80041062


@dataclass(frozen=True, slots=True)
class Method:
    """A method that the practice world can carry out. `since`: the release that brought it; `changes`: for operators."""

    act: Callable[[Call], Mapping[str, Wmi]]
    changes: bool = True
    since: str = "2008R2"


_CLUSTER_METHODS: dict[tuple[str, str], Method] = {
    ("mscluster_node", "pause"): Method(cluster_methods.pause),
    ("mscluster_node", "resume"): Method(cluster_methods.resume),
    ("mscluster_node", "willofflinelosequorum"): Method(cluster_methods.would_lose_quorum, changes=False, since="2012"),
    ("mscluster_node", "willevictlosequorum"): Method(cluster_methods.would_lose_quorum, changes=False, since="2012"),
    ("mscluster_resourcegroup", "movetonewnode"): Method(cluster_methods.move_to_new_node),
    ("mscluster_resourcegroup", "canceloperation"): Method(cluster_methods.cancel_operation, since="2012"),
    ("mscluster_resourcegroup", "movetonewnodeparams"): Method(cluster_methods.move_to_new_node_params, since="2012"),
    ("mscluster_resource", "executeresourcecontrol"): Method(cluster_methods.execute_resource_control),
    ("mscluster_resource", "getpossibleowners"): Method(cluster_methods.possible_owners, changes=False),
    ("mscluster_cluster", "getnodeclusterstate"): Method(lambda _call: {"ClusterState": 19}, changes=False),
}


_HYPER_V_METHODS: dict[tuple[str, str], Method] = {
    ("msvm_computersystem", "requeststatechange"): Method(replica_methods.request_state_change),
    ("msvm_computersystem", "requestreplicationstatechange"): Method(replica_methods.request_replication_state),
    ("msvm_shutdowncomponent", "initiateshutdown"): Method(replica_methods.initiate_shutdown),
    ("msvm_replicationservice", "initiatefailover"): Method(replica_methods.initiate_failover),
    ("msvm_replicationservice", "revertfailover"): Method(replica_methods.revert_failover),
    ("msvm_replicationservice", "commitfailover"): Method(replica_methods.commit_failover),
    ("msvm_replicationservice", "reversereplicationrelationship"): Method(replica_methods.reverse),
    ("msvm_replicationservice", "getreplicationstatistics"): Method(replica.statistics, changes=False),
}


def invoke(call: Call, namespace: str, cls: str, method: str) -> Mapping[str, Wmi]:
    """Answer a method call.

    Raises:
        WmiFailure: the provider refuses.
    """
    if namespace.casefold() == CLUSTER.casefold():
        return _in_cluster(call, cls, method)
    if namespace.casefold().startswith("root/virtualization"):
        return _in_hyper_v(call, namespace, cls, method)
    if cls.casefold() == "win32_service":
        return {"ReturnValue": _on_service(call, method.casefold())}
    if (cls.casefold(), method.casefold()) == ("win32_operatingsystem", "reboot"):
        return {"ReturnValue": _restart(call)}
    raise WmiFailure(INVALID_METHOD, "Invalid method ")


def _restart(call: Call) -> int:
    """Win32_OperatingSystem.Reboot takes the privilege to shut down [doc]."""
    if not call.may_change:
        raise WmiFailure(PRIVILEGE_NOT_HELD, "Privilege not held. ")
    call.world.is_asked(call.windows.name, "Win32_OperatingSystem.Reboot")
    servicing.restart(call.world, call.windows)
    return 0


def _in_hyper_v(call: Call, namespace: str, cls: str, name: str) -> Mapping[str, Wmi]:
    is_known = namespace.casefold().endswith("/v2")
    method = _HYPER_V_METHODS.get((cls.casefold(), name.casefold())) if is_known else None
    if not call.may_change and (method is None or method.changes):
        return {"ReturnValue": HYPER_V_ACCESS_DENIED}
    if method is None:
        return {"ReturnValue": HYPER_V_NOT_SUPPORTED}
    if method.changes:
        call.world.is_asked(call.windows.name, f"{cls}.{name}")
    return method.act(call)


def _in_cluster(call: Call, cls: str, name: str) -> Mapping[str, Wmi]:
    method = _CLUSTER_METHODS.get((cls.casefold(), name.casefold()))
    if not call.may_change and (method is None or method.changes):
        raise failure(ACCESS_DENIED)
    if method is None:
        raise WmiFailure(NOT_SUPPORTED, "Not supported ")
    if not call.windows.release.at_least(method.since):
        raise WmiFailure(INVALID_METHOD, "Invalid method ")
    if method.changes:
        call.world.is_asked(call.windows.name, f"{cls}.{name}")
    return method.act(call)


def _on_service(call: Call, method: str) -> int:
    acts = {"stopservice": services.stop, "startservice": services.start}
    service = call.windows.services.get(call.key.casefold())
    if service is None:
        raise WmiFailure(NOT_FOUND, "Not found ")
    if not call.may_change:
        return services.NO_ACCESS
    call.world.is_asked(call.windows.name, f"{service.name}.{method}")
    if method == "changestartmode":
        return services.change_start(service, call.text("StartMode"))
    return acts[method](call.world, call.windows, service) if method in acts else SERVICE_NOT_SUPPORTED
