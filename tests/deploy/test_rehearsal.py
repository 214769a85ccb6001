"""docs/rehearsal.md, as it stands: its commands in a shell, with a PostgreSQL, two bots and a worker as processes of their own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from postgresql import TOOLS, cluster, search_path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rehearsal.md").read_text("utf-8")
LEFT_RUNNING = "  # leave it running"
PATIENCE = 240.0  # seconds; what is slower than this hangs
SETUP, MOVE, SITE, SECOND, WORKER, LOOK, END = (
    "0",
    "3. Into the database",
    "4. The site",
    "5. The second bot",
    "6. The worker",
    "7. Look",
    "9. Clear up",
)


def blocks() -> dict[str, list[str]]:
    """The commands by heading; those before the first heading prepare each terminal."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE):
        title = part.partition("\n")[0] if found else SETUP
        found[title] = re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    return found


def until(done: Callable[[], object], what: str) -> object:
    ends = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < ends, what
        time.sleep(0.1)
    return found


class Terminals:
    """Shells in which the commands of the page are run, each begun as the page says."""

    def __init__(self, home: Path, environment: dict[str, str]):
        self.home, self.environment = home, environment
        self.begin = "".join(blocks()[SETUP])
        self.left: list[subprocess.Popen] = []

    def run(self, block: str) -> str:
        """What it prints; it has to end well."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.begin + block],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, f"{block}\n{ended.stdout}\n{ended.stderr}"
        return " ".join(ended.stdout.split())

    def leave(self, block: str, says: str) -> subprocess.Popen:
        """Start it, and come back once it says that; `exec`, so that the process is hvops itself."""
        assert LEFT_RUNNING in block
        *before, last = block.strip().splitlines()
        log = self.home / f"terminal-{len(self.left)}.log"
        script = "\n".join((self.begin, *before, f"exec {last}"))
        with log.open("wb") as out:
            started = subprocess.Popen(["bash", "-euc", script], cwd=ROOT, env=self.environment, stdout=out, stderr=out)
        self.left.append(started)

        def said() -> bool:
            assert started.poll() is None, log.read_text()
            return says in log.read_text()

        until(said, f"{last}: {says}")
        return started

    def end(self) -> None:
        for one in reversed(self.left):
            stop(one)


def stop(process: subprocess.Popen, how: signal.Signals = signal.SIGINT) -> None:
    """Ctrl-C."""
    if process.poll() is None:
        process.send_signal(how)
        process.wait(30)


class Slack:
    """The page of the practice Slack, used through its API."""

    def __init__(self, address: str):
        self._http = httpx.Client(base_url=address, headers={"Origin": address}, timeout=30)

    def close(self) -> None:
        self._http.close()

    def types(self, who: str, text: str) -> None:
        self._act({"as": who, "act": "types", "channel": "C0OPS", "text": text, "thread_ts": None})

    def _act(self, told: dict[str, object]) -> None:
        assert self._http.post("/practice/act", json=told).json()["ok"], told

    def texts(self, who: str) -> list[str]:
        messages = self._http.get("/practice/state", params={"as": who}).json()["messages"]
        return [f"{one['text']} {one['blocks']}" for channel in messages.values() for one in channel]

    def sees(self, who: str, *words: str) -> None:
        """Wait until a message says one of these; where none does, what was said last is what is wrong."""
        try:
            until(lambda: any(each in text for text in self.texts(who) for each in words), f"{words}")
        except AssertionError:
            pytest.fail(f"{words} in none of {self.texts(who)[-5:]}")

    def approves(self, line: str) -> str:
        """Have it proposed by the operator and approved by the approver. The ticket's name."""
        self.types("operator", line)
        card = until(lambda: self._card(line), line)
        self._act({"as": "approver", "act": "clicks", "channel": "C0OPS", "value": None, **card["press"]})
        return card["ticket"]

    def _card(self, line: str) -> dict | None:
        _, host, service = line.split()
        for one in self._http.get("/practice/state", params={"as": "approver"}).json()["messages"]["C0OPS"]:
            title = str(one["blocks"])
            if f"({service}) on {host}?" not in title:
                continue
            for block in one["blocks"]:
                for element in block.get("elements", ()):
                    if element.get("action_id", "").endswith("t-approve"):
                        press = {"message": one["ts"], "block_id": block["block_id"], "action_id": element["action_id"]}
                        return {"press": press, "ticket": re.search(r"T-[0-9]+", title)[0]}
        return None


