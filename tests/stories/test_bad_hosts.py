"""Hosts that answer wrongly or not at all: a sentence says what and where, and nobody else's answer suffers."""

import re

import pytest

from lab.slack.blockkit_walk import pings
from lab.slack.plain_text import plain_text
from lab.windows.machine_protocol import Access
from lab.world.locales import LANGUAGES

HOSTILE = [
    'O\'Brien \\ "db" % -- <!channel>',
    *(pytest.param(name, marks=pytest.mark.long) for name in ("<https://evil.example|crm-02>", "' OR Name LIKE '%")),
]


def unknown(message, name: str) -> str:
    """What an answer says about one target that did not answer."""
    return next(line for line in plain_text(message).splitlines() if line.startswith(f"*UNKNOWN {name}"))


def answered(ops) -> dict:
    """What the ledger says of the last answer."""
    return [entry for entry in ops.ledger() if entry.kind == "answered"][-1].fields


def rung(message) -> list[str]:
    """Who was called by a message, and which links it holds besides those we write."""
    return pings(message.text, message.blocks) + re.findall(r"<https?://[^>]*", str(message.blocks))


def machine(ops, name: str):
    return ops.estate.do(lambda: ops.estate.world.machine(name))


def rename(ops, guest: str, name: str) -> None:
    """Whoever may make virtual machines may call them anything."""
    ops.estate.do(lambda: setattr(ops.estate.world.guest(guest), "name", name))


def everybody_answers(ops) -> None:
    """Silence of the one guest that hangs is another test's."""
    ops.estate.do(lambda: ops.estate.world.trouble("sap-old-01", "hang", on=False))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("refuse", "nothing listens on its WinRM port"),
        ("reset", "it closed the connection in the middle"),
        ("html", "the reply is a web page"),
        ("cut", "the reply is not whole XML"),
        ("deny", "the account may not do this there"),
    ],
)
async def test_a_host_in_trouble_is_unknown_and_the_others_are_intact(play, kind, says):
    async with play("stuck-writer") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv05", kind, on=True))
        await ops.says("/check-writers prod")
        answer = await ops.sees("LOOKS STUCK on hv03")
        told = plain_text(answer)
        assert says in unknown(answer, "hv05")
        assert "5 of 6 nodes answered" in told
        assert "hv01 hv02 hv04 (13 writers each)" in told
        assert "test-tfs-01 (event 10102" in told
        kept = answered(ops)
        assert (kept["findings"], kept["unknown"]) == (2, 1)
        assert "UNKNOWN" in kept["verdict"]


async def test_the_cluster_is_asked_through_another_host_where_the_first_one_answers_html(play):
    async with play("stuck-writer") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv01", "html", on=True))
        await ops.says("/check-writers prod")
        answer = await ops.sees("LOOKS STUCK on hv03")
        assert "5 of 6 nodes answered" in plain_text(answer)
        assert "a web page" in unknown(answer, "hv01")


async def test_a_wrong_password_on_one_host(play):
    async with play("stuck-writer") as ops:
        changed = machine(ops, "hv05").access.accounts
        ops.estate.do(lambda: changed.update(dict.fromkeys(changed, "changed since")))
        await ops.says("/check-writers prod")
        answer = await ops.sees("LOOKS STUCK on hv03")
        assert "the login was refused" in unknown(answer, "hv05")
        assert "5 of 6 nodes answered" in plain_text(answer)
        assert answered(ops)["unknown"] == 1


async def test_no_host_at_all_lets_the_bot_in(play):
    async with play("stuck-writer") as ops:
        for node in ("br01", "br02", "br03", "br04"):
            machine(ops, node).access = Access()
        await ops.says("/check-writers branch")
        answer = await ops.sees("branch: its nodes are not known")
        assert "the login was refused" in unknown(answer, "branch")
        assert "well" not in plain_text(answer)
        assert answered(ops)["unknown"] == 1


async def test_a_guest_whose_certificate_has_expired(play):
    async with play("stuck-writer") as ops:
        everybody_answers(ops)
        ops.estate.do(lambda: ops.estate.let_expire("web-dev-04"))
        await ops.says("/find-full-guests prod")
        answer = await ops.sees("test-tfs-01 has 0 MB free on C:")
        told = plain_text(answer)
        assert "certificate has expired" in unknown(answer, "web-dev-04")
        assert "52 of 55" in told  # besides it: a refused login, and one that tells no name
        assert "sql-stage-02 L: 412 MB" in told
        assert "web-dev-04 C:" not in told
        assert answered(ops)["unknown"] == 3


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
async def test_a_list_of_writers_that_was_cut_is_never_read_as_a_whole_one(play, share):
    async with play("stuck-writer") as ops:
        cut = machine(ops, "hv03")
        whole = cut.run

        def run(command_line):
            output = whole(command_line)
            if "vssadmin" not in command_line[0]:
                return output
            return type(output)(output.stdout[: int(len(output.stdout) * share)])

        cut.run = run
        await ops.says("/check-writers prod")
        answer = await ops.sees("prod: guests LOCKED on hv03")
        told = plain_text(answer)
        assert "list of writers" in unknown(answer, "hv03")
        assert "STUCK" not in told
        assert "5 of 6 nodes answered" in told
        assert "hv01 hv02 hv04 hv05" in told
        for known_all_the_same in ("9 of 11", "test-tfs-01 (event 10102", "Don't drain, pause or reboot hv03"):
            assert known_all_the_same in told
        await ops.clicks(answer, "Evidence")
        await ops.slack.person("operator").sees_view("vssadmin 1.1" if share > 0.1 else "vssadmin")


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_guest_may_bear_any_name(play, name):
    async with play("stuck-writer") as ops:
        everybody_answers(ops)
        rename(ops, "crm-02", name)  # a victim: locked, and asked by a name that no DNS knows
        await ops.says("/check-writers prod")
        locked = await ops.sees("LOOKS STUCK on hv03")
        assert name.strip() in plain_text(locked)
        assert "6 of 6 nodes answered" in plain_text(locked)
        await ops.clicks(locked, "Share")
        shared = await ops.sees("Shared by", channel="hv-ops")
        assert rung(locked) == []
        assert rung(shared) == ["U0OPERATOR"]  # who shared it
        await ops.says("/find-full-guests prod")
        full = await ops.sees("test-tfs-01 has 0 MB free on C:")
        assert "52 of 55" in plain_text(full)
        assert name.strip() in plain_text(full)
        assert rung(full) == []


@pytest.mark.parametrize("language", ["de-DE", "fr-FR"])
async def test_a_stuck_writer_is_known_in_any_language(play, language):
    async with play("stuck-writer") as ops:
        stuck = machine(ops, "hv03")
        stuck.windows.language = stuck.language = language
        stuck.oem_code_page = LANGUAGES[language].oem
        await ops.says("/check-writers prod")
        told = plain_text(await ops.sees("LOOKS STUCK on hv03"))
        assert "[5] Waiting for completion · Retryable error" in told
        assert "9 of 11" in told
        assert "6 of 6 nodes answered" in told
