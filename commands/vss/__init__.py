"""VSS writers: what is concluded about them.

facts           what is asked of each node about its writers
writer_verdict  one writer: stable, pending, stuck, recovered
node_verdict    one node: its writers, locks, suspects and backup together
drift           writers that all nodes but one list
suspects        which guests are locked, and which one probably causes it
event_8194      the COM callback that was denied, and to whom
findings        verdicts as findings of a report; evidence: the lines below them
unanswered      who did not answer, and what that means
"""
