"""The guided tour of each story: what to do next, and by what one sees that it has really happened.

A step is over when the bot has answered something, or the world has changed; never because somebody pressed "next",
except by skipping it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.config_files import PATIENCE


@dataclass(frozen=True)
class Observation:
    """What has happened so far.

    Attributes:
        headers: headers of the bot's messages, oldest first.
        facts: what is true in the world: name -> sentence.
        offers: ids of what a guest's administrator can still do.
        unknown: whether an answer named a target as unknown.
    """

    headers: tuple[str, ...]
    facts: dict[str, str] = field(default_factory=dict)
    offers: frozenset[str] = frozenset()
    unknown: bool = False

    def answered(self, pattern: str) -> bool:
        """Whether a header matches."""
        return any(re.search(pattern, header, re.IGNORECASE) for header in self.headers)

    def last_but(self, pattern: str) -> str:
        """The newest header that does not match; "" where there is none."""
        others = [header for header in self.headers if not re.search(pattern, header, re.IGNORECASE)]
        return others[-1] if others else ""


@dataclass(frozen=True)
class Step:
    """One thing to do. `line` is what to type in Slack, `shell` what to type in a terminal."""

    key: str
    title: str
    says: str
    happened: Callable[[Observation], bool]
    line: str = ""
    shell: str = ""


def _never(seen: Observation) -> bool:
    del seen
    return False


def _is_over(header: str) -> bool:
    """Whether a verdict on writers says nothing of what was wrong, nor of the backup that tries again."""
    return bool(header) and not re.search("STUCK|BUSY|a backup runs", header)


AUDITED = "^Audit"  # how the answer of /audit begins
SPACE = r"\bfree\b|\bfull\b"  # in the headers of /find-full-guests, and in no other about a whole cluster
ELSE = rf"{SPACE}|^No plan|{AUDITED}|48211"  # headers that are no verdict on writers

ASK = Step(
    "ask",
    "A backup of prod failed.",
    "Ask the bot why: the line stands ready below, press Enter.",
    lambda seen: seen.answered("writer"),
    "/check-writers prod",
)
FIND = Step(
    "find",
    "One guest stopped the backup of all.",
    f"The answer names a suspect. Press Find Full Guests in it, or type the line. It takes {PATIENCE} seconds: one guest of "
    "prod never answers, and the bot does not pretend it did.",
    lambda seen: seen.answered(SPACE),
    "/find-full-guests prod",
)
NO_RESET = Step(
    "no-reset",
    "Why not simply reset the writer?",
    "Because guests are locked: draining hv03 would fail. Ask for a plan, and see what the bot says instead of making one.",
    lambda seen: seen.answered(r"^No plan yet for hv03"),
    "/reset-writer hv03",
)
FREE = Step(
    "free",
    "No command frees space in a guest.",
    "A person has to. Open World and be that person: press Free 2 GB.",
    lambda seen: "free-2gb" not in seen.offers,
)
RESUME = Step(
    "resume",
    "The job still waits.",
    "It would try again by itself in a while. Do not wait: ask for a plan, read it, press Confirm. The risk is low, so whoever "
    "asked decides. Time is short in here: a try that takes minutes elsewhere takes seconds.",
    lambda seen: seen.facts.get("Backup job 48211") in {"running", "completed"},
    "/resume-backup 48211",
)
AGAIN = Step(
    "again",
    "Look again.",
    "Press Look Again in the first answer, or type the line.",
    lambda seen: _is_over(seen.last_but(ELSE)) and seen.facts.get("hv03 writer", "").startswith("[1]"),
    "/check-writers prod",
)
RESET, RUNS = "^Reset writer on hv03", r"^T-\d+ hv03: |^Done: Reset writer on hv03"
PATCHES = Step(
    "ask",
    "An update is missing on some nodes.",
    "Ask which: the line stands ready below, press Enter.",
    lambda seen: seen.answered(r"differ|trap|agree|alike|KB\d|update"),
    "/verify-kb-drift prod",
)
WELL = Step(
    "ask",
    "All is well here.",
    "See what that looks like: the line stands ready below, press Enter.",
    lambda seen: seen.answered("writer"),
    "/check-writers prod",
)
SILENT = Step(
    "silent",
    "A silent host is not a healthy one.",
    f"Open Trouble, press Hang hv05, then ask again. The answer comes after {PATIENCE} seconds, without hv05.",
    lambda seen: seen.unknown,
    "/check-writers prod",
)
FIRST_LOOK = Step(
    "ask",
    "The job is dead, and new ones fail.",
    "Ask about hv03: the line stands ready below, press Enter. Seen once, its writer only looks stuck: it might be slow. A "
    "second look counts from two minutes later on, and nothing shortens them here.",
    lambda seen: seen.answered("writer.* on hv03"),
    "/check-writers hv03",
)
PLAN_RESET = Step(
    "plan",
    "Nothing is locked any more, so it can be reset.",
    "Press Reset Writer… in the answer, or type the line; deciding needs no waiting.",
    lambda seen: seen.answered(RESET),
    "/reset-writer hv03",
)
APPROVE_RESET = Step(
    "approve",
    "Nothing happens before somebody else agrees.",
    "Become Approver, read the plan, press Approve. (As Operator you would be refused: try it.)",
    lambda seen: seen.answered(rf"{RESET}$|{RUNS}"),
)
WATCH_RESET = Step(
    "watch",
    "Two looks, then it runs by itself.",
    "The message says what it waits for. Once the two minutes are over it begins: hv03 is drained, vmms restarted, hv03 resumed. "
    "Meanwhile read the whole plan in its thread. A live migration takes seconds in here, instead of minutes.",
    lambda seen: seen.answered("^Done: Reset writer on hv03"),
)
BACK_UP = Step(
    "back-up",
    "Does it last?",
    "Open World and press Back up hv03 again.",
    lambda seen: any(name.startswith("Backup job") and says == "completed" for name, says in seen.facts.items()),
)
PLAN_BROWSING = Step(
    "plan",
    "Browsing for files on hv02 fails.",
    "Ask for a plan that mends it: the line stands ready below, press Enter.",
    lambda seen: seen.answered("remote browsing"),
    "/fix-remote-browsing hv02",
)
APPROVE_BROWSING = Step(
    "approve",
    "The audit policy is switched on and put back exactly.",
    "Become Approver, read the plan, approve it. Watch the audit policy of hv02 in World: each setting comes back.",
    lambda seen: seen.facts.get("hv02 browsing") == "works" and seen.facts.get("hv02 audit policy") == "as it was",
)
BROWSE = Step(
    "browse",
    "Only a person can see whether it helped.",
    "Open World and press Reopen the Wizard and Browse hv02. Then, as Operator, press Done in the plan's message.",
    lambda seen: seen.facts.get("hv02 wizard") == "files are listed" and seen.answered("^Done: Fix remote browsing"),
)
FIND_MISSING = Step(
    "find",
    "VMM has lost a machine that runs.",
    "Ask where it really is: the line stands ready below, press Enter.",
    lambda seen: seen.answered("missing in VMM"),
    "/find-missing-vms vmm",
)
PLAN_MISSING = Step(
    "plan",
    "Three ways, the last at your own risk.",
    "Open World and press Refresh in VMM: here it does not help. So press Change the Database… in the answer. That only "
    "makes a plan.",
    lambda seen: seen.answered("Fix missing"),
    "/fix-missing-vm crm-01 --by database",
)
APPROVE_MISSING = Step(
    "approve",
    "Nothing happens before somebody else agrees.",
    "Become Approver, read the plan, approve it. VMM's service is stopped, one row is changed, the service is started.",
    lambda seen: (
        seen.facts.get("VMM believes") == "on hv06, Running" and seen.facts.get("VMMService on vmm01") == "running"
    ),
)
REFRESH_MISSING = Step(
    "refresh",
    "Does it stay so?",
    "Open World and press Refresh in VMM. Then, as Operator, press Done in the plan's message: the bot looks for itself.",
    lambda seen: seen.answered("^Done: Fix missing"),
)
UNDO_MISSING = Step(
    "undo",
    "What was done can be taken back.",
    "Press Undo… there, then become Approver again for the plan that it makes. The row gets its earlier values back.",
    lambda seen: seen.answered("^Done: Take back") and seen.facts.get("VMM believes") == "on hv04, Missing",
)
REVIEW = Step(
    "review",
    "Who did what, and who agreed?",
    "Ask for all of it: type the line, and press a ticket for its whole story.",
    lambda seen: seen.answered(AUDITED),
    "/audit",
)


def _ledger(verify: str) -> Step:
    return Step(
        "ledger",
        "Everything asked stands in the ledger.",
        "Refused questions too: ask something as Viewer and as No role. In a terminal, this proves that nothing was "
        "changed or left out:",
        _never,
        shell=verify,
    )


def steps(story: str, verify: str) -> tuple[Step, ...]:
    """The steps of a story's tour; `verify` is the command line that checks the ledger."""
    tours = {
        "stuck-writer": (ASK, FIND, NO_RESET, FREE, RESUME, AGAIN, REVIEW),
        "stuck-writer-job-dead": (FIRST_LOOK, PLAN_RESET, APPROVE_RESET, WATCH_RESET, BACK_UP, REVIEW),
        "remote-browsing": (PLAN_BROWSING, APPROVE_BROWSING, BROWSE, REVIEW),
        "missing-vm": (FIND_MISSING, PLAN_MISSING, APPROVE_MISSING, REFRESH_MISSING, UNDO_MISSING, REVIEW),
        "patch-drift": (PATCHES,),
        "healthy": (WELL, SILENT),
    }
    return (*tours.get(story, ()), _ledger(verify))


