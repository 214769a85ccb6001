"""Write what this version stores and prints, for every later one to read: `python -m tests.releases.write`.

Once, when a version is released; its folder is never written again. `settings.toml`, `inventory.toml` and `case.toml` are
written by hand, with every key there is. The rest is what this version makes of them, and of an incident that is played:

    ledger.db, ledger.key, anchors.txt   tickets in every state: an incident, and behind it what an incident has no time for
    ledger.json                          what is in it: how many entries of each kind, and the state of each ticket
    settings.json, inventory.json        what was read, key by key
    audit.csv, audit.jsonl, audit.db     the exports of that ledger
    capture.json                         of `hvops record`
    printed/*.json, *.jsonl, *.csv       what the command line prints for programs
"""

# ruff: noqa: T201, E402 - it says where it is; what stories need lies beside the tests

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from entry_samples import FAR, entry_data
from pydantic import BaseModel, SecretStr

from bot.config.inventory_file import load as load_inventory
from bot.config.settings import load as load_settings
from bot.ledger import Entry, EntryDraft, Ledger, Reader
from bot.ledger.entries import Proposed
from bot.ledger.ticket_state import KINDS
from lab import world
from lab.plugin import PRACTICE
from lab.slack import simulated_user
from tests.stories.conftest import playing

FOLDER = Path(__file__).parent / version("hvops")
PAST = "2026-11-29T00:00:00+00:00"
ASKING, DECIDING = "T0PRACTICE/U0OPERATOR", "T0PRACTICE/U0APPROVER"
SCENARIO = "missing-vm"
PATIENCE = 600.0  # seconds: on a busy machine
# What is printed for programs -> the scenario and the rest of the command line.
PRINTED: Mapping[str, tuple[str, ...]] = {
    "report.json": ("stuck-writer", "--json", "/check-writers prod"),
    "report-with-table.json": ("healthy", "--json", "/find-full-guests prod"),
    "plan.json": ("healthy", "--json", "/drain-node hv03"),
    "no-plan.json": ("stuck-writer", "--json", "/drain-node hv03"),
    "refused.json": ("healthy", "--json", "/check-writer prod"),
}
# Who does not answer by the scenario itself: a guest too old to be asked in time, one with another password, one without a name.
SILENT: Mapping[str, set[str]] = {"report-with-table.json": {"sap-old-01", "crm-03", "lab-dc-02"}}


# --- the incident ------------------------------------------------------------------------------------------------


async def play(folder: Path) -> Path:
    """Play it with the real bot. Answers the folder of its ledger."""
    world.migration.SECONDS = dict.fromkeys(world.migration.SECONDS, 0.02)
    world.drain.BETWEEN = 0.01
    simulated_user.PATIENCE = PATIENCE
    os.environ.update(HVOPS_LIMITS__PER_HOST_SECONDS="300", HVOPS_LIMITS__OVERALL_SECONDS="600")
    world.services.STOPPING_SECONDS = world.services.STARTING_SECONDS = 0.1
    async with playing(folder, SCENARIO) as ops:
        await ops.says("/check-writers prod")
        await ops.sees("6 of 6 nodes answered")
        await ops.says("/drain-node hv03", who="viewer")
        await _recorded(ops, "refused", 1)
        await _decided(ops, "/fix-missing-vm crm-01 --by database", "T-1", "Approve")
        waits = await ops.slack.person("operator").sees(
            re.compile("T-1 is waiting for a manual step: Refresh"), "hv-ops"
        )
        await ops.guest_admin("Refresh in VMM")
        await ops.clicks(waits, "Done")
        done = await ops.slack.person("operator").sees(re.compile("^T-1 DONE|^Done: Fix missing"), "hv-ops")
        await _recorded(ops, "done", 1)
        await ops.clicks(done, "Undo…")
        await _approved(ops, "T-2", "Approve")
        await _recorded(ops, "done", 2)
        await _decided(ops, "/prove-migration crm-04 --to hv02", "T-3", "Approve")
        await _recorded(ops, "done", 3)
        await _decided(ops, "/soak-migrations crm-04 3 --between hv06 hv02", "T-4", "Approve")
        await _recorded(ops, "done", 4)
        await _decided(ops, "/drain-node hv05", "T-5", "Approve")
        await _recorded(ops, "done", 5)
        await _decided(ops, "/resume-node hv05", "T-6", "Confirm", who="operator")
        await _recorded(ops, "done", 6)
        await _decided(ops, "/drain-node hv04", "T-7", "Reject…")
        window = await ops.slack.person("approver").sees_view("Reject T-7")
        await ops.slack.person("approver").submits(window, {"Why?": "Not during the backup window."})
        await _recorded(ops, "rejected", 1)
        await _decided(ops, "/drain-node hv04", "T-8", "Withdraw", who="operator")
        await _recorded(ops, "withdrawn", 1)
        await ops.says("/hvops stop vendor is on the phone")
        await _recorded(ops, "stop", 1)
        await ops.says("/hvops go", who="approver")
        await _recorded(ops, "go", 1)
        await _recorded(ops, "anchor", 1)
    for name in ("HVOPS_LIMITS__PER_HOST_SECONDS", "HVOPS_LIMITS__OVERALL_SECONDS"):
        del os.environ[name]
    return folder / SCENARIO


