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
    "The PDC emulator is the time source of its domain. The classic cause is a virtual domain controller that takes "
    "its time from its Hyper-V host: switch off Time Synchronization in its integration services."
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
    says = f"{clock} is {format_difference(pair)}: too imprecise for the limit of {format_span(WARNING)}."
    return Unknown(pair.clock.name, "not precise enough", says, "Ask again: a quicker answer is more precise.")


def format_difference(pair: Pair) -> str:
    """How far, how surely, against whom: "+12 s ± 0.4 s against hv05"."""
    sign = "-" if pair.difference < timedelta() else "+"
    return f"{sign}{format_span(pair.difference)} ± {format_limit(pair.uncertainty)} against {pair.other.name}"


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
    by_hand = f"On {name}: w32tm /query /status names its time source, w32tm /resync sets its clock by it."
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
            ("Means", "The bot's own clock is off, unless the whole domain is. Times that it shows are off as well."),
            *_whole_hours(pair),
            ("By hand", "On the bot's machine: timedatectl, and chronyc tracking or what else sets its clock."),
            ("Next", "If the bot's time is right, see to the PDC emulator of the domain: w32tm /query /status."),
        ),
    )


def _rest(pairs: Sequence[Pair]) -> tuple[Finding, ...]:
    """Those without a finding of their own, in one."""
    if not pairs:
        return ()
    each = join_names(f"{pair.clock.name} {format_difference(pair)}" for pair in pairs)
    return (Finding(_severity(pairs[0]), "SKEWED", pluralize(len(pairs), "more clock"), f"{each}."),)


def _apart(pair: Pair, compared: Comparison) -> Finding:
    """The worst pair: two clocks that both are off, or where it is not known which of them is."""
    names = [clock.name for clock in (pair.clock, pair.other) if not clock.is_bot]
    says = format_difference(pair) if names == [pair.clock.name] else f"{pair.clock.name} {format_difference(pair)}"
    lines: tuple[tuple[str, str], ...] = (("Means", _meaning(pair)), *_whole_hours(pair))
    if not compared.agreeing:
        others = len(compared.apart) - 1
        more = f" {pluralize(others, 'more pair')} of clocks {'is' if others == 1 else 'are'} apart." if others else ""
        by_hand = f"On {' and '.join(names)}: w32tm /query /status. Then w32tm /resync on the one that is off."
        lines = (
            *lines,
            ("Because", f"Not known which clock is off: too few agree.{more}"),
            ("By hand", by_hand),
        )
    return Finding(_severity(pair), "SKEWED", " and ".join(names), f"{says}.", lines)


def _severity(pair: Pair) -> Severity:
    return Severity.FAULT if pair.skew is Skew.TOO_FAR else Severity.WARNING


def _meaning(pair: Pair) -> str:
    limit = format_span(KERBEROS)
    if pair.skew is Skew.TOO_FAR:
        return (
            f"Kerberos refuses from {limit}, by default: logins, live migration and file shares between them can fail."
        )
    if pair.may_be_too_far:
        return f"Not known whether Kerberos fails: its limit of {limit} lies within the uncertainty."
    return f"Below Kerberos' default limit of {limit}. Times in the logs do not match, and the cluster can suffer."


def _whole_hours(pair: Pair) -> tuple[tuple[str, str], ...]:
    """A clock that is whole hours off was most likely set by hand, in the wrong zone."""
    hours = round(abs(pair.difference) / _HOUR)
    if not 1 <= hours <= 14 or abs(abs(pair.difference) - hours * _HOUR) > WARNING:  # noqa: PLR2004 - no zone is further
        return ()
    return (("Suspect", "Whole hours: the clock was set by hand, and the time zone was wrong."),)


def _who_agrees(clocks: Sequence[Clock]) -> str:
    """Who agrees, in a sentence: that is why the other one is called off."""
    nodes = pluralize(len(clocks) - (BOT in clocks), "node")
    most = format_limit(spread(clocks))
    if BOT in clocks:
        return f"{nodes} and the bot agree within {most}."
    return f"{nodes} agree with each other within {most}."
