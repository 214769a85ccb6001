"""root/Microsoft/Windows/ClusterUpdate: the run of Cluster-Aware Updating, while one works on the cluster.

MSFT_CAURun is there as long as an Update Coordinator updates the cluster, at most one per node [doc].
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance
from lab.world.class_availability import instance
from lab.world.model import identity
from lab.world.wmi_providers import Scene, View
from lab.world.wmi_providers.cluster_links import cluster_of

NAMESPACE = "root/Microsoft/Windows/ClusterUpdate"


def runs(scene: Scene) -> Iterator[Instance]:
    """MSFT_CAURun: on the node where the coordinator put it."""
    cluster = cluster_of(scene)
    if cluster.updating_from is scene.windows:
        orchestrator = identity(cluster.fqdn, "orchestrator")
        yield instance("MSFT_CAURun", scene.windows.release, OrchestratorGuid=orchestrator)


VIEWS: dict[str, View] = {"MSFT_CAURun": runs}
