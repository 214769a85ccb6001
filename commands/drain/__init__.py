"""Draining a node.

facts     what is asked before a drain
roles     what else a node owns, and what a drain does to it
movable   may each guest leave: what is done to it, and what binds it to the host
apart     may each role go elsewhere without meeting one of its anti-affinity class
gates     what must hold before it
effects   which gates every command asks that empties a node, or fills one
move      the same for one guest that is moved to a named node
steps     pausing, draining, resuming
returned  which guests came back to a node that was resumed, which did not, and why
blockers  why a node will not drain: locked guests, and the writer behind them
"""
