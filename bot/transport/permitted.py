"""Whether what a plan wants done, undone or asked could be sent at all, before anybody is asked to approve it. Pure.

The same rows and the same checks as at the moment of sending. A plan is made from what targets say of themselves: a value that
came from there may be one that hvops does not write anywhere, and then the way back would fail half-way.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.api.actions import Action, InvokeMethod, ManualStep, Octets, RowTransaction, RunProgram
from bot.api.queries import GuestRegistry, GuestWql, Query, Registry, RunReader, Value, Wql
from bot.errors import PolicyViolation
from bot.redaction import clip
from bot.transport.allowlist import PROGRAMS
from bot.transport.allowlist.sql import QUERIES, changes_of
from bot.transport.allowlist.web import CALLS
from bot.transport.allowlist.web_probe import ANSWERS, PROBES, connect_port
from bot.transport.windows import wql, wsman


def why_not_sent(what: Action | Query) -> str:
    """Why hvops itself would refuse to send an action or a question, "" where it would not.

    In words such as "loadmaster set check: host takes a host name, and 'a..b' is none".
    """
    try:
        if isinstance(what, (InvokeMethod, RunProgram, RowTransaction, ManualStep)):
            _check_action(what)
        else:
            _check_question(what)
    except PolicyViolation as error:
        return error.message.rstrip(".")
    except ValueError as error:
        return str(error).rstrip(".")
    return ""


def _check_action(action: Action) -> None:
    if isinstance(action, RunProgram):
        _check_row(action, "changes")
    elif isinstance(action, RowTransaction):
        changes_of(action)
    elif isinstance(action, InvokeMethod):
        references = [(one.name, wql.name(one.cls), one.keys) for one in action.references]
        wsman.invoke(
            wql.namespace(action.namespace),
            wql.name(action.cls),
            wql.name(action.method),
            action.params,
            references=references,
        )
        keys = [pair for one in action.references for pair in one.keys]
        _check_words(value for _, value in (*action.params, *action.path, *keys))


def _check_row(asked: RunProgram | RunReader, marked: str) -> None:
    """Raise ValueError for a row that there is not, or that is marked otherwise, or for values that it does not take."""
    if asked.what in CALLS:
        CALLS[asked.what].address(asked.params)
    elif asked.what in PROGRAMS:
        PROGRAMS[asked.what].command_line(asked.params)
    row = CALLS.get(asked.what) or PROGRAMS.get(asked.what)
    if row is None or row.marked != marked:
        raise ValueError(f"no row of the allowlist that {marked} anything is called {clip(repr(asked.what), 60)}")


def _check_question(question: Query) -> None:
    if isinstance(question, RunReader):
        if question.what in PROBES:
            PROBES[question.what].request(question.params)
        elif question.what == ANSWERS:
            connect_port(question.params)
        elif question.what in QUERIES:
            QUERIES[question.what].bind(question.params)
        else:
            _check_row(question, "reads")
    elif isinstance(question, (Wql, GuestWql)):
        wql.namespace(question.namespace)
        wql.select(question.cls, question.columns, question.where)
    elif isinstance(question, (Registry, GuestRegistry)):
        _check_words((question.key, *question.names))


def _check_words(values: Iterable[Value | Octets]) -> None:
    for value in values:
        if isinstance(value, str):
            wsman.check_xml_text(value)
