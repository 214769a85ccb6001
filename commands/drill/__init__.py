"""A service failed over to its other site as a whole, and back again: what has to be so before, the steps, the times.

facts    what is asked: of both ends of every machine, of their hosts, of the recovery cluster
sides    one machine with both its ends, and from which of them the next failover leaves
gates    what has to be so before anything is shut down
returns  whether a machine can come back to the host that it left
steps    failover, start, check, reversal: the same both ways
lost     what people do where the primary is silent: a statement read back, and the failover by hand
timing   how long it took, against what the inventory promises
proof    what a drill that is done proves
"""
