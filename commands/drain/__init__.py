"""Draining a node.

facts     what is asked before a drain
gates     what must hold before it
steps     pausing, draining, resuming
blockers  why a node will not drain: locked guests, and the writer behind them
"""