async def _recorded(ops: Any, kind: str, times: int) -> None:
    """Wait until the ledger has that many entries of a kind, without proving it each time."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with Reader(ops.estate.settings_path.with_name("ledger.db")) as ledger:
                if sum(entry.kind == kind for entry in ledger.every()) >= times:
                    return
            await asyncio.sleep(0.2)


async def _decided(ops: Any, line: str, ticket: str, button: str, who: str = "approver") -> None:
    await ops.says(line)
    await _approved(ops, ticket, button, who)


async def _approved(ops: Any, ticket: str, button: str, who: str = "approver") -> None:
    await _recorded(ops, "proposed", int(ticket.removeprefix("T-")))
    plan = await ops.sees(f"*{ticket}* · requested by", channel="hv-ops")
    await ops.clicks(plan, button, who=who)


def complete(ledger: Ledger) -> None:
    """Add tickets in the states that an incident has no time for, each with the plan of the drain that was played."""
    real = next(one for one in ledger.every() if one.kind == "proposed" and "drain-node hv05" in one.line)

    def say(kind: str, ticket: str | None = None, actor: str = "bot", **fields: Any) -> Entry:
        return ledger.append(actor, entry_data(kind, fields), ticket)

    def proposed(**fields: Any) -> str:
        told = {**real.fields, "open_until": FAR, "run_until": None, "asked": None, **fields}
        entry = ledger.append(ASKING, Proposed(**told))
        assert entry.ticket
        return entry.ticket

    def approved(start_by: str = FAR, **fields: Any) -> str:
        ticket = proposed(**fields)
        answers = [{"what": one, "answer": "seen in its console"} for one in fields.get("open_questions", ())]
        say("approved", ticket, DECIDING, by=DECIDING, digest=real.fields["digest"], start_by=start_by, answers=answers)
        return ticket

    def started(*locks: str, **fields: Any) -> str:
        ticket = approved(**fields)
        say("started", ticket, attempt=1, locks=locks, measured="hv04 is up")
        return ticket

    def step(ticket: str, kind: str, key: str, **fields: Any) -> None:
        say(kind, ticket, step=key, round=1, **{"attempt": 1, **fields})

    say("clicked", None, DECIDING, button="approve T-5", answer="T-5", forged=True)
    say(
        "refused", None, ASKING, line="/drain-node hv99", category="not understood", command="drain-node", target="hv99"
    )
    for what, more in (
        ("thread-reply", {"missing": ["card", "files"]}),
        ("missing-part", {"part": "files"}),
        ("direct-message", {"to": "U0APPROVER"}),
        ("reminder", {}),
    ):
        say("shown", real.ticket, what=what, **more)
    for what in ("audit", "audit-begin", "stop"):
        say("shown", None, what=what)

    proposed()
    approved(open_questions=["free space of crm-03"])
    step(
        started("node:running"),
        "intent",
        "drain",
        action="MSCluster_Node.Pause",
        before=[{"Name": "hv04", "State": 0}],
        held_before="no",
    )
    waits = started("node:interrupted")
    step(waits, "intent", "drain")
    say(
        "interrupted", waits, reason="hv04 did not answer in time.", step="drain", number=1, known="It may be draining."
    )
    rests = started("node:resting")
    say("interrupted", rests, reason="It waits for a backup window.", yields_locks=True)
    say("expired", proposed(open_until=PAST), reason="Nobody decided in time.")
    say("lapsed", approved(start_by=PAST), reason="It could not start in time.")
    other = approved()
    ledger.append_together(
        EntryDraft("bot", entry_data("voided", {"reason": "The plan changed.", "difference": ["- a", "+ b"]}), other),
        EntryDraft(
            ASKING, Proposed(**{**real.fields, "open_until": FAR, "run_until": None, "replaces": other, "asked": None})
        ),
    )
    fails = started("node:fails")
    step(fails, "intent", "drain")
    step(
        fails, "outcome", "drain", result="failed", message="The provider failed.", after=None, measured=["hv04 is up"]
    )
    say(
        "failed",
        fails,
        reason="The provider failed.",
        step="drain",
        number=1,
        rolled_back=True,
        measured=["hv04 is up"],
    )
    ends = started("node:cancelled")
    say(
        "step-confirmed",
        ends,
        DECIDING,
        by=DECIDING,
        step="look",
        round=1,
        answers=[{"what": "revision", "answer": "7"}],
    )
    say("cancel-asked", ends, ASKING, by=ASKING)
    say("cancelled", ends, reason="Somebody asked for it.", step="drain", number=1)
    closed = started("node:closed")
    say("interrupted", closed, reason="The bot was restarted.")
    say("resumed", closed, DECIDING, by=DECIDING, attempt=2, locks=["node:closed"])
    say("interrupted", closed, reason="The bot was restarted.")
    say("closed", closed, DECIDING, by=DECIDING, reason="Done by hand.")


def contents(ledger: Ledger) -> dict[str, Any]:
    """What is in a ledger: what a later version has to find in it."""
    entries = list(ledger.every())
    tickets = list(dict.fromkeys(one.ticket for one in entries if one.kind == "proposed"))
    found = {name: ledger.ticket(name) for name in tickets}
    return {
        "entries": len(entries),
        "head": entries[-1].mac.hex(),
        "kinds": dict(sorted(Counter(one.kind for one in entries).items())),
        "tickets": {
            name: {"state": str(one.state), "end": one.end, "digest": one.digest, "locks": sorted(one.locks)}
            for name, one in found.items()
            if one is not None
        },
        "held": ledger.locks(),
        "undone": {name: list(back) for name in tickets if (back := ledger.undos_of(name))},
    }


# --- the rest ----------------------------------------------------------------------------------------------------


def hvops(*words: object) -> str:
    """What a command line prints. On a busy machine a host may take its time."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HVOPS_")}
    patient = {"HVOPS_LIMITS__PER_HOST_SECONDS": "300", "HVOPS_LIMITS__OVERALL_SECONDS": "600"}
    done = subprocess.run(
        [sys.executable, "-m", "bot", *map(str, words)],
        stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT, env=clean | patient | {"NO_COLOR": "1"},
    )  # fmt: skip
    return done.stdout


