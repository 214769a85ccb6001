"""Diagnostics are asked of the large cluster: six nodes, eleven guests each."""

import pytest
from scripted_cluster import LARGE


@pytest.fixture
def make():
    return LARGE
