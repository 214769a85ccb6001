"""Whether hvops can ask a host, and the guests on it, all that it needs to ask.

facts        what is asked: each host its login first, then everything else at once; a cluster the ids in its resources
verdict      what a check found: passed, a finding, or not known
checks       one verdict for each check of a host, and of the cluster itself
guest_login  one verdict for the login of guests: one that runs is asked for all
"""
