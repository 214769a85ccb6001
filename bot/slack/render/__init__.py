"""Pure: reports, refusals, help and state in, messages and views out. Nothing here sends.

report      the answer: verdict, what to do, what is not known, buttons; shared: the same for a whole channel
evidence    the raw answers behind it
figures     tables, charts and CSV
progress    how far an answer is
refusal     what could not be answered
help        help by role, and the bot's state
home        the Home tab and the modal behind its buttons
ticket      a ticket in every state; card: what the ledger says of it, in words
proposed, running, ended   its message by state; ticket_thread, ticket_buttons, ticket_modal: what belongs to it
audit       a line of the audit channel
review      what /audit answers, and its filters; story: every entry of a ticket
runs        tickets in lists and short answers
parts       the blocks everything is made of; pages: what does not fit into one window
"""
