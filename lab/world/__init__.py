"""The practice estate: clusters, nodes and guests as a small model, and what Windows would say about them.

model           what there is: clusters, nodes, guests, volumes, writers, events
world           keeps the time and lets things happen; backup: what a host backup does to a node
factory         draws an estate; naming: its guests; defaults: what stands in every Windows; os_releases: which Windows
machine         one Windows as the WS-Management server sees it; accounts: who may log in
wmi_providers/  the model as WMI instances; class_availability: which properties exist since when; roles: a cluster's groups
kvp             what a guest tells its host; registry: its HKEY_LOCAL_MACHINE; events: what it writes; locales
methods         what providers do when a method is called; cluster_methods; method_call: who calls, and with which rights
eviction        a node leaves its cluster for good, and is installed anew
drain           a node pauses and its guests leave; migration: how one guest moves; replication: copies elsewhere; replica_methods: failover and back; win32_errors: the errors of it
services        stop, start and hang; audit_policy: the audit policy; vmm: what SCVMM believes
servicing       packages of updates, and the restart that their change waits for
executables/    the model as the output of programs
overrides       what a machine answers otherwise than the model would, for incidents given as data
"""
