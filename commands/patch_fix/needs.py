"""What a node needs of a set of updates, by its own list of packages. Pure; what the list does not say is not concluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.api.facts import Unknown
from bot.api.texts import clip
from bot.api.updates import UpdateRule, UpdateStep
from commands.formatting import join_names
from commands.sources.packages import Package, PackageFile, PackageState, packages_of

_PENDING = (PackageState.INSTALL_PENDING, PackageState.UNINSTALL_PENDING, PackageState.PARTIALLY_INSTALLED)


class Need(StrEnum):
    """How a node stands to a set of updates."""

    FIX = "has to be fixed"
    THERE = "has them"
    CONTAINED = "has newer ones that contain them"
    WAITS = "waits for a restart"
    ELSEWHERE = "is another Windows"
    EXEMPT = "lists an update that makes them needless"
    CUMULATIVE = "has them in a cumulative update"
    UNCLEAR = "cannot be told"
    UNKNOWN = "did not say"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one package on one node. `identity` is that of what is removed, "" for what is added."""

    step: UpdateStep
    identity: str = ""


@dataclass(frozen=True, slots=True)
class NodeNeed:
    """What one node needs.

    Attributes:
        changes: in order; () where nothing is to be done.
        says: why, in a few words behind the node's name.
    """

    node: str
    need: Need
    says: str
    changes: tuple[Change, ...] = ()

    @property
    def removes(self) -> tuple[Change, ...]:
        """What is taken away."""
        return tuple(one for one in self.changes if one.step.does == "remove")

    @property
    def adds(self) -> tuple[str, ...]:
        """The updates whose files are needed: added in order, or added again to take a removal back."""
        return tuple(dict.fromkeys(one.step.kb for one in self.changes))


@dataclass(frozen=True, slots=True)
class Told:
    """What a node tells of its updates.

    Attributes:
        build: of its Windows; None where it was not told.
        packages: what it lists.
        listed: the updates that Windows lists otherwise; for exemptions only.
        cumulative: of its cumulative packages what dism tells.
    """

    build: int | None
    packages: tuple[Package, ...] | Unknown
    listed: frozenset[str] | Unknown
    cumulative: tuple[PackageFile | Unknown, ...] = ()


def judge_need(node: str, rule: UpdateRule, told: Told) -> NodeNeed:
    """How one node stands."""
    packages = told.packages
    if isinstance(packages, Unknown):
        return NodeNeed(node, Need.UNKNOWN, packages.why.rstrip("."))
    if told.build is None:
        return NodeNeed(node, Need.UNKNOWN, "its build is not known")
    if rule.builds and told.build not in rule.builds:
        return NodeNeed(node, Need.ELSEWHERE, _elsewhere(told.build, rule, packages))
    found = _exempt(node, rule, told.listed) or _whole(node, rule, told.cumulative) or _by_list(node, rule, packages)
    silent = [one for one in told.cumulative if isinstance(one, Unknown)]
    if found.need is Need.FIX and silent:  # what it lacks by name may be in one of them
        says = f"which updates its cumulative packages are is not known: {silent[0].why.rstrip('.')}"
        return NodeNeed(node, Need.UNKNOWN, says)
    return found


def _exempt(node: str, rule: UpdateRule, listed: frozenset[str] | Unknown) -> NodeNeed | None:
    """A node whose newer update makes the rule needless, or of which that is not known."""
    if not rule.unless:
        return None
    if isinstance(listed, Unknown):
        return NodeNeed(node, Need.UNKNOWN, f"whether it lists {join_names(rule.unless)} is not known")
    found = [kb for kb in rule.unless if kb in listed]
    return NodeNeed(node, Need.EXEMPT, f"lists {join_names(found)}") if found else None


