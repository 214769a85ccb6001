"""A remediation at the terminal: shown as it would be proposed, and nothing more. Nobody decides anything here."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from bot.api.command import Role
from bot.config.settings import load
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.ledger import Ledger, Reader
from bot.ledger.entries import Released, Stopped
from bot.services import build_services
from bot.tickets.create import Proposed
from bot.tickets.decisions import UserAction

OPERATOR = Person("T1/U1", "operator", {Role.OPERATOR: frozenset(["*"])})


def entries(settings_file, since=0):
    if not load(settings_file).ledger.path.exists():
        return []
    with Reader(load(settings_file).ledger.path) as reader:
        return [one for one in reader.every() if one.seq > since]


def head(settings_file):
    return max((one.seq for one in entries(settings_file)), default=0)


@pytest.fixture
def changed(healthy):
    """The settings with something replaced."""
    made = []

    def write(old, new):
        path = healthy.parent / f"changed{len(made)}.toml"
        text = healthy.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        path.chmod(0o600)
        made.append(path)
        return path

    yield write
    for path in made:
        path.unlink()


def test_a_plan_that_is_possible_is_shown_whole_and_ends_with_0(hvops, healthy):
    before = head(healthy)
    ended = hvops("ask", "--settings", healthy, "/drain-node hv03")
    assert ended.code == 0, ended
    said = " ".join(ended.out.split())
    for fact in (
        "Preview: a plan for hv03 is possible",
        "passed: No guest on hv03 is locked (0 of 11 locked)",
        "Risk: high",
        "Locks: cluster:prod",
        "does: hv03: root/MSCluster MSCluster_Node[Name='hv03'].Pause(DrainType=1)",
        "Decision: high risk. An approver on prod other than the requester must approve it within 30 min.",
        "[roles.approver]: S0APPROVERS.",
        "This is a preview: nothing was proposed. To propose it, type in Slack: /drain-node hv03",
    ):
        assert fact in said
    new = entries(healthy, before)
    assert [one.kind for one in new] == ["asked", "answered"]
    assert {one.data.line for one in new} == {"/drain-node hv03"}
    assert new[0].data.via == "terminal"


def test_each_step_is_shown_in_words_with_its_proof_and_its_way_back(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/drain-node hv03")
    at = ended.out.index("What would run (up to ")
    words = ended.out[at : ended.out.index("What the approval signs:")].splitlines()
    assert words[1].startswith("  1 Pause hv03 and drain it (up to ")
    assert words[2:] == [
        "    proof: hv03 is paused and drained; no guest is left on hv03; no role on hv03",
        "        is moving",
        "    way back: Resume hv03, its guests come back",
    ]


def test_it_is_the_very_plan_that_a_proposal_would_sign(hvops, healthy):
    told = json.loads(hvops("ask", "--settings", healthy, "--json", "/drain-node hv04").out)
    assert (told["exit_code"], told["proposed"], told["risk"], told["places"]) == (0, False, "high", ["prod"])
    with build_services(load(healthy)) as made:
        request = Request(OPERATOR, "/drain-node hv04", "slack", "C0OPS")
        proposed = asyncio.run(made.proposals.propose(request))
        assert isinstance(proposed, Proposed)
        assert told["digest"] == proposed.proposal.made.digest  # a proposal signs it with its last time
        assert told["plan"] == made.ledger.entry(proposed.seq).data.plan
        made.decisions.withdraw(UserAction(OPERATOR, proposed.ticket))


def test_what_holds_a_plan_ends_with_1(hvops, stuck):
    ended = hvops("ask", "--settings", stuck, "/drain-node hv03")
    assert ended.code == 1
    assert ended.out.startswith("No plan yet for hv03: 9 of 11 guests are locked, a drain would fail (5960)")
    assert 'hvops ask "/find-full-guests hv03"' in ended.out
    assert "18 of 20 checks passed" in ended.out
    told = json.loads(hvops("ask", "--settings", stuck, "--json", "/drain-node hv03").out)
    assert (told["exit_code"], told["decides"], told["digest"]) == (1, "", "")


def test_what_is_so_already_ends_with_0_so_that_a_script_can_ask_twice(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/resume-node hv03")
    assert ended.code == 0
    assert "Nothing to resume: hv03 is up" in ended.out
    told = json.loads(hvops("ask", "--settings", healthy, "--json", "/resume-node hv03").out)
    assert (told["exit_code"], told["no_plan"]) == (0, True)


def test_the_steps_of_a_plan_break_between_words_on_a_narrow_terminal(hvops, healthy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = hvops("ask", "--settings", healthy, "/drain-node hv03").out.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("What would run"))
    end = lines.index("What the approval signs:")
    assert end - start > 2
    assert all(len(line) <= 60 for line in lines[start:end])


@pytest.mark.parametrize("line", ["/fix-missing-vm crm-01", "/reset-writer hv01"])
def test_nothing_to_do_is_said_once_and_ends_with_0_whatever_else_is_silent(hvops, healthy, line):
    told = json.loads(hvops("ask", "--settings", healthy, "--json", line).out)
    assert (told["exit_code"], told["no_plan"]) == (0, True)
    assert told["says"].count("Nothing to") == 1


def test_what_cannot_be_done_now_is_not_done_already(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/restart-service hv03 Spooler")
    assert ended.code == 1, ended.out


def test_a_node_that_does_not_answer_is_unknown_and_ends_with_3(hvops, healthy, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__READER__PASSWORD", "wrong-password-1")
    ended = hvops("ask", "--settings", healthy, "/fix-remote-browsing hv01")
    assert ended.code == 3, ended
    assert "login was refused" in " ".join((ended.out + ended.err).split())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/drain-node hv33", "Did you mean hv03"),
        ("/drain-node prod", "this command takes a host"),
        ("/drain-node", "Usage: /drain-node"),
    ],
)
def test_what_cannot_be_read_ends_with_2(hvops, healthy, line, says):
    before = head(healthy)
    ended = hvops("ask", "--settings", healthy, line)
    assert (ended.code, ended.out) == (2, "")
    assert says in " ".join(ended.err.split())
    assert [one.kind for one in entries(healthy, before)][-1] == "refused"


def test_whoever_may_not_change_anything_there_sees_no_plan(hvops, healthy, changed):
    (section,) = re.findall(r"\[roles\.operator\]\n(?:[^\[\n].*\n)+", healthy.read_text())
    ended = hvops("ask", "--settings", changed(section, section.replace('"*"', '"branch"')), "/drain-node hv03")
    assert ended.code == 2
    assert "needs the operator role on prod" in " ".join(ended.err.split())


def test_a_risk_without_a_rule_is_refused_as_the_proposal_would_be(hvops, changed):
    ended = hvops("ask", "--settings", changed('high = "approval"', ""), "/drain-node hv03")
    assert ended.code == 2
    assert "no rule says who decides" in " ".join(ended.err.split())


def test_nobody_who_could_decide_is_said(hvops, changed):
    ended = hvops("ask", "--settings", changed('"S0APPROVERS"', ""), "/drain-node hv03")
    assert ended.code == 0
    assert "[roles.approver]: names nobody, so nobody could decide." in " ".join(ended.out.split())


@pytest.mark.parametrize(
    "word",
    [
        *("stop", "go", "approve T-1", "undo T-1", "hvops go", "/hvops stop now", "/approve T-1"),
        *(
            "`stop`",
            "\u201cstop\u201d",
            "\u2018/hvops go\u2019",
            "\u200bstop",
            "hvops\u00a0`stop`",
            "@hvops stop",
            "`approve T-1`",
        ),
    ],
)
def test_no_word_decides_anything(hvops, healthy, word):
    before = head(healthy)
    ended = hvops("ask", "--settings", healthy, word)
    assert (ended.code, ended.out) == (2, "")
    is_of_a_ticket = "T-1" in word  # of the others there is a command at a terminal, which is named
    says = "You cannot decide in the terminal" if is_of_a_ticket else "hvops ask only answers questions"
    assert says in " ".join(ended.err.split())
    assert [one.kind for one in entries(healthy, before)] == ["refused"]
    assert entries(healthy, before)[0].data.category == "not allowed"


def test_the_ledger_is_reviewed_by_commands_of_its_own(hvops, healthy):
    ended = hvops("ask", "--settings", healthy, "/audit T-1")
    assert (ended.code, ended.out) == (2, "")
    assert "run hvops audit, or type /audit in Slack" in " ".join(ended.err.split())


def test_before_a_plan_stands_that_changes_are_stopped(hvops, healthy):
    folder = healthy.parent
    with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt") as ledger:
        ledger.append("os:anna", Stopped(name="anna@ops1", reason="power work", via="terminal"))
        try:
            shown = hvops("ask", "--settings", healthy, "/drain-node hv03")
            told = json.loads(hvops("ask", "--settings", healthy, "--json", "/drain-node hv03").out)
            status = hvops("ask", "--settings", healthy, "/hvops status")
        finally:
            ledger.append("os:anna", Released())
    assert shown.out.startswith("Changes are stopped, by anna@ops1 at ")
    assert "power work" in " ".join(shown.out.split())
    assert told["stopped"].startswith("Changes are stopped, by anna@ops1 at ")
    assert " ".join(status.out.split()).startswith("Changes Changes are stopped, by anna@ops1 at ")
    assert "Changes are stopped" not in hvops("ask", "--settings", healthy, "/drain-node hv03").out


def test_the_practice_estate_shows_a_plan_too(hvops):
    ended = hvops("ask", "--lab", "healthy", "/drain-node hv03")
    assert ended.code == 0, ended.err
    assert "To propose it, type in Slack" in " ".join(ended.out.split())


def test_a_plan_has_no_table(hvops, healthy, tmp_path):
    ended = hvops("ask", "--settings", healthy, "--csv", tmp_path / "x.csv", "/drain-node hv03")
    assert ended.code == 2
    assert "no table" in ended.err
