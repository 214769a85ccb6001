"""`/audit` tells what really happened: a question, a refusal, and a drain that was approved and done."""

import csv
import io
import re

from lab.slack.plain_text import plain_text


async def test_a_day_is_reviewed_down_to_each_entry(play):
    async with play("healthy") as ops:
        viewer = ops.slack.person("viewer")
        await ops.says("/check-writers prod")
        await ops.sees("STABLE")
        await ops.recorded("answered", 1)
        await ops.says("/drain-node hv03", who="viewer")
        await ops.sees("This needs the operator role", who="viewer")
        await ops.says("/drain-node hv03")
        plan = await ops.sees("Drain node hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        done = await viewer.sees(re.compile("^Done: Drain node hv03"), "hv-ops")
        await ops.recorded("done", 1)

        await ops.says("/audit prod", who="viewer")
        answer = await ops.sees("Audit prod, 24 h: 1 change, 1 refusal, 1 question", who="viewer")
        table = next(block for block in answer.blocks if block["type"] == "data_table")
        head, *rows = [[cell["text"] for cell in row[1:]] for row in table["rows"]]
        assert head == ["What", "Target", "Outcome", "Why", "Ticket", "Requested by", "Decided by"]
        assert [[*row[:3], *row[4:]] for row in rows] == [
            ["/drain-node", "hv03", "done", "T-1", "operator", "approver"],
            ["/drain-node", "hv03", "not allowed", "—", "viewer", "—"],
            ["/check-writers", "prod", "answered", "—", "operator", "—"],
        ]
        assert rows[1][3].startswith("This needs the operator role")
        assert "newest anchor matches" in plain_text(answer)

        await ops.clicks(answer, "History T-1", who="viewer")
        story = await told_by(viewer)
        entries = [entry for entry in ops.ledger() if entry.ticket == "T-1" and entry.kind != "clicked"]
        numbers = [int(one) for one in re.findall(r"(?m)^\*(\d+)\* · ", story)]
        assert set(numbers) >= {entry.seq for entry in entries if entry.kind != "shown"}
        assert numbers == sorted(numbers)
        for fact in (
            "requested /drain-node hv03",
            "approved; must start by",
            "Before:",
            "After:",
            "<@U0APPROVER>",
            "*done*",
        ):
            assert fact in story

        await ops.clicks(answer, "Send CSV", who="viewer")
        await ops.sees("audit-prod.csv was sent to you", who="viewer")
        sent = next(one for one in viewer.messages("dm") if one.files)
        lines = list(csv.DictReader(io.StringIO(viewer.file(sent, "audit-prod").decode("utf-8-sig"))))
        assert [(one["Ticket"], one["Outcome"], one["Decided by"]) for one in lines] == [
            ("T-1", "done", "approver"),
            ("", "not allowed", ""),
            ("", "answered", ""),
        ]
        assert "needs the operator role" in lines[1]["Why"]

        await ops.clicks(done, "History", who="viewer")  # the same window, from the message of the ticket itself
        assert "requested /drain-node hv03" in await told_by(viewer)
        await viewer.opens_home()
        home = plain_text(await viewer.sees_home("What happened"))
        assert "drain-node" in home
        kinds = [(entry.kind, entry.fields.get("command")) for entry in ops.ledger()]
        assert kinds.count(("asked", "audit")) == kinds.count(("answered", "audit")) == 1


async def told_by(person):
    """Every page of the story that is open, closed afterwards."""
    view = await person.sees_view("page 1 of")
    told, page = plain_text(view), 1
    while "Next" in plain_text(view):
        await person.clicks(view, "Next")
        page += 1
        view = await person.sees_view(f"page {page} of")
        told += plain_text(view)
    await person.closes(view)
    return told
