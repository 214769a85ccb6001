"""What was decided stands in the audit channel too, with heads of the ledger: who cuts the ledger is found out by them."""

import asyncio
import sqlite3

import pytest
from entry_samples import entry_data

from bot.audit_verify import verify_audit_log
from bot.config import settings as settings_file
from bot.ledger.chain_heads import parse_anchor
from bot.services import open_ledger


@pytest.mark.sqlite
async def test_a_drain_leaves_its_lines_and_a_head_by_which_a_cut_copy_is_found(play, capsys):
    async with play("healthy") as ops:
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        viewer = ops.slack.person("viewer")
        done = await viewer.sees("T-1 done: /drain-node hv03", "hv-audit")
        approved = await viewer.sees("T-1 approved: /drain-node hv03", "hv-audit")
        for told in ("by approver (T0PRACTICE/U0APPROVER)", "requested by operator", "plan ", "entry ", "|message>"):
            assert told in approved.text
        assert "by hvops" in done.text
        await ops.recorded("done", 1)
        await ops.until_anchored()
        settings, folder = ops.estate.settings_path, ops.estate.directory

        assert await asyncio.to_thread(verify_audit_log, None, settings, None, (), channel=True) == 0
        capsys.readouterr()
        entries = ops.ledger()
        end = next(entry.seq for entry in entries if entry.kind == "done")
        copy = cut_copy(folder, end - 1)
        kept = folder / "kept.txt"  # an anchor file that was cut to match
        lines = (folder / "anchors.txt").read_text().splitlines(keepends=True)
        kept.write_text("".join(line for line in lines if int(line.split()[0]) < end))
        assert await asyncio.to_thread(verify_audit_log, copy, settings, None, (kept,)) == 1
        said = capsys.readouterr().out
        assert "BROKEN" not in said  # nothing is missing, and what says so lies beside it
        assert "are on the ledger's own disk" in " ".join(said.split())
        assert await asyncio.to_thread(verify_audit_log, copy, settings, None, (kept,), channel=True) == 1
        said = " ".join(capsys.readouterr().out.split())
        newest = max(head.seq for message in viewer.messages("hv-audit") if (head := parse_anchor(message.text)))
        assert f"BROKEN at entry {end}: cut off: an anchor in the audit channel C0AUDIT knows entry" in said
        assert newest >= end


async def test_what_was_decided_while_the_bot_was_away_is_told_once_it_is_back(play):
    async with play("healthy") as ops:
        await ops.says("/hvops stop power work", who="operator")
        viewer = ops.slack.person("viewer")
        await viewer.sees("/hvops stop", "hv-audit")
        await ops.recorded("anchor", 1)
        await ops.ends()
        with open_ledger(settings_file.load(ops.estate.settings_path)) as ledger:
            ledger.append("T0PRACTICE/U0APPROVER", entry_data("go", {"name": "approver"}))
        await ops.starts()
        await viewer.sees("/hvops go", "hv-audit")
        told = [one.text.split(" · ")[0] for one in viewer.messages("hv-audit") if parse_anchor(one.text) is None]
        assert told == ["/hvops stop", "/hvops go"]
        await ops.says("/hvops status")
        await ops.sees("*Audit channel:* posted up to entry")


def cut_copy(folder, last):
    """A copy of the ledger without its newest entries, tidied up behind."""
    with sqlite3.connect(folder / "ledger.db") as source, sqlite3.connect(folder / "copy.db") as copy:
        source.backup(copy)
    source.close()
    triggers = copy.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        copy.execute(f"DROP TRIGGER {name}")
    copy.execute("DELETE FROM entry WHERE seq > ?", (last,))
    moves = "SELECT max(seq) FROM entry WHERE entry.ticket = ticket.id AND kind NOT IN ('shown', 'clicked', 'refused')"
    copy.execute(f"UPDATE ticket SET state = 'running', ending = '', last_entry = ({moves})")
    copy.execute("DELETE FROM lock")
    copy.execute(
        "INSERT INTO lock (name, ticket, rank) SELECT value, ticket, 0 FROM entry, json_each(body, '$.data.locks') WHERE kind = 'started'"
    )
    for _, sql in triggers:
        copy.execute(sql)
    copy.commit()
    copy.close()
    return folder / "copy.db"
