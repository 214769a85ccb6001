"""What is told of a run, of Home and in windows stands in no entry: it is masked before anything of it is escaped or cut."""

import pytest

from bot.dispatch.help import Help, Status
from bot.dispatch.query_session import Progress
from bot.executor.context import TicketChange
from bot.redaction import Redactor
from bot.slack.render.help import no_role_message, status_message
from bot.slack.render.home import home_view, no_role_view
from bot.slack.render.progress import progress_message, started_message
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_history import error_view
from bot.slack.render.ticket_thread import looked_message

REWRITTEN = "*_~`<>&\u00a0\u0430\u200b\t⟨⋯\u0660\u0301"
SECRETS = [*(f"Tr0ub{one}4dor-9x" for one in REWRITTEN), *(f"{one}Tr0ub4dor-9x{one}" for one in REWRITTEN)]


def running(told, says, kind="progress", step="drain"):
    ticket = told().started()
    for done in ("drain", "restart") if step == "wizard" else ():
        ticket.begins(done).ends(done)
    return ticket.begins(step).card(happening=TicketChange("T-412", kind, 1, 3, says))


def status(says):
    return Status(says, (("viewer", (says,)),), (), ((says, says),), says, says)


WAYS = {
    "the task of a step": lambda told, says: ticket_message(running(told, says)),
    "a manual step that was checked": lambda told, says: ticket_message(running(told, says, step="wizard")),
    "why a run stopped": lambda told, says: ticket_message(running(told, says, "stopped")),
    "a look at a step": lambda told, says: looked_message(running(told, ""), [says], "<@U1>"),
    "Home": lambda told, says: home_view(status(says), Help("anna", "viewer", ()), ()),
    "the status": lambda told, says: status_message(status(says)),
    "who has no role": lambda told, says: [no_role_view(says), no_role_message(says)],
    "progress": lambda told, says: [progress_message(Progress(1, 2, (says,))), started_message(says, 20)],
    "an error in a window": lambda told, says: error_view(says),
}


@pytest.mark.parametrize("secret", SECRETS, ids=ascii)
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_masked_before_it_is_escaped_for_slack(way, secret, told):
    mask = Redactor([secret])
    shown = repr(WAYS[way](told, f"refused: hvops with {secret} indeed"))
    assert "Tr0ub" not in mask.redact_text(shown)
    assert "4dor" not in mask.redact_text(shown)


@pytest.mark.parametrize("way", ["a manual step that was checked", "a look at a step", "the task of a step"])
def test_a_secret_is_masked_before_it_is_cut(way, told):
    """At whatever place: all but the last letters of a password are found by no mask."""
    mask = Redactor(["Tr0ub4dor-9x"])
    for ahead in (*range(140, 162), *range(1_485, 1_502)):
        assert "Tr0" not in mask.redact_text(repr(WAYS[way](told, f"{'x' * ahead}Tr0ub4dor-9x{'y' * 3_000}")))


def test_an_asterisk_that_a_host_told_stays_where_nothing_is_bold(told):
    assert "Step 1: a*b is not c∗" in looked_message(running(told, ""), ["Step 1: a*b is not c*"], "<@U1>").text
