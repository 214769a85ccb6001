"""The guided tour: what to do next, and by what one sees that it has really happened.

The steps of a story stand in its own file under `lab/scenarios/`. A step is over when the bot has answered something, or
the world has changed; never because someone pressed "next", except by skipping it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    """One thing to do.

    Attributes:
        line: what to type in Slack.
        shell: what to type in a terminal.
        press: what to press, in order, each as "place › how its label begins". Places: "Message" (the newest button of that
            label in the channel), "World", "Trouble", "Act as". The page shows where each is.
    """

    key: str
    title: str
    says: str
    happened: Callable[[Observation], bool]
    line: str = ""
    shell: str = ""
    press: tuple[str, ...] = ()


PLACES = frozenset({"Message", "World", "Trouble", "Act as"})
AUDITED = "^Audit"  # how the answer of /audit begins

REVIEW = Step(
    "review",
    "Who did what, and who agreed?",
    "Ask for all of it: type the line, and press a ticket for its full history.",
    lambda seen: seen.answered(AUDITED),
    "/audit",
)
"""The last step of most tours."""


def ledger_step(verify: str) -> Step:
    """The end of every tour; `verify` is the command line that checks the ledger."""
    return Step(
        "ledger",
        "Everything asked stands in the ledger.",
        "Refused questions too: ask something as Viewer and as No role. In a terminal, this proves that nothing was "
        "changed or left out:",
        lambda _seen: False,
        shell=verify,
    )


class Tour:
    """Where someone is on the tour. What has happened once stays so.

    Args:
        steps: those of the story.
        verify: the command line that checks the ledger, for the last step.
    """

    def __init__(self, steps: Sequence[Step], verify: str) -> None:
        self.steps = (*steps, ledger_step(verify))
        self.done: set[str] = set()
        self.skipped = False
        self.answered = False

    def look(self, seen: Observation) -> None:
        """Take in what has happened."""
        self.answered = self.answered or bool(seen.headers)
        self.done |= {step.key for step in self.steps if step.key not in self.done and step.happened(seen)}

    def change(self, how: str) -> None:
        """Someone wants it otherwise: "next", "skip" or "resume".

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
        steps = [
            {
                "key": step.key,
                "title": step.title,
                "says": step.says,
                "line": step.line,
                "shell": step.shell,
                "press": [dict(zip(("place", "label"), one.split(" › "), strict=True)) for one in step.press],
                "done": step.key in self.done,
            }
            for step in self.steps
        ]
        return {"answered": self.answered, "skipped": self.skipped, "steps": steps}

    def _next(self) -> None:
        waiting = [step.key for step in self.steps if step.key not in self.done]
        self.done.update(waiting[:1])
