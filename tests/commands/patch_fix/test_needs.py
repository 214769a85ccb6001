"""What a node needs of a set of updates: by its own list, and nothing that the list does not say."""

from __future__ import annotations

import pytest

from bot.api.facts import Unknown
from bot.api.updates import UpdateRule, UpdateStep
from commands.patch_fix.needs import Need, Told, judge_need
from commands.patch_fix.rules import find_rule
from commands.sources.packages import Package, PackageFile, PackageState
from commands.sources.rules import KnownIssue

A, B = "KB2607712", "KB2616676"
RULE = find_rule("kb2616676", ())
assert isinstance(RULE, UpdateRule)


def package(kb, state=PackageState.INSTALLED, revision=1):
    return Package(f"Package_for_{kb}~31bf3856ad364e35~amd64~~6.1.{revision}.0", state, state.word)


def told(*packages, build=7601, listed=frozenset(), cumulative=()):
    return Told(build, packages, listed, cumulative)


def changes(found):
    return [f"{one.step.does} {one.step.kb}" for one in found.changes]


@pytest.mark.parametrize(
    ("packages", "need", "does"),
    [
        ((package(A), package(B)), Need.THERE, []),
        ((package(B),), Need.FIX, [f"remove {B}", f"add {A}", f"add {B}"]),
        ((package(A),), Need.FIX, [f"add {B}"]),
        ((package("KB1234567"),), Need.FIX, [f"add {A}", f"add {B}"]),
        ((package(B), package(A, PackageState.STAGED)), Need.FIX, [f"remove {B}", f"add {A}", f"add {B}"]),
        ((package(B), package(A, PackageState.REMOVED)), Need.FIX, [f"remove {B}", f"add {A}", f"add {B}"]),
        ((package(B), package(A, PackageState.SUPERSEDED)), Need.CONTAINED, []),
        ((package(B), package(A, PackageState.INSTALL_PENDING)), Need.WAITS, []),
        ((package(B, PackageState.UNINSTALL_PENDING),), Need.WAITS, []),
        ((package(B), package(A, PackageState.PARTIALLY_INSTALLED)), Need.WAITS, []),
        ((package(B), package(A, PackageState.UNKNOWN)), Need.UNCLEAR, []),
        ((package(B), package(B, revision=2)), Need.UNCLEAR, []),
        ((package(f"{B}0"), package(A)), Need.FIX, [f"add {B}"]),  # another number that begins alike
    ],
)
def test_each_state_of_a_list(packages, need, does):
    found = judge_need("hv02", RULE, told(*packages))
    assert (found.need, changes(found)) == (need, does)


def test_what_is_removed_is_named_by_the_nodes_own_list():
    found = judge_need("hv02", RULE, told(package(B, revision=2)))
    assert [one.identity for one in found.removes] == [f"Package_for_{B}~31bf3856ad364e35~amd64~~6.1.2.0"]


def test_what_did_not_answer_is_unknown_and_never_lacking():
    silent = Unknown("hv02", "timed out", "no answer in 20 s.")
    assert judge_need("hv02", RULE, Told(7601, silent, frozenset())).need is Need.UNKNOWN
    assert judge_need("hv02", RULE, Told(None, (package(B),), frozenset())).need is Need.UNKNOWN
    assert judge_need("hv02", RULE, Told(7601, (package(B),), silent)).need is Need.UNKNOWN


def test_a_later_revision_makes_it_needless():
    assert judge_need("hv02", RULE, told(package(B), listed=frozenset({"KB2616676-v2"}))).need is Need.EXEMPT


def test_another_windows_is_refused_and_says_what_it_runs():
    found = judge_need("hv01", RULE, told(package("RollupFix"), build=14393))
    assert found.need is Need.ELSEWHERE
    assert "RollupFix is a cumulative update: not taken apart" in found.says
    assert "it runs 14393" in found.says


def test_a_cumulative_update_is_found_by_its_description():
    rule = find_rule("5016622", ())
    whole = PackageFile("Package_for_RollupFix~31bf3856ad364e35~amd64~~14393.5291.1.7", None, "Fix for KB5016622")
    assert (
        judge_need("hv01", rule, told(package("RollupFix"), build=14393, cumulative=(whole,))).need is Need.CUMULATIVE
    )


def test_words_that_name_rules():
    own = UpdateRule("blocked-hotfix", "why", (9600,), (UpdateStep("add", A),))
    assert find_rule("Blocked-Hotfix", (own,)) is own
    assert isinstance(find_rule("KB2636573", ()), KnownIssue)
    assert find_rule("everything", ()) is None
    assert find_rule("KB2616676-v2", ()) is None
    assert find_rule("২616676", ()) is None
    alone = find_rule("kb2919442", ())
    assert isinstance(alone, UpdateRule)
    assert alone.steps == (UpdateStep("add", "KB2919442"),)


def test_a_cumulative_package_that_does_not_say_what_it_is_lacks_nothing():
    """The update may be that very package: its number stands in the description alone."""
    rule = find_rule("KB5016622", ())
    silent = Unknown("hv01", "timed out", "no answer in 20 s.")
    found = judge_need("hv01", rule, told(package("RollupFix"), build=14393, cumulative=(silent,)))
    assert (found.need, found.changes) == (Need.UNKNOWN, ())
    assert "no answer in 20 s" in found.says
    listed = told(package("RollupFix"), package("KB5016622"), build=14393, cumulative=(silent,))
    assert judge_need("hv01", rule, listed).need is Need.THERE
