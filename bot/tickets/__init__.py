"""A plan becomes a ticket: made, described, proposed and decided.

planner      facts -> Plan; made once to be proposed, and again before each group of its steps
plan_digest  what an approval signs: a plan as canonical JSON
conditions   does an answer hold what a check expects?
freezes      what windows of the inventory mean for a plan
readings     what a check's answer said, in words
proposal     what a `proposed` entry holds
create       create a plan, or say why there is none (plan_report)
plan_text    a plan in lines that people read and compare
answers      what a person answers where no source did; read_back: what one reads off a machine, compared
expired_answers  whether a group goes on, where such an answer that its plan rests on has expired
decisions    approve or confirm, reject, withdraw: one decision per ticket
run_history  what the ledger says of a ticket's steps
undo         which steps are taken back, and how; other_tickets: earlier undos, and what was changed since
same_thing   whether two actions are about one thing, however each writes its name
"""