class Tour:
    """Where somebody is on the tour. What has happened once stays so."""

    def __init__(self, story: str, verify: str) -> None:
        self.steps = steps(story, verify)
        self.done: set[str] = set()
        self.skipped = False
        self.answered = False

    def look(self, seen: Observation) -> None:
        """Take in what has happened."""
        self.answered = self.answered or bool(seen.headers)
        self.done |= {step.key for step in self.steps if step.key not in self.done and step.happened(seen)}

    def change(self, how: str) -> None:
        """Somebody wants it otherwise: "next", "skip" or "resume".

        Raises:
            KeyError: nothing of that kind.
        """
        changes: dict[str, Callable[[], None]] = {
            "next": self._next,
            "skip": lambda: setattr(self, "skipped", True),
            "resume": lambda: setattr(self, "skipped", False),
        }
        changes[how]()

    def as_json(self) -> dict[str, Any]:
        """What the page draws."""
        told = [
            {
                "key": step.key,
                "title": step.title,
                "says": step.says,
                "line": step.line,
                "shell": step.shell,
                "done": step.key in self.done,
            }
            for step in self.steps
        ]
        return {"answered": self.answered, "skipped": self.skipped, "steps": told}

    def _next(self) -> None:
        waiting = [step.key for step in self.steps if step.key not in self.done]
        self.done.update(waiting[:1])
