"""A backup runs when a guest or a shared volume says so; a hint decides nothing; silence is unknown."""

import pytest

from bot.api.facts import Unknown
from commands.sources.backup_state import Backup, backup_state
from commands.sources.cluster import Cluster, SharedVolume
from commands.sources.guests import Guest, Power

SILENT = Unknown("hv03", "timed out", "no answer in 20 s.")
IDLE = (Guest("1", "crm-01", Power.RUNNING),)
HELD = (Guest("1", "crm-01", Power.RUNNING, backing_up=True),)


def cluster(*, volumes=(), hint=False):
    return Cluster("prod", (), volumes=volumes, backup_hint=hint)


BACKED_UP = (SharedVolume("Volume1", backing_up=True, fault=0), SharedVolume("Volume2", backing_up=False, fault=0))


@pytest.mark.parametrize(
    ("guests", "of", "runs"),
    [
        (IDLE, cluster(), False),
        (IDLE, None, False),
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
    assert backup_state(guests, of).runs is runs


def test_in_words():
    assert backup_state(IDLE, cluster(hint=True)).says == "No backup runs. BackupInProgress is set, which can be stale."
    assert backup_state(SILENT, None).says == "Whether a backup runs is not known."
    both = backup_state(HELD, cluster(volumes=BACKED_UP, hint=True))
    assert both == Backup(runs=True, guests=("crm-01",), volumes=("Volume1",), hint=True)
    assert both.says == "A backup runs: 1 guest backing up (crm-01); shared volume Volume1 in backup."
