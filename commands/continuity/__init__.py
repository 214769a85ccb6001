"""What a service relies on, put to the test: proved, stale, broken, or unprovable; never fine by default.

facts      what is asked: of every place of a service, of the other end of a replication
outcomes   one assumption's outcome, as a value
inside     what stands in files: hosts files, addresses
links      delay and loss between sites, servers that every site needs
replicas   replication, its lag against the promise, test failovers
drills     was the service failed over and back, within what is promised
votes      what a cluster loses with one voter, or with a site
verdicts   which probe judges what
findings   the outcomes in words
"""
