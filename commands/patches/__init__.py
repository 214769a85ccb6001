"""Updates across the nodes of a cluster.

drift     which updates some nodes have and others lack
levels    build and revision: which nodes compare, and which are behind
reboots   whether a flag that asks for a restart is younger than the last start
"""
