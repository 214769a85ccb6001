"""What arrives from Slack, and what is done about it.

listeners        every command, click, mention and view: acknowledged at once, then handed on; payload: what it says
request_handler  what is then done about it: person, pipeline, renderer, response
builtin_commands /hvops stop, go and runs, and what Home says of tickets
freshness        how old a press, a window or a mention is, and what is too old to decide
buttons          what each button does; ticket_buttons: those of tickets
audit_command    /audit; audit_buttons: what its buttons do, and the history of a ticket
"""
