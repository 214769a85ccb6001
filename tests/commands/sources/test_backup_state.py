"""No backup runs only where guests, volumes, shadow copies, writers and every named product were asked and answered."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.plan import GateOutcome
from commands.sources import backup_state as sources
from commands.sources.backup_state import NOT_SAID, BackupProducts, ask_backup_products, backup_state, no_backup
from commands.sources.cluster import Cluster, SharedVolume
from commands.sources.commvault import UNREADABLE, BackupJob, jobs_of
from commands.sources.guests import Guest, Power
from commands.sources.snapshots import Snapshot

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
SILENT = Unknown("hv03", "timed out", "no answer in 20 s.")
IDLE = (Guest("1", "crm-01", Power.RUNNING),)
HELD = (Guest("1", "crm-01", Power.RUNNING, backing_up=True),)
NONE = BackupProducts(())
JOB = BackupJob(7, "Running", "Backup", "hv03.corp.example", "", "", None, None)
HELD_COPY = Snapshot("a", NOW, "", "", persistent=False, no_auto_release=False)
KEPT_COPY = Snapshot("b", NOW, "", "", persistent=True, client_accessible=False, no_auto_release=True)


def cluster(*, volumes=(), hint=False):
    return Cluster("prod", (), volumes=volumes, backup_hint=hint)


def state(guests=IDLE, of=None, copies=(), products=NONE, **more):
    return backup_state("hv03", guests, of or cluster(), copies, products, **more)


def commvault(*jobs):
    return BackupProducts(("commvault",), jobs)


BACKED_UP = (SharedVolume("Volume1", backing_up=True, fault=0), SharedVolume("Volume2", backing_up=False, fault=0))


@pytest.mark.parametrize(
    ("guests", "of", "runs"),
    [
        (IDLE, cluster(), False),
        (HELD, cluster(), True),
        (IDLE, cluster(volumes=BACKED_UP), True),
        (SILENT, cluster(), None),
        (SILENT, cluster(volumes=BACKED_UP), True),
        (IDLE, cluster(volumes=SILENT), None),
        (HELD, cluster(volumes=SILENT), True),
        (IDLE, cluster(hint=True), False),
        (IDLE, cluster(hint=SILENT), False),
    ],
)
def test_who_says_that_a_backup_runs(guests, of, runs):
    assert state(guests, of).runs is runs
    assert state(guests, of).holds_guests is runs


def test_a_host_that_stands_alone_has_no_shared_volumes():
    assert backup_state("hv03", IDLE, None, (), NONE).runs is False


@pytest.mark.parametrize(
    ("products", "runs", "missing"),
    [
        (NONE, False, []),
        (commvault(), False, []),
        (commvault(JOB), True, []),
        (commvault(replace(JOB, client="PROD")), True, []),
        (commvault(replace(JOB, client="crm-01.corp.example")), True, []),
        (commvault(replace(JOB, client="elsewhere")), False, []),
        (commvault(replace(JOB, status="Pending")), False, []),
        (commvault(replace(JOB, status="Killed")), False, []),
        (commvault(replace(JOB, client="")), None, ["which machine job 7 saves"]),
        (commvault(replace(JOB, status=UNREADABLE)), None, ["whether job 7 runs"]),
        (commvault(replace(JOB, status=UNREADABLE, client="crm-01")), None, ["whether job 7 runs"]),
        (commvault(replace(JOB, status=UNREADABLE, client="elsewhere")), False, []),
        (BackupProducts(("commvault",), SILENT), None, ["the jobs of CommVault"]),
        (BackupProducts(("veeam",)), None, ["backups of hv03 by Veeam"]),
        (
            BackupProducts(("dpm", "windows-server-backup")),
            None,
            ["backups of hv03 by DPM", "backups of hv03 by Windows Server Backup"],
        ),
        (BackupProducts(("commvault", "our own script")), None, ["backups of hv03 by our own script"]),
        (BackupProducts(("commvault", "veeam"), (JOB,)), True, ["backups of hv03 by Veeam"]),
        (NOT_SAID, None, ["which backup products save hv03"]),
    ],
)
def test_every_product_that_the_inventory_names_has_to_answer(products, runs, missing):
    backup = state(products=products)
    assert backup.runs is runs
    assert [one.what for one in backup.unknowns] == missing
    gate = no_backup("hv03", backup)
    assert gate.outcome is {True: GateOutcome.BLOCKED, False: GateOutcome.PASSED, None: GateOutcome.NOT_KNOWN}[runs]
    assert [one.what for one in gate.unknowns] == (missing if runs is None else [])
    assert all(one.remedy for one in gate.unknowns if one.what != "the jobs of CommVault")


def test_a_product_that_nobody_can_ask_leaves_the_guests_word_standing():
    backup = state(products=BackupProducts(("veeam",)))
    assert backup.holds_guests is False
    assert backup.says == "No backup of a guest is running; unknown whether another one is: Veeam cannot be asked."


@pytest.mark.parametrize(
    ("copies", "since", "runs", "missing"),
    [
        ((HELD_COPY,), None, True, []),
        ((KEPT_COPY,), None, False, []),
        ((KEPT_COPY,), NOW + timedelta(minutes=1), False, []),
        ((KEPT_COPY,), NOW - timedelta(minutes=1), None, ["what made the newest shadow copies of hv03"]),
        ((replace(KEPT_COPY, made=None),), NOW, None, ["what made the newest shadow copies of hv03"]),
        ((replace(KEPT_COPY, persistent=None),), None, None, ["what made the newest shadow copies of hv03"]),
        (SILENT, None, None, ["the shadow copies of hv03"]),
    ],
)
def test_shadow_copies_speak_for_a_backup_of_the_host(copies, since, runs, missing):
    backup = state(copies=copies, since=since)
    assert (backup.runs, backup.holds_guests) == (runs, runs)
    assert [one.what for one in backup.unknowns] == missing


def test_a_writer_that_waits_in_a_new_instance_speaks_for_one():
    backup = state(waits_anew=("System Writer",))
    assert backup.runs is None
    assert [one.what for one in backup.unknowns] == ["why System Writer of hv03 waits in a new instance"]


def test_in_words():
    hinted = state(IDLE, cluster(hint=True))
    assert hinted.says == "No backup is running. BackupInProgress is set, which can be stale."
    assert state(SILENT).says == "Unknown whether a backup is running: hv03: no answer in 20 s."
    every = state(HELD, cluster(volumes=BACKED_UP, hint=True), (HELD_COPY,), commvault(JOB))
    assert every.says == (
        "A backup is running: 1 guest backing up (crm-01); shared volume Volume1 in backup; job 7 of CommVault;"
        " a shadow copy of 22 Nov 22:41 UTC, which lasts only as long as the program that made it."
    )
    assert no_backup("hv03", state()).measured == "asked: guests, shared volumes, shadow copies; backup products: none"
    assert state(products=commvault()).asked == "guests, shared volumes, shadow copies; backup products: CommVault"


async def test_only_commvault_is_asked(scripted):
    nobody = scripted({})
    for backup in (None, (), ("veeam",)):
        assert await ask_backup_products(Target("hv03", "host", "prod", backup=backup), nobody) == BackupProducts(
            backup
        )
    assert nobody.asked == []
    row = {"job": 7, "status": "Running", "client": "hv03"}
    ask = scripted({("commvault", "commvault active jobs"): [row]})
    both = await ask_backup_products(Target("hv03", "host", "prod", backup=("commvault", "veeam")), ask)
    assert [job.number for job in both.jobs] == [7]


class Strangers:
    """Whoever is asked knows none of the clients; counts how many are looked up at a time."""

    def __init__(self):
        self.now = self.most = 0

    async def find_host(self, name):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Unknown(name, "not in the inventory", "there is no such host.")

    async def query(self, source):
        return SILENT

    async def query_many(self, sources):
        return dict.fromkeys(sources, SILENT)


async def test_whose_thousands_of_jobs_are_is_found_out_beside_the_loop_and_few_at_a_time(monkeypatch):
    """A backup product can tell twenty thousand, each of a client of its own."""
    threads = []

    def looked(names, jobs):
        threads.append(threading.current_thread())
        return jobs_of(names, jobs)

    monkeypatch.setattr(sources, "jobs_of", looked)
    ask, jobs = Strangers(), tuple(replace(JOB, number=at, client=f"client-{at}") for at in range(2_000))
    found = await sources.find_strangers(Target("hv03", "host", "prod"), jobs, ask)
    assert found == {one.client for one in jobs}
    assert threads
    assert threading.main_thread() not in threads
    assert ask.most <= 64
