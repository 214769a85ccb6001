"""Who decides, as Slack knows it: the groups of the roles, somebody else than one person, and the bot in each ops channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace

from bot.api.command import Role
from bot.config.inventory_file import Cluster, InventoryFile, LoadBalancer, StandaloneHost
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Rule, Settings, Slack, is_placeholder
from bot.dispatch.authorization import EVERYWHERE, Accounts
from bot.doctor.check import SLACK_LATER, DoctorCheck, blocks_remediations, fail, ok, skip, slack_fault, warn
from bot.errors import HvopsError
from bot.slack.audit_channel.channel_history import ChannelReader
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, make_client
from bot.slack.roles import LOOKED_UP, RoleResolver
from bot.slack.token_info import members

_EMPTY = "has no members"
_NAMED = 5  # places
_ENOUGH = 2  # people: who asks does not decide


async def check_approvers(settings: Settings) -> list[DoctorCheck]:
    """The user groups of all roles, the approvers, and the channels where plans are decided."""
    slack = settings.slack
    if slack is None:
        return []
    if not slack.is_set:
        return [skip("approvers", "not known yet: Slack is not set up", SLACK_LATER)]
    rules = list(settings.roles.rules())
    groups = dict.fromkeys(group for _, rule in rules for group in rule.groups)
    told = dict(zip(groups, await asyncio.gather(*(_group(slack, one) for one in groups)), strict=True))
    found = [check for check in told.values() if isinstance(check, DoctorCheck)]
    resolver = RoleResolver(make_client(slack.bot_token.get_secret_value(), slack.base_url), rules)
    accounts = Accounts(settings.people.same_person)
    found += [await _people(rule, told, resolver, accounts) for role, rule in rules if role is Role.APPROVER]
    try:
        inventory_file = load_inventory(settings.inventory)
    except HvopsError:
        return found  # said elsewhere
    return [*found, *_go(settings, inventory_file), *await _ops_channels(slack, inventory_file)]


def _go(settings: Settings, inventory_file: InventoryFile) -> Iterable[DoctorCheck]:
    """A stop holds everywhere, so a place where nobody has the role leaves it to the terminal to end one."""
    role = Role[settings.policy.go.upper()]
    held = {place.casefold() for one, rule in settings.roles.rules() if one >= role for place in rule.clusters}
    missing = [
        place for place in inventory_file.role_places() if EVERYWHERE not in held and place.casefold() not in held
    ]
    if not held or not missing:
        return ()
    named = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
    return (
        warn(
            "/hvops go",
            f"nobody can end a stop in Slack: no one has the role {role.name.lower()} on {named}",
            f'Add them to clusters under [roles.{role.name.lower()}], or write clusters = ["{EVERYWHERE}"].',
        ),
    )


async def _group(slack: Slack, group: str) -> frozenset[str] | DoctorCheck:
    if is_placeholder(group):
        return skip("user group", f"{group} is the example's placeholder", SLACK_LATER)
    try:
        people = await members(slack.bot_token.get_secret_value(), slack.base_url, group)
    except (NotSent, DeliveryUnknown) as error:
        return slack_fault("user group", error, of=group, do="Put the id of an existing user group into [roles].")
    return people or warn("user group", f"{group} {_EMPTY}", "Add people to it in Slack.")


async def _people(
    rule: Rule, told: dict[str, frozenset[str] | DoctorCheck], resolver: RoleResolver, accounts: Accounts
) -> DoctorCheck:
    """Counted are only those whom Slack names now and who can decide; accounts of one person are one."""
    what = "approvers"
    known = [told[group] for group in rule.groups]
    people = {one.rpartition("/")[2] for one in rule.users}
    people |= {one for group in known if isinstance(group, frozenset) for one in group}
    if not people and any(isinstance(group, DoctorCheck) and not _has_no_members(group) for group in known):
        return skip(what, "not known: their group cannot be read")
    barred: list[str] = []
    if len(people) <= LOOKED_UP:  # of more, somebody will do
        may = await resolver.may_decide(sorted(people))
        if any(one is None for one in may.values()):
            return warn(what, "not known: Slack did not say whether they are guests, bots or deactivated")
        barred = [one for one, able in may.items() if not able]
    humans = _humans(people.difference(barred), accounts)
    left_out = f"; not counted (guests, bots or deactivated): {', '.join(barred)}" if barred else ""
    if not humans:
        return blocks_remediations(
            fail(what, f"nobody, so no plan can be approved{left_out}", "Add people to [roles.approver].")
        )
    if humans < _ENOUGH:
        return warn(what, f"only one approver, who cannot approve their own plans{left_out}", "Add another approver.")
    return ok(what, f"{humans} people{left_out}")


def _has_no_members(group: DoctorCheck) -> bool:
    """Whether Slack said that there are none; else it was not read."""
    return group.says.endswith(_EMPTY)


def _humans(ids: Iterable[str], accounts: Accounts) -> int:
    found: list[str] = []
    for one in sorted(ids):
        if not any(accounts.are_one(one, other) for other in found):
            found.append(one)
    return len(found)


async def _ops_channels(slack: Slack, inventory_file: InventoryFile) -> Iterable[DoctorCheck]:
    channels: dict[str, list[str]] = {}
    places: list[Cluster | StandaloneHost | LoadBalancer] = [
        *inventory_file.clusters.values(),
        *inventory_file.hosts.values(),
        *inventory_file.load_balancer,
    ]
    for place in places:
        if place.ops_channel:
            channels.setdefault(place.ops_channel, []).append(place.name)
    looks: list[Awaitable[DoctorCheck]] = [_ops_channel(slack, one, " ".join(names)) for one, names in channels.items()]
    return await asyncio.gather(*looks)


async def _ops_channel(slack: Slack, channel: str, on: str) -> DoctorCheck:
    """Slack lets the bot read a channel that it is in; one message is asked for, and looked at by nobody."""
    what = "ops channel"
    try:
        await ChannelReader(slack.bot_token.get_secret_value(), slack.base_url, channel).newest(1)
    except NotSent as error:
        fault = slack_fault(what, error, of=channel, do="Plans are decided there.")
        return blocks_remediations(replace(fault, on=on))
    except DeliveryUnknown as error:
        return warn(what, f"{channel}: {error}", on=on)
    return ok(what, f"the bot is in {channel}", on=on)
