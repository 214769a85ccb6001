"""Runs what was decided, exactly as it was decided, and says honestly what it does not know.

scheduler   sweeps the ledger: starts, takes up, ends what is late; one per ledger
ownership   which process does so: by one lock of a machine (`leader_lock`), or by locks of the database, one for each run
ticket_run  one ticket from its start, or from where it was left, to its end
permissions whether those who asked and decided still may, asked again before anything begins
revalidate  the plan made afresh before each group: another one voids the ticket
record_check  whether external records let it act, and the note on a host before each act
external_records  the anchor file, the audit channel and hosts' event logs: a restored copy of the ledger does nothing
step        guard, before-image, intent, actions
outcome     what became of the act: done?, outcome
own_undo    whether a run may undo by itself what failed, or leaves it to a person
unseen      what an undo waits for where nobody saw the end of what it undoes
polling     asks whether a check holds, once or until it does
measuring   what was so before an act, and what is so at the end
actions     the one place where an action of a plan becomes a call
run         one run in memory: nothing that the ledger does not know
context     what a run works with, and what it tells
"""
