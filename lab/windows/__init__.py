"""A WS-Management server as Windows runs it: authentication, WMI, command shells, quotas and faults.

It knows nothing of clusters or guests: it serves whatever `machine.Machine` it is given.
"""
