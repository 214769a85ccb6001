"""The page of the docs that shows the pictures: what each is of, at both widths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PARTS: Mapping[str, Mapping[str, str]] = {
    "Answers": {
        "answer": "`/check-writers`: a writer that looks stuck",
        "full-guests": "`/find-full-guests`",
        "missing-vm": "`/find-missing-vms`",
        "virtual-service": "`/check-virtual-service`",
        "updates": "`/verify-kb-drift`",
        "clocks": "`/check-time-skew`",
        "continuity": "`/check-continuity`",
        "boot-layout": "`/check-boot-layout`",
        "integration-services": "`/check-integration-services`",
        "storvsc": "`/check-storvsc-risk`",
        "redirects": "`/check-redirects`",
        "blocked": "`/reset-writer`, while its guests are locked: no plan",
    },
    "Plans": {
        "proposed": "`/reset-writer`: one of the approvers decides",
        "proposed-database": "`/fix-missing-vm --by database`",
        "proposed-drill": "`/drill`: 25 steps, by parts",
        "proposed-updates": "`/fix-kb-drift`: 32 steps, by parts",
        "proposed-browsing": "`/fix-remote-browsing`: with a step by hand",
        "proposed-health-check": "`/fix-health-check`",
        "by-hand": "`/redeploy-uefi`",
        "frozen": "`/drain-node` inside a freeze",
        "confirm": "`/resume-backup`: low-risk, confirmed by the requester",
        "approve": "The window of *Approve*",
        "reject": "The window of *Reject…*",
    },
    "Runs and their ends": {
        "running": "A run under way",
        "done": "Done: before and after, as measured",
        "confirmed-done": "Done, low-risk",
        "rejected": "Rejected",
    },
    "Home, the audit, the channel": {
        "home": "Home of an operator",
        "home-approver": "Home of an approver",
        "home-no-role": "Home of someone without a role",
        "audit": "`/audit`",
        "channel": "The channel",
    },
}
_HEAD = """\
# Pictures

Each card, Home and the audit in a practice Slack: a desk (1400 pixels wide) and a phone (390). `make pictures` draws them
again and writes this page.
"""


def page_of(folder: Path) -> str:
    """The page; what has not been drawn is left out."""
    return "\n".join([_HEAD, *(_part(name, pictures, folder) for name, pictures in PARTS.items())])


def _part(name: str, pictures: Mapping[str, str], folder: Path) -> str:
    rows = [
        f"| {says} | {_image(one, 1400, says, folder)} | {_image(one, 390, says, folder)} |"
        for one, says in pictures.items()
        if (folder / f"{one}-1400.png").exists()
    ]
    return "\n".join((f"## {name}\n", "| | Desk | Phone |", "|---|---|---|", *rows, ""))


def _image(name: str, width: int, says: str, folder: Path) -> str:
    plain = says.replace("`", "").replace("*", "")
    return f"![{plain}, {width} pixels wide]({folder.name}/{name}-{width}.png)"
