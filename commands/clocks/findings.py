"""Each clock that is off, in words: how far, what it means, what to do.

w32tm /query /status names the source of a machine's time, w32tm /resync sets its clock by that [doc]. The PDC emulator
is the source of its domain [doc]. A virtual domain controller that takes its host's time, while the host takes its time
from the domain, drifts with it: the classic cause [note].
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.api.facts import Unknown
from bot.api.report import Finding, Severity
from commands.clocks.compare import BOT, KERBEROS, TENTH, WARNING, Clock, Comparison, Pair, Skew, spread
from commands.formatting import join_names, pluralize

DOMAIN_TIME = (
    "If one node is off, check its time source first. If the whole domain is off, check the PDC emulator, the domain's "
    "time source: if it is a VM, turn off Time Synchronization in that VM's integration services, so that it does not take "
    "its time from its Hyper-V host."
)
_MOST = 6  # clocks with a finding of their own
_HOUR = timedelta(hours=1)


def findings_of(compared: Comparison) -> tuple[Finding, ...]:
    """Worst first."""
    shown, rest = compared.off[:_MOST], compared.off[_MOST:]
    worst = (compared.worst,) if compared.worst and compared.worst not in compared.off else ()
    return (
        *(_apart(pair, compared) for pair in worst),
        *(_bot_off(pair, compared) if pair.clock.is_bot else _node_off(pair, compared) for pair in shown),
        *_rest(rest),
    )


def not_precise(pair: Pair) -> Unknown:
    """A clock of which it cannot be said whether it is in time."""
    clock = "The bot's clock" if pair.clock.is_bot else "Its clock"
    says = f"{clock} is {format_difference(pair)}: too imprecise to compare with the {format_span(WARNING)} limit."
    return Unknown(pair.clock.name, "not precise enough", says, "Run the check again: a faster answer is more precise.")


def format_difference(pair: Pair) -> str:
    """How far, against whom, how surely: "12 s ahead of hv05 (± 0.4 s)"."""
    way = "behind" if pair.difference < timedelta() else "ahead of"
    return f"{format_span(pair.difference)} {way} {pair.other.name} (± {format_limit(pair.uncertainty)})"


def format_span(span: timedelta) -> str:
    """A length of time without its sign: "0.4 s", "432 s", "61 min", "26 h", "12 days"."""
    seconds = abs(span.total_seconds())
    for unit, length, least in (("days", 86_400, 3 * 86_400), ("h", 3_600, 10 * 3_600), ("min", 60, 1_000)):
        if seconds >= least:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def format_limit(span: timedelta) -> str:
    """An upper limit: rounded up, so that it never says less than is so."""
    return format_span(-(-span // TENTH) * TENTH)


def _node_off(pair: Pair, compared: Comparison) -> Finding:
    name = pair.clock.name
    by_hand = f"On {name}, run w32tm /query /status. If the time source is right, run w32tm /resync."
    return Finding(
        _severity(pair),
        "SKEWED",
        name,
        f"{format_difference(pair)}. {_who_agrees(compared.agreeing)}",
        (("Means", _meaning(pair)), *_whole_hours(pair), ("By hand", by_hand)),
    )


def _bot_off(pair: Pair, compared: Comparison) -> Finding:
    return Finding(
        _severity(pair),
        "SKEWED",
        pair.clock.name,
        f"{format_difference(pair)}. {_who_agrees(compared.agreeing)}",
        (
            (
                "Means",
                "Either the bot's clock or the whole domain's time is wrong. If it is the bot's clock, its times are wrong, too.",
            ),
            *_whole_hours(pair),
            (
                "By hand",
                "On the bot's machine, run timedatectl, and chronyc tracking or the equivalent for its time service.",
            ),
            ("Next", "If the bot's time is right, check the domain's PDC emulator: run w32tm /query /status there."),
        ),
    )


def _rest(pairs: Sequence[Pair]) -> tuple[Finding, ...]:
    """Those without a finding of their own, in one."""
    if not pairs:
        return ()
    each = join_names(f"{pair.clock.name} is {format_difference(pair)}" for pair in pairs)
    return (Finding(_severity(pairs[0]), "SKEWED", pluralize(len(pairs), "more clock"), f"{each}."),)


def _apart(pair: Pair, compared: Comparison) -> Finding:
    """The worst pair: two clocks that both are off, or where it is not known which of them is."""
    names = [clock.name for clock in (pair.clock, pair.other) if not clock.is_bot]
    says = format_difference(pair) if names == [pair.clock.name] else f"{pair.clock.name} is {format_difference(pair)}"
    lines: tuple[tuple[str, str], ...] = (("Means", _meaning(pair)), *_whole_hours(pair))
    if not compared.agreeing:
        lines = (
            *lines,
            ("Because", _undecided(names, len(compared.apart) - 1)),
            ("By hand", _find_the_wrong_one(names)),
        )
    return Finding(_severity(pair), "SKEWED", " and ".join(names), f"{says}.", lines)


def _undecided(names: Sequence[str], others: int) -> str:
    """Why it is not known which clock is wrong."""
    if len(names) == 1:
        return "Two clocks alone cannot show which one is wrong."
    more = f" {pluralize(others, 'other pair')} {'differs' if others == 1 else 'differ'} by {format_span(WARNING)} or more."
    return f"No majority of clocks agrees, so hvops cannot tell which ones are wrong.{more if others else ''}"


def _find_the_wrong_one(names: Sequence[str]) -> str:
    if len(names) == 1:
        name = names[0]
        return (
            f"Compare {name} and the bot with a clock you trust. If {name} is wrong, run w32tm /query /status there to see "
            "its time source, then w32tm /resync."
        )
    return (
        f"On {' and '.join(names)}, run w32tm /query /status to see the time source. On the one that is wrong, run w32tm "
        "/resync."
    )


def _severity(pair: Pair) -> Severity:
    return Severity.FAULT if pair.skew is Skew.TOO_FAR else Severity.WARNING


def _meaning(pair: Pair) -> str:
    limit = format_span(KERBEROS)
    if pair.skew is Skew.TOO_FAR:
        return (
            f"The difference is over the Kerberos limit ({limit} by default). Logins, live migration and file shares between "
            "these machines can fail."
        )
    if pair.may_be_too_far:
        return f"The difference may be over the Kerberos limit of {limit}: the reading is too imprecise to tell."
    return f"Below the default Kerberos limit of {limit}: logins still work, but log times do not match."


def _whole_hours(pair: Pair) -> tuple[tuple[str, str], ...]:
    """A clock that is whole hours off was most likely set by hand, in the wrong zone."""
    hours = round(abs(pair.difference) / _HOUR)
    if not 1 <= hours <= 14 or abs(abs(pair.difference) - hours * _HOUR) > WARNING:  # noqa: PLR2004 - no zone is further
        return ()
    return (
        (
            "Suspect",
            "The difference is whole hours. Most likely the clock was set by hand with the wrong time zone: check that.",
        ),
    )


def _who_agrees(clocks: Sequence[Clock]) -> str:
    """Who agrees, in a sentence: that is why the other one is called off."""
    nodes = pluralize(len(clocks) - (BOT in clocks), "node")
    most = format_limit(spread(clocks))
    if BOT in clocks:
        return f"{nodes} and the bot agree within {most}."
    return f"{nodes} agree with each other within {most}."
