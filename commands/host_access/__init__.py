"""Whether hvops can ask a host all that it needs to ask.

facts    what is asked: each host its login first, then everything else at once; a cluster the ids in its resources
verdict  what a check found: passed, a finding, or not known
checks   one verdict for each check of a host, and of the cluster itself
"""
