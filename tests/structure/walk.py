"""How many files a reader passes who follows `/drain-node` from Slack to its plan in Slack, and how often they change file.

    python -m tests.structure.walk [--runs 3] [--list] [--play NODE_ID]     # `make walk`

A story test that types the line is played as it is, with a profiler under it. Counted are calls, and resumptions of
coroutines and generators, of code that lies in `bot/` or `commands/`.

    files     distinct files of ours
    changes   calls in another file of ours than the call before: what a debugger shows. It grows with the data: a loop
              over the lines of a plan that calls a helper in another file counts twice a line
    once      the same, with each function counted only when it is first called: what a reader does

Where one stretch ends and the next begins is told by things that are not ours:

    typed     slack_sdk gives the listeners of Socket Mode a payload that holds the line
    envelope  urllib3 is given the first request with a body: a WS-Man envelope (the legs of a login have none)
    planning  the call of the function that returns that plan
    plan      a function called `plan` in `commands/` returns an object of a class called `Plan`
    entry     SQLite begins the first INSERT that names the command
    card      slack_sdk is told to call chat.postMessage with buttons, for that host

`request` counts only what descends from the payload: the mark is a context variable, which tasks copy by themselves and
which is carried here into threads and pools as well. Loops that were there before are left out, and so is whatever they
do for this request (a queue with a worker of its own): `window` counts all that ran meanwhile, by the clock alone. A
redesign that lowers `request` and not `window` has moved the work out of sight. Between envelope and planning lies one
question after the other, many side by side: nothing that a reader walks, so it is not counted.

Threads and answers take turns as they like: figures differ a little between runs, hence the median of several.
"""

# ruff: noqa: T201 - it prints its table

from __future__ import annotations

import argparse
import ast
import asyncio
import contextvars
import functools
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.web.async_base_client import AsyncBaseClient
from urllib3 import HTTPConnectionPool

ROOT = Path(__file__).parents[2]
OURS = ("bot", "commands")
COMMAND, HOST = "drain-node", "hv03"
MOMENTS = ("typed", "envelope", "planning", "plan", "entry", "card")
STRETCHES = (("typed", "envelope"), ("planning", "entry"), ("plan", "entry"), ("entry", "card"))
SCOPES = ("request", "window")

_of_request: contextvars.ContextVar[bool] = contextvars.ContextVar("of_request", default=False)


@dataclass(frozen=True)
class Count:
    """What a list of calls amounts to. `order` names each file where it is first seen."""

    files: int
    changes: int
    once: int
    order: tuple[str, ...]


def counted(calls: Iterable[tuple[str, object]]) -> Count:
    """Count consecutive calls, each given as its file and its function."""
    calls = list(calls)
    files = [file for file, _ in calls]
    first = [file for file, _ in dict.fromkeys(calls)]
    return Count(len(set(files)), changes(files), changes(first), tuple(dict.fromkeys(files)))


def changes(files: Iterable[str]) -> int:
    """How often the next one is another one."""
    return sum(one != other for one, other in pairwise(files))


