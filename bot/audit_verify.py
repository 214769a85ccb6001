"""`hvops audit verify`: the ledger against its key, its anchor file, and what the audit channel remembers.

Beside the rooms it takes from, as the examiner is: the ways in never import each other, and this needs both.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.cli.audit import MOST_NOTES, mask_copy, print_verdict
from bot.config.settings import LedgerFiles, Settings
from bot.errors import LedgerError, SettingsError, UsageError
from bot.ledger import Reader
from bot.ledger.anchors import anchors_in
from bot.ledger.chain_heads import is_anchor_like, parse_anchors
from bot.ledger.entries import AnchorPosted
from bot.ledger.key import check_places, read_key
from bot.ledger.verify import HEADS_EVERY, AnchorSet, is_kept_elsewhere, verify
from bot.ledger_place import Place
from bot.masked_settings import load_masked
from bot.private_files import check_regular
from bot.slack.audit_channel.anchor_messages import BotIdentity, ClassifiedAnchors, classify
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.export import is_export, messages_in

_LONGEST_LINE = 4096  # bytes; what is longer is looked at in pieces
_SNIFFED = 200  # lines at the beginning of a file, by which it is known what it is


@dataclass(slots=True)
class AnchorMemory:
    """What is remembered elsewhere: the first anchor file as such, for it may be long; the rest in memory."""

    file: Path | None = None
    is_outside: bool = False
    kept: list[AnchorSet] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def add(self, where: str, sifted: ClassifiedAnchors) -> None:
        """Take in what a channel remembers."""
        self.kept.append(AnchorSet(where, sifted.anchors))
        self.doubts += sifted.doubts
        if not sifted.anchors:
            self.doubts.append(f"There is no anchor {where} that can be believed.")


def verify_audit_log(
    file: Path | None,
    settings: Path | None,
    key: Path | None,
    anchors: Iterable[Path] = (),
    *,
    channel: bool = False,
) -> int:
    """Verify, and say it in words.

    Args:
        file: a copy; None: the ledger of the settings.
        settings: their file, or None for the usual one. Where file and key are given and this is not, only what to mask is
            taken from it, where it can be read.
        key: its file; None: the one of the settings.
        anchors: anchor files, text copied from the audit channel, Slack exports, each also through a pipe; none: the
            file of the settings.
        channel: also read the audit channel of the settings.

    Returns:
        The exit code: 0 where it holds, an anchor outside shows that it ends where it should, and there is nothing to
        note; 1 otherwise.

    Raises:
        SettingsError: the settings lack what is needed, or cannot be read and were named.
        LedgerError: there is no ledger, or no key, or another account could have put those of the settings there.
        UsageError: one of the files is no memory of a ledger, or holds not one anchor.
        NotSent: the channel cannot be read.
    """
    told = None if file and key and not settings and not channel else load_masked(settings)
    if told is None:
        mask_copy(None)
    files = told.ledger if told else None
    place: Place = file or (files.place if files else Path())
    if files and not file and not key:
        check_places(files.place, files.key_file, files.anchor_file)
    with tempfile.TemporaryDirectory(prefix="hvops-anchors-") as folder:
        memory = _memory(tuple(anchors), files, place, Path(folder))
        if channel and told is not None:
            posted, doubts = _anchored(place)  # before the channel is read: the bot goes on posting meanwhile
            where, messages, own = _read_channel(told)
            memory.add(where, classify(messages, frozenset({own})))
            memory.doubts += (*doubts, *_gone(posted, told.need_slack().audit_channel, messages))
        verdict = verify(
            place,
            read_key(key or (files.key_file if files else Path())),
            memory.file,
            memory.kept,
            is_outside=memory.is_outside,
            minutes=files.anchor_minutes if files else HEADS_EVERY,
        )
    verdict = verdict.beside(memory.doubts)
    print_verdict(place, verdict)
    return 0 if verdict.is_complete else 1


def _memory(given: tuple[Path, ...], files: LedgerFiles | None, ledger: Place, folder: Path) -> AnchorMemory:
    """What the files remember; what comes through a pipe is put into the folder, for it can be read but once."""
    memory = AnchorMemory()
    if not given and files:
        try:
            check_regular(files.anchor_file)
        except OSError as error:
            raise LedgerError(f"{files.anchor_file}: anchors cannot be read: {error.strerror}.") from None
        memory.file, memory.is_outside = files.anchor_file, is_kept_elsewhere(ledger, files.anchor_file)
    for number, path in enumerate(given):
        if not path.exists():
            raise UsageError(
                f"{path}: there is no such file. --anchors takes an anchor file, copied text or an export."
            )
        _remember(memory, path, _at_rest(path, folder / str(number)), ledger)
    return memory


def _at_rest(path: Path, copy: Path) -> Path:
    """The file, or a copy of what came through a pipe."""
    if path.is_file() or path.is_dir():
        return path
    try:
        with path.open("rb") as pipe, copy.open("wb") as file:
            shutil.copyfileobj(pipe, file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    return copy


def _remember(memory: AnchorMemory, path: Path, at_rest: Path, ledger: Place) -> None:
    """Take in one file. Raises UsageError where there is not one anchor in it that can be believed."""
    where = f"in {path.name}"
    if is_export(at_rest):
        own, doubts = _known_by(ledger)
        found = classify(messages_in(at_rest), own)
        memory.doubts += doubts
    elif _is_pasted(at_rest):
        found = ClassifiedAnchors(*parse_anchors(at_rest.read_text("utf-8", "replace")))
    elif next(anchors_in(at_rest), None) is None:
        found = ClassifiedAnchors((), ())
    elif memory.file is None:
        memory.file, memory.is_outside = at_rest, is_kept_elsewhere(ledger, path)
        return
    else:
        is_outside = is_kept_elsewhere(ledger, path)
        memory.kept.append(AnchorSet(where, tuple(anchors_in(at_rest)), is_outside, is_of_each=True))
        return
    if not found.anchors:
        why = " ".join((*memory.doubts, *found.doubts)[:MOST_NOTES])
        raise UsageError(
            f"{path}: there is not one anchor in it that can be believed, so it proves nothing. --anchors takes an"
            f" anchor file, text copied from the audit channel or an export of it. {why}".rstrip()
        )
    memory.add(where, found)


def _is_pasted(path: Path) -> bool:
    """Whether a file holds sentences rather than the lines of an anchor file."""
    return any(is_anchor_like(line) for line in _first_lines(path))


def _first_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for _ in range(_SNIFFED):
            yield file.readline(_LONGEST_LINE).decode("utf-8", "replace")


def _known_by(ledger: Place) -> tuple[frozenset[BotIdentity], Sequence[str]]:
    """As whom the bot posted, by the ledger itself: an export does not say which of its apps is this one."""
    posted, doubts = _anchored(ledger)
    told = (BotIdentity(one.user, one.bot) for one in posted)
    return frozenset(one for one in told if one.user and one.bot), doubts


def _anchored(ledger: Place) -> tuple[Sequence[AnchorPosted], Sequence[str]]:
    """The heads that were posted, by the ledger itself; and a sentence for each of which it cannot be read."""
    try:
        with Reader(ledger) as reader:
            entries = reader.entries(kind="anchor", limit=-1)
    except (LedgerError, ValueError, TypeError):
        return (), ()  # what is wrong with it is for the proof to say
    posted = [told for one in entries if (told := one.read_if(AnchorPosted)) is not None]
    doubts = [
        f"Not compared: {one.doubt}, and it says where a head was posted, and as whom." for one in entries if one.doubt
    ]
    return posted, doubts


def _read_channel(settings: Settings) -> tuple[str, list[dict[str, Any]], BotIdentity]:
    """All messages of the audit channel, asked of Slack with the bot's token, and who the bot is there."""
    slack = settings.need_slack()
    if not slack.audit_channel:
        raise SettingsError(
            f"{settings.file}: [slack] audit_channel is not set, so there is no channel to compare with."
        )
    channel = ChannelReader(slack.bot_token.get_secret_value(), slack.base_url, slack.audit_channel)
    messages, own = asyncio.run(_everything(channel))
    if sys.stderr.isatty():
        print(file=sys.stderr)  # noqa: T201 - ends the line of the progress
    return f"in the audit channel {slack.audit_channel}", messages, own


async def _everything(channel: ChannelReader) -> tuple[list[dict[str, Any]], BotIdentity]:
    own = await channel.own()
    return await channel.everything(_progress), own


def _gone(posted: Iterable[AnchorPosted], channel: str, messages: list[dict[str, Any]]) -> list[str]:
    """What the ledger says was posted there and is there no longer."""
    there = {str(one.get("ts")) for one in messages}
    gone = [one.head for one in posted if one.channel == channel and one.ts not in there]
    if not gone:
        return []
    heads = "A head is" if len(gone) == 1 else f"{len(gone)} heads are"
    return [
        f"{heads} no longer in the channel, the newest of entry {max(gone)}: deleted, or older than the channel keeps."
    ]


def _progress(messages: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{messages:,} messages of the audit channel read", end="", file=sys.stderr, flush=True)  # noqa: T201 - progress