def _whole(node: str, rule: UpdateRule, cumulative: Sequence[PackageFile | Unknown]) -> NodeNeed | None:
    """An update that is the node's whole level."""
    for kb in dict.fromkeys(step.kb for step in rule.steps):
        for one in cumulative:
            if not isinstance(one, Unknown) and kb.casefold() in one.description.casefold().split():
                says = f"{kb} is a cumulative update there ({one.identity}) and is not split"
                return NodeNeed(node, Need.CUMULATIVE, says)
    return None


def _elsewhere(build: int, rule: UpdateRule, packages: Sequence[Package]) -> str:
    kbs = dict.fromkeys(step.kb for step in rule.steps)
    missing = [kb for kb in kbs if not packages_of(kb, packages)]
    own = (
        f"{join_names(missing)} not listed under {'its' if len(missing) == 1 else 'their'} own number; "
        if missing
        else ""
    )
    rolls = any(one.is_cumulative and one.state is PackageState.INSTALLED for one in packages)
    whole = "RollupFix is a cumulative update: not taken apart; " if rolls else ""
    return f"{own}{whole}the rule is about build {join_names(list(map(str, rule.builds)))}, and it runs {build}"


def _by_list(node: str, rule: UpdateRule, packages: Sequence[Package]) -> NodeNeed:
    states: dict[str, PackageState] = {}
    identities: dict[str, str] = {}
    for kb in dict.fromkeys(step.kb for step in rule.steps):
        found = packages_of(kb, packages)
        here = [one for one in found if one.state is PackageState.INSTALLED]
        if odd := [one for one in found if one.state is PackageState.UNKNOWN]:
            return NodeNeed(node, Need.UNCLEAR, f"{odd[0].identity} is in the unlisted state “{clip(odd[0].told, 40)}”")
        if len(here) > 1:
            return NodeNeed(node, Need.UNCLEAR, f"{kb} is installed in {len(here)} versions")
        if waiting := [one for one in found if one.state in _PENDING]:
            return NodeNeed(node, Need.WAITS, f"{kb} is {waiting[0].state.word}")
        states[kb] = here[0].state if here else _state_of(found)
        identities[kb] = here[0].identity if here else ""
    lacking = [kb for kb in rule.wanted if states[kb] is PackageState.NOT_PRESENT]
    if not lacking:
        return _has_all(node, rule, states)
    return NodeNeed(node, Need.FIX, f"lacks {join_names(lacking)}", _changes(rule, states, identities))


def _state_of(found: Sequence[Package]) -> PackageState:
    """Superseded where a newer package contains it; staged and removed ones are not in force, and count as not there."""
    is_contained = any(one.state is PackageState.SUPERSEDED for one in found)
    return PackageState.SUPERSEDED if is_contained else PackageState.NOT_PRESENT


def _has_all(node: str, rule: UpdateRule, states: Mapping[str, PackageState]) -> NodeNeed:
    contained = [kb for kb in rule.wanted if states[kb] is PackageState.SUPERSEDED]
    if contained:
        says = (
            f"{join_names(contained)} superseded by what is installed: nothing missing, no drift (dism would answer"
            " 0x800F081E, which here means already contained, by the list)"
        )
        return NodeNeed(node, Need.CONTAINED, says)
    return NodeNeed(node, Need.THERE, f"lists {join_names(rule.wanted)} as installed")


def _changes(rule: UpdateRule, states: Mapping[str, PackageState], identities: Mapping[str, str]) -> tuple[Change, ...]:
    """The rule's steps that this node needs: nothing is removed that is not there, nothing added that is."""
    gone: set[str] = set()
    found: list[Change] = []
    for step in rule.steps:
        is_here = states[step.kb] is PackageState.INSTALLED
        if step.does == "remove" and is_here:
            gone.add(step.kb)
            found.append(Change(step, identities[step.kb]))
        elif step.does == "add" and (step.kb in gone or states[step.kb] is PackageState.NOT_PRESENT):
            gone.discard(step.kb)
            found.append(Change(step))
    return tuple(found)
