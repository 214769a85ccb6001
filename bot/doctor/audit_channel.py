"""The audit channel: can it be read, is its newest head this ledger's, and was the newest end anchored there?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bot.config.settings import Settings, Slack
from bot.doctor.check import DoctorCheck, fail, ok, skip, slack_fault, warn
from bot.errors import LedgerError
from bot.formatting import duration
from bot.ledger import Entry, Filter, Reader
from bot.ledger.anchors import Anchor, AnchorSeal
from bot.ledger.key import read_key
from bot.slack.audit_channel.anchor_messages import ClassifiedAnchors, classify
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.audit_channel.newest_head import newest_posted
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent

_CHANNEL, _HEADS = "slack audit channel", "audit heads"
_RUNS = "Is the bot running? /hvops status says how the audit channel is."
_VERIFY = "Run hvops audit verify --channel."
_GONE = "While hvops does not find it, it posts no head there. Find out who deleted it, then set another audit_channel."


async def audit_channel(settings: Settings, slack: Slack, now: datetime | None = None) -> list[DoctorCheck]:
    """Look at the newest page of the channel."""
    if not slack.audit_channel:
        return [warn(_CHANNEL, "none is set", "Set audit_channel: decisions and ledger heads are posted there.")]
    channel = ChannelReader(slack.bot_token.get_secret_value(), slack.base_url, slack.audit_channel)
    try:
        sifted = classify(await channel.newest(), frozenset({await channel.own()}))
    except (NotSent, DeliveryUnknown) as error:
        return [slack_fault(_CHANNEL, error)]
    found = [ok(_CHANNEL, f"{slack.audit_channel} can be read and posted to")]
    found += [warn("a head in it", doubt, _VERIFY) for doubt in sifted.doubts]
    try:
        return [*found, *_heads(settings, slack.audit_channel, sifted, now or datetime.now(UTC))]
    except LedgerError:
        return found  # what is wrong with the ledger is said elsewhere


def _heads(settings: Settings, channel: str, sifted: ClassifiedAnchors, now: datetime) -> Iterator[DoctorCheck]:
    if not settings.ledger.may_be_begun:
        yield skip(_HEADS, "there is no ledger yet")
        return
    key = read_key(settings.ledger.key_file)
    with Reader(settings.ledger.place) as reader:
        seal = AnchorSeal(key, reader.ledger_id(key))
        origins = [seal.origin(anchor) for anchor in sifted.anchors]
        if strangers := origins.count("foreign"):
            yield skip(_HEADS, f"{strangers} from another ledger that posts there too")
        if forged := origins.count("forged"):
            yield fail(_HEADS, f"{forged} claim to be from this ledger but were not made with its key", _VERIFY)
        own = [anchor for anchor, origin in zip(sifted.anchors, origins, strict=True) if origin == "ours"]
        if wrong := next((anchor for anchor in own if not _is_ours(reader, anchor)), None):
            yield fail(_HEADS, _says_of(reader, wrong), _VERIFY)
            return
        newest = max((anchor.seq for anchor in own), default=0)
        if not newest and (gone := newest_posted(reader, channel)) is not None:
            yield warn(_HEADS, f"the head of entry {gone} was posted there, and its newest messages hold none", _GONE)
            return
        late = _first_after(reader, newest)
    patience = timedelta(minutes=2 * settings.ledger.anchor_minutes)
    if late is not None and now - datetime.fromisoformat(late.at) > patience:
        since = duration((now - datetime.fromisoformat(late.at)).total_seconds())
        yield warn(_HEADS, f"entry {late.seq} is {since} old, and no head in the channel covers it", _RUNS)
    elif newest:
        yield ok(_HEADS, f"the newest head is for entry {newest} of this ledger")
    else:
        yield skip(_HEADS, "none yet")


def _says_of(reader: Reader, known: Anchor) -> str:
    """Both heads, where the channel knows another ledger than this one."""
    head = reader.head()
    return (
        f"the channel records entry {known.seq} with mac {known.mac.hex()[:12]}, but this ledger's newest is entry "
        f"{head.seq if head else 0} with mac {head.mac.hex()[:12] if head else ''}. Was it restored from a copy?"
    )


def _is_ours(reader: Reader, anchor: Anchor) -> bool:
    entry = reader.entry(anchor.seq)
    return entry is not None and entry.mac == anchor.mac


def _first_after(reader: Reader, newest: int) -> Entry | None:
    """The oldest entry that no head covers and that is worth one: what only tells the channel is not."""
    later = reader.find(Filter(after=newest), 20, newest_first=False)
    return next((one for one in later if not one.is_anchoring), None)
