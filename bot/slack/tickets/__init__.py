"""Tickets as Slack shows them: one message per ticket, and its thread.

change_service   what it takes to change something: proposals, decisions, messages
ticket_messages  the message of each ticket, message_state true; message_table: what the ledger knows of it
thread_delivery  tells a thread, and people directly where the channel takes nothing; each part is a duty of its own
ticket_evidence  what was seen of the steps of a ticket, as a file: of a long one a part
message_state    what was last shown, so that nothing is posted twice
stop_notices     every ops channel hears of each stop and go
competing        which open tickets need the same lock
ticket_locks     one at a time shows a ticket, also of two bots on one ledger
"""
