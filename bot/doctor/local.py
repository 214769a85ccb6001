"""What can be seen on this machine: settings, file permissions, the ledger, Kerberos; and Slack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bot.config.settings import Settings, permission_warnings
from bot.dispatch.evidence_limits import LEAST_FREE, free_bytes
from bot.doctor.audit_channel import audit_channel
from bot.doctor.check import SLACK_LATER, DoctorCheck, fail, ok, skip, slack_fault, warn
from bot.errors import HvopsError, LedgerError
from bot.executor.external_records import NOT_ASKED
from bot.ledger.anchors import is_elsewhere, patiently
from bot.ledger.key import check_places, read_key
from bot.ledger.verify import verify
from bot.ledger_place import Database
from bot.redaction import SHORTEST
from bot.slack.manifest import BOT_SCOPES
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent
from bot.slack.token_info import account, can_connect
from bot.transport.windows import kerberos

_PROOF_SECONDS = 600.0  # a long ledger takes minutes; an anchor file on a share that is away, for ever
_REINSTALL = "Add it under OAuth & Permissions (deploy/slack.yaml has them all) and reinstall the app."


def check_local(settings: Settings) -> Iterator[DoctorCheck]:
    """Everything that needs no network."""
    yield ok("settings", str(settings.file))
    yield from _permissions(settings)
    if any(len(secret) < SHORTEST for secret in settings.secrets()):
        yield warn("masking", f"a password shorter than {SHORTEST} characters cannot be masked", "Set a longer one.")
    yield from _roles(settings)
    yield _ledger(settings)
    yield from _disk(settings)
    yield _outside(settings)
    yield from _kerberos(settings)


def _permissions(settings: Settings) -> Iterator[DoctorCheck]:
    """Who else can read or write what is hvops'; the anchor file may be on a share that does not answer."""
    try:
        exposed = patiently(settings.ledger.anchor_file, partial(permission_warnings, settings))
    except LedgerError as error:
        yield warn("permissions", str(error), "Run hvops doctor again once it answers.")
        return
    yield from (warn("permissions", *warning.split(" Run: ", 1)) for warning in exposed)
    if not exposed:
        yield ok("permissions", "secrets are readable by this account only")


async def ledger_connection(settings: Settings) -> list[DoctorCheck]:
    """Whether a pooler shares the sessions of the database in which a ledger is to begin; one that is there is not opened so."""
    place = settings.ledger.place
    if not isinstance(place, Database) or settings.ledger.may_be_begun:
        return []
    from bot.transport.sites.database import QueueAway, is_pooled  # noqa: PLC0415 - only where there is a database

    try:
        if not await is_pooled(place):
            return []
    except QueueAway:  # which the look at the ledger itself has said
        return []
    says = f"{place} is reached through a pooler that shares sessions, where no lock outlives a transaction"
    do = "Connect to PostgreSQL itself, or set pool_mode = session for this database in PgBouncer."
    return [fail("ledger", says, do)]


async def slack(settings: Settings) -> list[DoctorCheck]:
    """Tokens, scopes, and the audit channel."""
    if settings.slack is None:
        return [skip("slack", "not in the settings", "Write a table [slack] to run the bot.")]
    if not settings.slack.is_set:
        return [skip("slack", "not set up yet: the tokens are the example's", SLACK_LATER)]
    bot, app = settings.slack.bot_token.get_secret_value(), settings.slack.app_token.get_secret_value()
    url = settings.slack.base_url
    found: list[DoctorCheck] = []
    try:
        told = await account(bot, url)
        found.append(ok("slack bot token", f"{told.user} in {told.team}"))
        found.append(_scopes(told.scopes))
    except (NotSent, DeliveryUnknown) as error:
        found.append(slack_fault("slack bot token", error))
    try:
        await can_connect(app, url)
        found.append(ok("slack app token", "can open Socket Mode"))
    except (NotSent, DeliveryUnknown) as error:
        found.append(slack_fault("slack app token", error, "app"))
    return [*found, *await audit_channel(settings, settings.slack)]


def _scopes(scopes: frozenset[str] | None) -> DoctorCheck:
    if scopes is None:
        return skip("slack scopes", "Slack did not say which scopes the token has")
    missing = sorted(set(BOT_SCOPES) - scopes)
    if missing:
        return fail("slack scopes", f"missing: {', '.join(missing)}", _REINSTALL)
    extra = sorted(scopes - set(BOT_SCOPES))
    if extra:
        return warn("slack scopes", f"more than needed: {', '.join(extra)}", "Remove them; the bot uses none of them.")
    return ok("slack scopes", f"all {len(BOT_SCOPES)}")


