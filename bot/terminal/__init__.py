"""The terminal: the same path as Slack's, as the operating-system user, drawn with rich.

ask        one line, one report
render     a report as text
audit      the ledger: list, show, search, export, verify
practice   the practice estate, found through an entry point
record     an anonymised capture of what a live host answers
"""