class Tracer:
    """Notes each call in files of ours, whether it belongs to the request, and when the moments came."""

    def __init__(self, root: Path, rooms: Sequence[str] = OURS) -> None:
        self._prefixes = tuple(f"{root / room}/" for room in rooms)
        self._root = root
        self._names: dict[str, str] = {}
        self._planning: dict[FrameType, int] = {}
        self.calls: list[tuple[str, CodeType, bool]] = []
        self.moments: dict[str, int] = {}

    def start(self) -> None:
        """Watch this thread, and all that begin from now on."""
        threading.setprofile(self.profile)
        sys.setprofile(self.profile)

    def stop(self) -> None:
        """Watch no more; threads that run go on unnoticed."""
        threading.setprofile(None)  # type: ignore[arg-type]
        sys.setprofile(None)

    def reached(self, moment: str) -> bool:
        """Whether it came; each comes once, in order."""
        return moment in self.moments

    def reach(self, moment: str) -> None:
        """Note a moment, if it is the next one that is due; the last one ends it all."""
        if MOMENTS[len(self.moments) :][:1] == (moment,):
            self.moments[moment] = len(self.calls)
            if moment == MOMENTS[-1]:
                self.stop()

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        """What Python calls for every call and return."""
        if MOMENTS[-1] in self.moments or not (name := self._name(frame.f_code.co_filename)):
            return
        is_plan = frame.f_code.co_name == "plan" and name.startswith(f"{OURS[1]}/") and _of_request.get()
        if event == "call":
            if is_plan and "plan" not in self.moments:
                self._planning.setdefault(frame, len(self.calls))
            self.calls.append((name, frame.f_code, _of_request.get()))
        elif event == "return" and is_plan and type(arg).__name__ == "Plan" and MOMENTS[1] in self.moments:
            began = self._planning.pop(frame, None)
            if began is not None and "plan" not in self.moments:
                self.moments |= {"planning": began, "plan": len(self.calls)}

    def _name(self, filename: str) -> str:
        """A file of ours as it is written from the root; "" for any other."""
        name = self._names.get(filename)
        if name is None:
            ours = filename.startswith(self._prefixes)
            name = self._names[filename] = Path(filename).relative_to(self._root).as_posix() if ours else ""
        return name

    def between(self, one: str, other: str, scope: str) -> Count:
        """Count a stretch. Raises KeyError where it was not walked."""
        calls = self.calls[self.moments[one] : self.moments[other]]
        return counted((name, code) for name, code, of_request in calls if of_request or scope == "window")


def watch(tracer: Tracer) -> None:
    """Set the marks in the libraries, for as long as this process lives."""
    _carry_context()
    _wrap(AsyncBaseSocketModeClient, "run_message_listeners", functools.partial(_typed, tracer))
    _wrap(HTTPConnectionPool, "urlopen", functools.partial(_envelope, tracer))
    _wrap(AsyncBaseClient, "api_call", functools.partial(_card, tracer))
    connect = sqlite3.connect

    def connected(*args: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*args, **named)
        connection.set_trace_callback(functools.partial(_statement, tracer))
        return connection

    sqlite3.connect = connected  # type: ignore[assignment]


