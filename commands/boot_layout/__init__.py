"""How hosts start: firmware, partition table, EFI and reserved partition.

facts      what is asked of each host, in two rounds at most
layout     what one host's answers amount to, and where that cannot be told
redeploy   what has to be known before a host is erased, and the steps at its console
findings   in words: hosts that differ, what is missing, what is only noted
"""