def plain(value: Any) -> Any:
    """Settings as JSON, with their secrets: they are made up."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {type(value).model_fields[name].alias or name: plain(one) for name, one in value}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


@contextmanager
def private_copy(folder: Path) -> Iterator[Path]:
    """The files of a release where this user alone may read them, as a bot wants its own."""
    with tempfile.TemporaryDirectory(prefix="hvops-") as made:
        for file in folder.iterdir():
            if file.is_file():
                Path(shutil.copy(file, made)).chmod(0o600)
        yield Path(made)


def read_files(folder: Path) -> dict[str, Any]:
    """What is read of the settings and the inventory of a release: paths as they were written."""
    with private_copy(folder) as made:
        told = plain(load_settings(made / "settings.toml"))
        stored = json.dumps(told).replace(f"{made}/", "")
        return {"settings": json.loads(stored), "inventory": plain(load_inventory(made / "inventory.toml"))}


def keys_left_out(folder: Path) -> list[str]:
    """Keys that this version knows and the files written by hand do not have. The database of a ledger is left out."""
    missing = []
    for name, value in read_files(folder).items():
        written = _names(tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")))
        missing += sorted(_names(value) - written - {"name", "database"})
    return missing


def _names(told: Any) -> set[str]:
    return {path.replace(".[]", "").rpartition(".")[2] for path in shape(told)}


def shape(value: Any, at: str = "") -> dict[str, set[str]]:
    """Every path in a JSON value with the types that stand there; the elements of a list have one path."""
    found: dict[str, set[str]] = {at: {type(value).__name__}} if at else {}
    inside = (
        value.items()
        if isinstance(value, Mapping)
        else (("[]", one) for one in value)
        if isinstance(value, list)
        else ()
    )
    for name, one in inside:
        for path, types in shape(one, f"{at}.{name}" if at else str(name)).items():
            found.setdefault(path, set()).update(types)
    return found


def exported(folder: Path) -> dict[str, str]:
    """The exports of a ledger, by file name."""
    return {
        f"audit.{form}": hvops("audit", "export", "--format", form, "--file", folder / "ledger.db")
        for form in ("csv", "jsonl")
    }


def printed(name: str) -> str:
    """What the command line prints for programs: one of PRINTED, as somebody who may ask it."""
    scenario, *rest = PRINTED[name]
    return re.sub(r'"as": "os:[^"]*"', '"as": "os:ops1"', hvops("ask", "--lab", scenario, *rest))


def checked() -> str:
    """What `hvops doctor --json` prints."""
    with tempfile.TemporaryDirectory(prefix="hvops-") as made, PRACTICE.start("healthy", Path(made)) as running:
        return hvops("doctor", "--json", "--settings", running.settings_path).replace(made, "/etc/hvops")


def main() -> None:
    """Write the folder of this version. Raises SystemExit where keys are left out of the files written by hand."""
    if missing := keys_left_out(FOLDER):
        raise SystemExit(f"{FOLDER}: not in settings.toml or inventory.toml: {', '.join(missing)}")
    for name, value in read_files(FOLDER).items():
        _write(f"{name}.json", json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    with tempfile.TemporaryDirectory(prefix="hvops-") as made:
        folder = asyncio.run(play(Path(made)))
        with Ledger(folder / "ledger.db", folder / "ledger.key", folder / "anchors.txt") as ledger:
            complete(ledger)
            assert ledger.verify().holds
            _write("ledger.json", json.dumps(contents(ledger) | {"known": sorted(KINDS)}, indent=1) + "\n")
        database = sqlite3.connect(folder / "ledger.db")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        for name in ("ledger.db", "ledger.key", "anchors.txt"):
            shutil.copy(folder / name, FOLDER / name)
        for name, text in exported(folder).items():
            _write(name, text)
        hvops("audit", "export", "--sqlite", folder / "audit.db", "--file", folder / "ledger.db")
        shutil.copy(folder / "audit.db", FOLDER / "audit.db")
        with PRACTICE.start("stuck-writer", Path(made) / "recorded") as running:
            hvops(
                "record", "--settings", running.settings_path, "-o", Path(made) / "capture.json", "/check-writers hv03"
            )
        shutil.copy(Path(made) / "capture.json", FOLDER / "capture.json")
    for name in PRINTED:
        text = printed(name)
        silent = {one["target"] for one in json.loads(text).get("report", {}).get("unanswered", ())}
        if missing := silent - SILENT.get(name, set()):
            raise SystemExit(
                f"{name}: no answer from {', '.join(sorted(missing))}, so it is not whole. Write it again."
            )
        _write(f"printed/{name}", text)
    _write("printed/doctor.jsonl", checked())
    print(FOLDER)


def _write(name: str, text: str) -> None:
    file = FOLDER / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
