"""Slack in and out; the only room that knows slack-bolt and slack-sdk.

listen      every command, click, mention and view arrives here: acknowledged at once, then handed to `desk`; payload: what it says
desk        what is then done about it: person, pipeline, renderer, reply
clicks      what each button does; ticket_clicks: those of tickets
reviews     /audit; review_clicks: what its buttons do, and the story of a ticket
changes     what it takes to change something: proposals, decisions, the board
board       one message per ticket, and its thread; board_cards: what the ledger knows of that message; kept: what it keeps in mind
turns       one at a time shows a ticket, also of two bots on one ledger
unbroken    what is posted is also written down, even when the bot stops in between
audit       the audit channel: decisions and heads; history, export, heads: what stands in it
front_door  /hvops stop, go and runs, and what Home says of tickets
people      Slack user groups -> roles, live
reply       how one person is answered: response_url, then an ephemeral, then a direct message
calls       what became of one call to Slack; foreign errors end here
outbox      how anything is sent: in order per channel, one a second, never blindly twice
render/     pure: Report -> message
message     a message, a file, and text from outside made harmless
limits      Slack's numbers; check finds what breaks them, fit makes everything keep them
socket      Socket Mode connections, watched
manifest    the app's manifest, from the registry; scopes: what a token may do, for the examiner
"""
