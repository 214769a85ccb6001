"""The words in which commands speak to the world. Standard library only, and what masks.

queries       what may be asked: WQL, the registry, a row of the catalogue marked *reads*, the ledger's memory
facts         what is known of it: an answer and when it came, why there is none, or a guess
sources       a query and its reader, as one value
rows          what comes back: mappings of column to cell, and how to read a cell
query_client  the one thing a command's `collect` is given
texts         cutting what somebody else wrote, masked
beside        long work beside the event loop
arguments     the types of a command's arguments
host_names    under which spelling a machine counts, and which names can be one machine's
web           addresses of the web: a URL, where a Location leads, how either is shown
continuity    services, their assumptions, the sites of the inventory
windows       backup, freeze and maintenance windows of the inventory, and when they are open
updates       updates as files on the nodes, and the rules of the inventory about them
report        what a diagnostic answers
actions       what a plan may do
plan          what a remediation answers, and its digest
command       Diagnostic and Remediation: one value per command file
"""