@pytest.fixture
def terminals(tmp_path, need_tool):
    for name in TOOLS:
        need_tool(name)
    with cluster() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute("CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'changes everything'")
        with psycopg.connect(
            f"postgresql://dba:changes%20everything@127.0.0.1:{server.port}/postgres", autocommit=True
        ) as admin:
            admin.execute("ALTER ROLE hvops RENAME TO first_administrator")  # the page makes a role of that name
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HVOPS_", "PG"))}
        tools = os.pathsep.join((search_path(), kept.pop("PATH", "")))
        told = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "dba", "PGPASSWORD": "changes everything"}
        opened = Terminals(tmp_path, {**kept, **told, "HOME": str(tmp_path), "PATH": tools})
        opened.begin = f"{opened.begin}export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
        try:
            yield opened
        finally:
            opened.end()


@pytest.mark.long
@pytest.mark.postgresql
def test_the_page_leads_from_one_bot_to_two_and_a_site(terminals, request):
    told = blocks()
    first, practice = "2. One bot, on a file", "1. The practice environment"
    terminals.leave(told[practice][0], "Ctrl-C here ends")
    healthy, other = terminals.home / "rehearsal" / "healthy", terminals.home / "rehearsal" / "bot-b"
    settings = (healthy / "settings.toml").read_text()
    slack = Slack(re.search(r'base_url = "(http://127\.0\.0\.1:[0-9]+)/api/"', settings)[1])
    request.addfinalizer(slack.close)

    bot = terminals.leave(told[first][0], "slack connected")
    slack.approves("/restart-service br01 CryptSvc")
    slack.sees("operator", "T-1* Done")
    stop(bot)

    for block in told[MOVE]:
        said = terminals.run(block)
    assert "Changes are not stopped." in said
    prepare, start = told[SITE]
    terminals.run(prepare)
    bots = [terminals.leave(start, "slack connected")]
    copy, _, start = told[SECOND][0].rpartition("\n" + "hvops run")
    terminals.run(copy)
    bots.append(terminals.leave(f"cd ~/rehearsal/healthy\nhvops run{start}", "slack connected"))
    prepare, start = told[WORKER]
    assert "No failures." in terminals.run(prepare)
    worker = terminals.leave(start, "hvops worker runs")
    for block in told[LOOK][0].strip().splitlines():
        said = terminals.run(block)
        assert "0 fail, 2 warn" in said
        assert "2 bots: " in said
        assert "branch1: answers in" in said

    for _ in bots:  # Slack gives each line to another connection
        slack.types("operator", "/check-writers branch")
    until(lambda: sum("writers healthy on all 4 nodes" in text for text in slack.texts("operator")) == 2, "writers")
    ticket = slack.approves("/restart-service br02 CryptSvc")
    slack.sees("operator", f"{ticket}* Done")

    ticket = slack.approves("/restart-service br03 CryptSvc")
    look = f"hvops doctor --settings {healthy}/settings.toml | tr -s ' \\n' ' '"
    runs = until(
        lambda: re.search(rf"\(process ([0-9]+)\)[^;]*runs {ticket}\b", held(terminals, ticket)), "who runs it"
    )
    killed = next(one for one in bots if one.pid == int(runs[1]))
    killed.kill()
    killed.wait(30)
    slack.sees("operator", f"{ticket}* Done")
    assert "1 bot: " in terminals.run(look)

    stop(worker)
    slack.types("operator", "/check-writers branch")
    slack.sees("operator", "no worker of branch1 is there")

    terminals.end()
    terminals.run(told[END][0])
    assert not other.exists()


def held(terminals: Terminals, ticket: str) -> str:
    """What the bots tell of themselves, without the looks at hosts that doctor takes besides: the ticket would be over."""
    code = (
        "from bot.config.settings import load; from bot.ledger.places import open_locks; from bot.other_bots import describe;"
        f"from pathlib import Path; locks = open_locks(load(Path({str(terminals.home / 'rehearsal/healthy/settings.toml')!r}))"
        ".ledger.place); print(describe(locks.present()))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=terminals.environment, capture_output=True, text=True, check=True
    ).stdout
