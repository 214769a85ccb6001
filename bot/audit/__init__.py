"""The review: what was asked, refused, decided and done, for whoever may see it. Slack and terminal share it.

filter_syntax   the filters as people type them
visibility      who may see what
rows            what is found: one row for a question, a refusal, a ticket
ticket_history  a ticket from its first entry to its last
query           finds, counts, and says what is not there
"""
