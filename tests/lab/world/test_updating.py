"""A run of Cluster-Aware Updating is seen on the node that its coordinator chose, and nowhere else."""

NAMESPACE = "root/Microsoft/Windows/ClusterUpdate"
QUERY = "SELECT OrchestratorGuid FROM MSFT_CAURun"


def test_no_run_is_no_instance(cluster):
    assert cluster.rows("hv01", QUERY, NAMESPACE) == []


def test_a_run_stands_on_one_node(cluster):
    node = cluster.world.node("hv02")
    node.cluster.updating_from = node
    (run,) = cluster.rows("hv02", QUERY, NAMESPACE)
    assert len(run["OrchestratorGuid"]) == 36
    assert cluster.rows("hv01", QUERY, NAMESPACE) == []


def test_a_guest_has_no_such_namespace(cluster):
    assert NAMESPACE in cluster.world.machine("hv01").namespaces()
    assert NAMESPACE not in cluster.world.machine("test-tfs-01").namespaces()
