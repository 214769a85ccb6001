"""The practice estate: clusters, nodes and guests as a small model, and what Windows would say about them.

`model` is what there is, `views` and `programs` turn it into WMI instances and program output, `machine` serves
one Windows to the WS-Management server, `world` keeps the time and lets things happen, `make` draws an estate.
"""
