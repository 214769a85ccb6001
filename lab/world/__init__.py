"""The practice estate: clusters, nodes and guests as a small model, and what Windows would say about them.

model       what there is: clusters, nodes, guests, volumes, writers, events
world       keeps the time and lets things happen; backup: what a host backup does to a node
make        draws an estate; names: its guests; furniture: what stands in every Windows; releases: which Windows
machine     one Windows as the WS-Management server sees it; accounts: who may log in
views/      the model as WMI instances; classes: which properties exist since when; roles: a cluster's groups
kvp         what a guest tells its host; registry: its HKEY_LOCAL_MACHINE; events: what it writes; languages
methods     what providers do when a method is called; cluster_methods; call: who calls, and with which rights
drain       a node pauses and its guests leave; migration: how one guest moves; win32: the errors of it
services    stop, start and hang; audit: the audit policy; vmm: what SCVMM believes
programs/   the model as the output of programs
"""
