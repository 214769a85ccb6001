"""Moving one guest live from one node of its cluster to another.

facts   where the guest is, how it is as a resource of its cluster, and where it may go
proof   which way of starting a migration has been proved on a cluster, out of the ledger
gates   what has to be so before it moves
soak    many moves, and what is watched between them; contents: what a guest holds
steps   the move as a step: how it is started, when it is done, when it has failed
"""
