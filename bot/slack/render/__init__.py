"""Pure: reports, refusals, help and state in, messages and views out. Nothing here sends.

report             the answer: verdict, what to do, what is not known, buttons; shared_report: the same for a whole channel
evidence           the raw answers behind it
rounds             a repeated group of steps: how many, how fast
tables_and_charts  tables, charts and CSV
progress           how far an answer is
errors             what could not be answered
help               help by role, and the bot's state
home               the Home tab; command_modal: the window behind its buttons
ticket             a ticket in every state; ticket_view_model: what the ledger says of it, in words
proposed, running, closed   its message by state; ticket_thread, ticket_buttons, reason_modal, answer_modal, read_back_modal: what belongs to it
audit_lines        a line of the audit channel
audit_results      what /audit answers, and its filters; ticket_history: every entry of a ticket
ticket_list        tickets in lists and short answers
stop               that changes are stopped, above whatever is shown meanwhile; what ops channels are told of stop and go
competing          other tickets that need the same lock
blocks             the blocks everything is made of; pagination: what does not fit into one window
"""
