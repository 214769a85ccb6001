"""Cluster-Aware Updating: whether a run of it works on a cluster.

A run drains, updates and restarts one node after another, so nobody else should. While one works there is an instance of
MSFT_CAURun; at most one per node, and the provider removes a forgotten one after an hour [doc: MSFT_CAURun, since 2012].
On which of the nodes it stands is not said, so every node that is up is asked.
"""

from __future__ import annotations

from bot.vocabulary.questions import Wql
from bot.vocabulary.rows import Rows

_NAMESPACE, _CLASS = "root/Microsoft/Windows/ClusterUpdate", "MSFT_CAURun"


def ask_updating(node: str) -> Wql:
    """The question: does this node tell of a run?"""
    return Wql(node, _NAMESPACE, _CLASS, ("OrchestratorGuid",))


def read_updating(rows: Rows) -> bool:
    """Whether one works: its instance is there."""
    return bool(rows)
