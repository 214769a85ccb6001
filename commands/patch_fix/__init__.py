"""Bringing the nodes of a cluster to one set of updates: remove, add and add again, node by node.

rules     which set of updates is meant
needs     what a node needs, by its own list of packages
facts     what is asked before a plan is made
gates     what must be so before a node is emptied and its packages are touched
steps     the steps of one node
by_hand   the same where hvops cannot do it: through WSUS, by people, looked at afterwards
"""
