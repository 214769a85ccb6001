"""The review: what was asked, refused, decided and done, for whoever may see it. Slack and terminal share it.

words     the filters as people type them
sight     who may see what
rows      what is found: one row for a question, a refusal, a ticket
story     a ticket from its first entry to its last
review    finds, counts, and says what is not there
"""