def _roles(settings: Settings) -> Iterator[DoctorCheck]:
    rules = list(settings.roles.rules())
    if not rules:
        yield fail("roles", "no role is set, so nobody may ask", "Write a table [roles.viewer].")
        return
    for role, rule in rules:
        if not (rule.groups or rule.users or rule.system_users):
            yield warn("roles", f"no one has the {role.name.lower()} role", "Name groups, users or system_users.")
    yield ok("roles", ", ".join(role.name.lower() for role, _ in rules))


def _ledger(settings: Settings) -> DoctorCheck:
    files = settings.ledger
    if not files.may_be_begun:
        return skip("ledger", "there is none yet; the first question creates it")
    elsewhere = partial(is_elsewhere, files.place, files.anchor_file)
    try:
        patiently(files.anchor_file, partial(check_places, files.place, files.key_file, files.anchor_file))
        proof = partial(verify, files.place, read_key(files.key_file), files.anchor_file)
        verdict = patiently(files.anchor_file, proof, _PROOF_SECONDS)
        is_beside = not patiently(files.anchor_file, elsewhere)
    except LedgerError as error:
        return fail("ledger", str(error))
    if not verdict.holds:
        at = f"entry {verdict.broken_at}: " if verdict.broken_at is not None else ""
        return fail("ledger", f"{at}{verdict.says}", "Run hvops audit verify.")
    if verdict.notes or (verdict.end and not is_beside):
        return warn("ledger", f"{verdict.says} {' '.join(verdict.remarks)}", "Run hvops audit verify.")
    if is_beside:
        return warn(
            "ledger",
            f"{verdict.entries} entries verified, but the anchors are on the same disk",
            "Set anchor_file to a place out of reach of anyone who can truncate the ledger.",
        )
    return ok("ledger", f"{verdict.entries} entries hold, {verdict.anchors} anchors match")


def _disk(settings: Settings) -> Iterator[DoctorCheck]:
    """Room for entries; a database's administrators watch theirs."""
    free = free_bytes(settings.ledger.place)
    if free is not None and free < LEAST_FREE:
        says = f"the disk that holds {settings.ledger.place} has only {free >> 20} MB free, so answers are not stored"
        yield warn("disk", says, "Make room on it: once it is full, nothing is answered, decided or started.")


def _outside(settings: Settings) -> DoctorCheck:
    """Whether an external record could show that this ledger is a restored copy."""
    files, what = settings.ledger, "external records"
    if not files.require_anchor:
        return warn(what, NOT_ASKED, "Set require_anchor = true once an external record can be read.")
    if settings.slack is not None and settings.slack.audit_channel:
        return ok(what, f"the audit channel {settings.slack.audit_channel} and the hosts' event logs are checked")
    try:
        is_enough = patiently(files.anchor_file, partial(is_elsewhere, files.place, files.anchor_file))
    except LedgerError as error:
        return warn(what, str(error), "Until it answers, only the hosts' event logs can show it.")
    if is_enough:
        return ok(what, f"{files.anchor_file} and the hosts' event logs are checked")
    return warn(
        what,
        "only the hosts' event logs can show that this ledger is a restored copy; a change that acts on no Windows host, "
        "such as one in VMM's database, does not start",
        "Set [slack] audit_channel, or put anchor_file on another disk; [ledger] require_anchor = false turns the check off.",
    )


def _kerberos(settings: Settings) -> Iterator[DoctorCheck]:
    used = [name for name, one in settings.credentials.profiles().items() if one.transport == "kerberos"]
    if not used:
        return
    if not kerberos.is_installed():
        yield fail("kerberos", f"{', '.join(used)} logs in by Kerberos, which is not installed", kerberos.INSTALL)
        return
    file = Path(os.environ.get("KRB5_CONFIG", "/etc/krb5.conf").partition(":")[0])
    if file.exists():
        yield ok("kerberos", f"{file}, for {', '.join(used)}")
    else:
        yield warn("kerberos", f"there is no {file}", "Without it the realm and its KDC must be found through DNS.")


def settings_unreadable(error: HvopsError) -> DoctorCheck:
    """Settings or inventory that cannot be used: nothing else can be looked at."""
    return fail("settings", str(error))
