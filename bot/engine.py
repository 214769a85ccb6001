"""The engine: everything between a typed line and its report, made from the settings. Slack and terminal share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.discover import Directory
from bot.estate import Estate
from bot.estate import load as load_estate
from bot.ledger import Ledger
from bot.look import Look, Progress
from bot.mask import Mask
from bot.pipeline import Pipeline
from bot.reach.reach import Reach
from bot.reach.ways import Credentials, Ways
from bot.reach.winrm import Tap
from bot.registry import Registry
from bot.settings import Credential, Settings
from bot.vocabulary.questions import Recall
from bot.vocabulary.rows import Rows


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts, wired."""

    settings: Settings
    estate: Estate
    registry: Registry
    ledger: Ledger
    ways: Ways
    reach: Reach
    directory: Directory
    pipeline: Pipeline


@contextmanager
def engine(settings: Settings, tap: Tap | None = None) -> Iterator[Engine]:
    """Make the engine, and close it afterwards.

    Args:
        settings: as read.
        tap: is told every request and reply; for `hvops record`.

    Raises:
        SettingsError: the estate or a command is wrong.
        LedgerError: the ledger cannot be opened.
    """
    estate = load_estate(settings.estate)
    registry = Registry.load()
    ways = ways_of(settings, estate)
    ledger = open_ledger(settings)
    reach = Reach(ways, at_once=settings.limits.at_once, tap=tap)
    try:
        directory = Directory(estate, reach, ways, settings.limits.per_host_seconds)
        look = partial(_look, reach, ledger, settings)
        pipeline = Pipeline(registry, directory, ledger, look, Mask(settings.secrets()))
        yield Engine(settings, estate, registry, ledger, ways, reach, directory, pipeline)
    finally:
        reach.close()
        ledger.close()


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name, with their secrets masked. Raises LedgerError."""
    files = settings.ledger
    return Ledger(files.path, files.key_file, files.anchor_file, Mask(settings.secrets()))


def ways_of(settings: Settings, estate: Estate) -> Ways:
    """Which name is reached where, by which login."""
    return Ways(estate, {name: _login(credential) for name, credential in settings.credentials.profiles().items()})


def _look(
    reach: Reach, ledger: Ledger, settings: Settings, now: datetime, progress: Callable[[Progress], None] | None
) -> Look:
    def recall(question: Recall) -> Rows:
        return ledger.recall(question.on, question.what, now - timedelta(hours=question.hours))

    return Look(reach, recall, now, settings.limits, progress)


def _login(credential: Credential) -> Credentials:
    return Credentials(
        transport=credential.transport,
        username=credential.username,
        password=credential.password.get_secret_value(),
        certificate=credential.certificate,
        key=credential.key,
        ca_file=credential.ca_file,
    )
