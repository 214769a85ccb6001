"""From typed text to a question or a plan: what was typed, by whom, help what.

command_line     the one reader of typed text: the text and its entry point -> which command or builtin, and what follows
argument_parser  words -> arguments, or a usage line
authorization    may this person ask this here? one function for every entry point; closed by default
registry         which commands and builtins there are
builtins         what hvops itself answers: help, status, runs, stop, go, audit
inventory        which host or cluster is meant; nodes come from the cluster itself
askings          questions to clusters that go on while nobody waits for them
known_names      names that were answered before, for the lists of forms
query_session    a command's queries, fanned out: facts, or who did not answer
evidence_limits  how much of answers is kept for one person, raw and as a report, and when nothing is
turns            how many lines of one person are answered at a time
person_rate      how often one person may have what there is little of for all together
line_entries     entries about one person's lines: few at a time, and some refusals a minute
pipeline         all of that, and a ledger entry for each line
help             what /hvops help and status say
"""
