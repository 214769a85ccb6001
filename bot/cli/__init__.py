"""The terminal: the same path as Slack's, as the operating-system user, drawn with rich.

ask           one line, one report
plan_preview  a remediation's plan as it would be proposed; nothing is proposed or decided here
render        a report as text
plain_help    help without the types of a parser
layout        lines for a terminal of any width: no word, path or id is ever broken
console       what could move a cursor or hide text, made visible
own_bugs      what nobody caught: logged without secrets, and said in a sentence
os_user       who sits there: the operating-system user
break_glass   hvops runs, stop and go: what must work while Slack does not
audit         the ledger: list, show, search, export, verify; audit_commands: the words on the command line
ledger_move   the ledger into a database, with every bot stopped; ledger_commands: the words on the command line
lab_plugin    the practice environment, found through an entry point
case          an incident from a file, played and judged; a capture, asked again
earlier_change  a change that an incident says was made before, carried out in its practice environment
record        an anonymised capture of what a live host answers; anonymizer: what is taken out of it
"""
