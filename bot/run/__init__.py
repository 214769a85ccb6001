"""Runs what was decided, exactly as it was decided, and says honestly what it does not know.

runner      sweeps the ledger: starts, takes up, ends what is late; one per ledger (`only`)
ticket_run  one ticket from its start, or from where it was left, to its end
again       the plan made afresh before each group: another one voids the ticket
step        guard, before-image, intent, act
settle      what became of the act: done?, outcome
look_for    asks whether a check holds, once or until it does
act         the one place where an action of a plan becomes a call
undo        what takes a ticket back
story       what the entries of a ticket tell about its run
state       one run in memory: nothing that the ledger does not know
parts       what a run works with, and what it tells
"""
