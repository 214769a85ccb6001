"""Count through how many files one command goes: `/drain-node hv03`, typed in the practice Slack, to its card.

    python -m tests.structure.walk           three stretches, a line each
    python -m tests.structure.walk --list    the files of each, in the order in which they are entered

The stretches end where a foreign library is called, so that moves and new names in the product change nothing here:

    typed to asked      Bolt hands over the slash command -> requests sends the first WS-Man envelope
    plan to ledger      the command's `plan` returns      -> SQLite is told to insert the proposal
    ledger to card      that insert                       -> slack-sdk posts the message

Counted is what runs in the process in that time, in all its threads, in files of bot/ and commands/. What the bot does
beside it all the time (its ticks) is counted, too, and is little.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / top}/" for top in ("bot", "commands"))
STRETCHES = ("typed to asked", "plan to ledger", "ledger to card")
LINE = "/drain-node hv03"


@dataclass
class Stretch:
    """The files of one stretch, in the order in which they are entered."""

    entered: list[str] = field(default_factory=list)
    last: dict[int, str] = field(default_factory=dict)  # by thread, so that two that take turns count no changes

    def enter(self, file: str) -> None:
        """Take a call into a file: it counts where the thread's call before was into another."""
        if self.last.get(threading.get_ident()) != file:
            self.last[threading.get_ident()] = file
            self.entered.append(file)

    def __str__(self) -> str:
        """ "26 files, 111 changes of file"."""
        return f"{len(set(self.entered))} files, {max(0, len(self.entered) - 1)} changes of file"


class Tracer:
    """Follows calls, and knows which stretch is under way."""

    def __init__(self) -> None:
        self.stretches = {name: Stretch() for name in STRETCHES}
        self.now: Stretch | None = None
        self.over: set[str] = set()
        self.ended = threading.Event()
        self.real_connect = sqlite3.connect

    def begin(self, name: str) -> None:
        """Begin a stretch, once."""
        if name not in self.over:
            self.now = self.stretches[name]

    def end(self, name: str) -> None:
        """End it, once."""
        if self.now is self.stretches[name]:
            self.now = None
            self.over.add(name)

    def profile(self, frame: FrameType, event: str, result: Any) -> None:
        """Take one event of `sys.setprofile`."""
        code = frame.f_code
        if event == "call":
            if self.now is not None and code.co_filename.startswith(OURS):
                self.now.enter(code.co_filename.removeprefix(f"{ROOT}/"))
            elif code.co_name == "send" and code.co_filename.endswith("requests/sessions.py"):
                self.end("typed to asked")
            elif code.co_name == "chat_postMessage" and code.co_filename.endswith("slack_sdk/web/async_client.py"):
                self.end("ledger to card")
                if "ledger to card" in self.over:
                    self.ended.set()
            elif code.co_name == "async_dispatch" and code.co_filename.endswith("slack_bolt/app/async_app.py"):
                body = getattr(frame.f_locals.get("req"), "body", {})
                if isinstance(body, dict) and body.get("command") == LINE.split(maxsplit=1)[0]:
                    self.begin("typed to asked")
        elif event == "return" and code.co_name == "plan" and type(result).__name__ == "Plan":
            self.begin("plan to ledger")

    def statement(self, sql: str) -> None:
        """Take one statement, as SQLite runs it: the first insert after the plan is its proposal."""
        if self.now is self.stretches["plan to ledger"] and sql.lstrip().upper().startswith("INSERT"):
            self.end("plan to ledger")
            self.begin("ledger to card")

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """Open a database as `sqlite3.connect` does, and hear of each statement."""
        connection: sqlite3.Connection = self.real_connect(*arguments, **options)
        connection.set_trace_callback(self.statement)
        return connection


async def walk(directory: Path) -> Tracer:
    """Play it."""
    from bot import app  # noqa: PLC0415
    from bot.config import settings  # noqa: PLC0415
    from bot.dispatch.registry import Registry  # noqa: PLC0415
    from bot.slack.manifest import manifest  # noqa: PLC0415
    from lab.config_files import SlackAccess  # noqa: PLC0415
    from lab.environment import PracticeEnvironment  # noqa: PLC0415
    from lab.slack.server import FakeSlack  # noqa: PLC0415

    tracer = Tracer()
    sqlite3.connect = tracer.connect  # type: ignore[assignment]
    async with AsyncExitStack() as ending:
        slack = await ending.enter_async_context(FakeSlack(manifest=manifest(Registry.load())))
        access = SlackAccess(slack.base_url, slack.bot_token, slack.app_token)
        environment = PracticeEnvironment("healthy", directory / "healthy", access)
        await asyncio.to_thread(environment.__enter__)
        ending.push_async_callback(asyncio.to_thread, environment.__exit__, None, None, None)
        stop = asyncio.Event()
        threading.setprofile(tracer.profile)
        bot = asyncio.create_task(app.serve(settings.load(environment.settings_path), stop))
        async with asyncio.timeout(60):
            while slack.workspace.connections < 2:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        sys.setprofile(tracer.profile)
        await slack.person("operator").types(LINE, "hv-ops")
        ended = await asyncio.to_thread(tracer.ended.wait, 60)
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        stop.set()
        await bot
        assert ended, f"the card was never posted; ended: {sorted(tracer.over)}"
    return tracer


def main() -> None:
    """Print."""
    typed = argparse.ArgumentParser(description="Count through how many files one command goes.")
    typed.add_argument("--list", action="store_true", help="each file, in the order in which it is entered")
    wanted = typed.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tracer = asyncio.run(walk(Path(directory)))
    for name, stretch in tracer.stretches.items():
        print(f"{name}: {stretch}")  # noqa: T201 - a script
        for file in stretch.entered if wanted.list else ():
            print(f"    {file}")  # noqa: T201


if __name__ == "__main__":
    main()
