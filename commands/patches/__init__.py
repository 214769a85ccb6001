"""Updates across the nodes of a cluster.

drift   which updates some nodes have and others lack
"""
