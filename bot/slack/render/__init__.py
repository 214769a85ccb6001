"""Pure: reports, refusals, help and state in, messages and views out. Nothing here sends.

report      the answer: verdict, what to do, what is not known, buttons; shared: the same for a whole channel
evidence    the raw answers behind it
figures     tables, charts and CSV
progress    how far an answer is
refusal     what could not be answered
help        help by role, and the bot's state
home        the Home tab and the modal behind its buttons
parts       the blocks everything is made of
"""