def _typed(tracer: Tracer, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    payload = args[1].get("payload") or {}
    if payload.get("command") == f"/{COMMAND}" and not tracer.reached("typed"):
        _of_request.set(True)
        tracer.reach("typed")


def _envelope(tracer: Tracer, _: tuple[Any, ...], named: dict[str, Any]) -> None:
    if named.get("body") and _of_request.get():
        tracer.reach("envelope")


def _statement(tracer: Tracer, sql: str) -> None:
    if sql.lstrip().upper().startswith("INSERT") and COMMAND in sql:
        tracer.reach("entry")


def _card(tracer: Tracer, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    told = json.dumps(named.get("json") or {})
    if args[1] == "chat.postMessage" and '"actions"' in told and HOST in told:
        tracer.reach("card")


def _wrap(owner: type, name: str, tell: Callable[[tuple[Any, ...], dict[str, Any]], None]) -> None:
    """Have `tell` called before a method, in the context of its caller."""
    real = getattr(owner, name)

    def telling(*args: Any, **named: Any) -> Any:
        tell(args, named)
        return real(*args, **named)

    async def telling_async(*args: Any, **named: Any) -> Any:
        tell(args, named)
        return await real(*args, **named)

    setattr(owner, name, telling_async if asyncio.iscoroutinefunction(real) else telling)


def _carry_context() -> None:
    """Let pools and threads work in the context of whoever gave them the work, as tasks do."""
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def submitted(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        return submit(pool, contextvars.copy_context().run, work, *args, **named)

    def started(thread: threading.Thread) -> None:
        thread.run = functools.partial(contextvars.copy_context().run, thread.run)  # type: ignore[method-assign]
        start(thread)

    ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign]
    threading.Thread.start = started  # type: ignore[method-assign]


class Watched:
    """A pytest plugin: the tracer is on while the test runs, and off once the card is there."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Any:
        """Play one test."""
        self._tracer.start()
        try:
            return (yield)
        finally:
            self._tracer.stop()


def scene() -> str:
    """The first test that types the line into the practice Slack, wherever it lies: it takes the fixture `play`."""
    for path in sorted((ROOT / "tests").rglob("test_*drain*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef) and "play" in [one.arg for one in node.args.args]:
                said = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                if f"/{COMMAND} {HOST}" in said:
                    return f"{path.relative_to(ROOT).as_posix()}::{node.name}"
    raise SystemExit(f"No test types /{COMMAND} {HOST}; name one with --play.")


def play(node_id: str) -> dict[str, dict[str, Any]]:
    """Play it in this process: "typed envelope request" -> its count. Raises SystemExit if it fails."""
    tracer = Tracer(ROOT)
    watch(tracer)
    quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([node_id, *quiet], plugins=[Watched(tracer)])
    missing = [moment for moment in MOMENTS if not tracer.reached(moment)]
    if code or missing:
        raise SystemExit(
            f"{node_id}: pytest ended with {code}; moments that never came: {', '.join(missing) or 'none'}"
        )
    found = {}
    for one, other in STRETCHES:
        for scope in SCOPES:
            found[f"{one} {other} {scope}"] = asdict(tracer.between(one, other, scope))
    return found


def play_apart(node_id: str) -> dict[str, dict[str, Any]]:
    """Play it in a fresh process: what one run leaves imported or remembered is not another's."""
    with tempfile.TemporaryDirectory() as directory:
        into = Path(directory) / "counts.json"
        command = [sys.executable, "-m", "tests.structure.walk", "--play", node_id, "--into", str(into)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        found: dict[str, dict[str, Any]] = json.loads(into.read_text(encoding="utf-8"))
    return found


def show(runs: Sequence[dict[str, dict[str, Any]]], *, lists: bool) -> None:
    """Print the medians, the least and the most changes, and the files of the last run."""
    columns = ("files", "changes", "once")
    head = "".join(f"{column:>9}" for column in columns)
    print(f"{'from':<9}{'to':<9}{head}{'(changes)':>14}    window:{head}")
    for one, other in STRETCHES:
        rows = {scope: [run[f"{one} {other} {scope}"] for run in runs] for scope in SCOPES}
        request, window = (
            "".join(f"{statistics.median_low(row[column] for row in rows[scope]):>9}" for column in columns)
            for scope in SCOPES
        )
        spread = sorted(row["changes"] for row in rows["request"])
        print(f"{one:<9}{other:<9}{request}{f'{spread[0]} to {spread[-1]}':>14}           {window}")
    if lists:
        for one, other in STRETCHES:
            order = runs[-1][f"{one} {other} request"]["order"]
            rest = [name for name in runs[-1][f"{one} {other} window"]["order"] if name not in order]
            print(f"\n{one} -> {other}, in the order in which they are first seen:")
            for at, name in enumerate(order, 1):
                print(f"{at:4d} {name}")
            for name in rest:
                print(f"   - {name}   (window only)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.structure.walk", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="how often it is played, each time in a fresh process")
    parser.add_argument("--list", action="store_true", help="the files of each stretch, in order")
    parser.add_argument("--play", metavar="NODE_ID", help="another test that types the line")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    node_id = asked.play or scene()
    if asked.into:
        asked.into.write_text(json.dumps(play(node_id)), encoding="utf-8")
        return
    print(f"/{COMMAND} {HOST}, played by {node_id}; median of {asked.runs}")
    show([play_apart(node_id) for _ in range(asked.runs)], lists=asked.list)


if __name__ == "__main__":
    main()
