"""Machines of another site, asked and changed by a worker there: tasks and replies in PostgreSQL.

client       what the bot asks and does at sites, beside all that it reaches itself
queue        the bot's end: puts tasks, waits for replies, withdraws what has not begun
inbox        the worker's end, with no right but to call the functions of `schema`
schema       tables, and the functions that are all that a worker may call
database     connections that notice when they are dead; tables and grants made once
long_answers an answer of megabytes as short lines, so that reading it holds up nobody
messages     queries, actions, answers and errors as JSON, and back
keys         the files that sites' keys are in
signing      a key for each site: who wrote a task, who wrote a reply        pure
membership   which name belongs to which site                                pure
"""
