"""Plans of every shape there is, for a bot that is killed while it runs them."""

from __future__ import annotations

from dataclasses import replace

from scripted_world import by_hand, is_now, set_to, simple, state, step

from bot.api.actions import RowTransaction, RunProgram, Update
from bot.api.plan import KEPT, Check, CompareToBefore, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, make_params

LOCKS = ("node:hv03",)


def rounds(on, _facts):
    """Two rounds of two steps, and a step by hand."""
    up, down = (step(key, on, deadline=5, within=5, a=value) for key, value in (("up", "1"), ("down", "0")))
    groups = (Group("rounds", (up, down), times=2), Group("hand", (by_hand(on, deadline=900),)))
    return Plan("why", "none", "none", LOCKS, (), groups)


def rows(on, _facts):
    """A transaction, and a wait that lets others pass."""
    row = RowTransaction(on, "db", (Update("t", make_params(id="1"), make_params(row="old"), make_params(row="new")),))
    wait = Step("wait", "Wait", None, (is_now(on, 60, row="new"),), preemptible=True)
    return simple(on, Step("rows", "Rows", row, (is_now(on, 5, row="new"),), deadline=5), wait)


def taking_back(on, _facts):
    """The last step says itself that it failed: what its group has done is taken back."""
    last = Step("c", "c", set_to(on, c="1"), (is_now(on, c="2", give_up=Expect()),), deadline=5)
    steps = (*(_undoable(on, key) for key in "ab"), last)
    return Plan("why", "none", "none", LOCKS, (), (Group("all", steps, on_failure="undo"),))


def waiting(on, _facts):
    """Acts, and then waits long for what never comes: to be cancelled."""
    long = Step("long", "Long", set_to(on, a="1"), (is_now(on, within=1200, b="1"),), deadline=5)
    return simple(on, long, step("never", on, z="1"))


def soak(on, _facts):
    """Many moves there and back, each watched against how it was at first, and left alone between them."""
    groups = (
        Group("baseline", (baseline(on),)),
        Group("soak", moves(on), times=3, seconds=600, unit="move"),
        Group("end", (rest(on, "watch", owner="a"),), revalidate_before=False),
    )
    return Plan("why", "none", "none", (*LOCKS, f"{KEPT}soak"), (), groups, soak_seconds=3600)


def baseline(on):
    return Step("baseline", "Note", None, (is_now(on),), before=state(on))


def moves(on):
    return (
        rest(on, "ready-there", owner="a"),
        move(on, "there", "a", "b"),
        rest(on, "ready-back", owner="b"),
        move(on, "back", "b", "a"),
    )


def rest(on, key, **values):
    same = CompareToBefore("baseline", ("instance",))
    watched = Check(state(on), (same,), within=60, give_up=(replace(same, same=False),), never="it has restarted")
    return Step(key, key, None, (watched, is_now(on, 600, **values)), preemptible=True)


def move(on, key, here, there):
    """It has arrived, or it has failed since it was begun: a failure of before tells nothing."""
    failed = (Expect((Predicate("state", "=", "failed"),)), CompareToBefore(key, ("state",), same=False))
    return Step(
        key,
        f"{key} {on}",
        set_to(on, owner=there),
        (is_now(on, 60, failed, owner=there),),
        guard=(is_now(on, owner=here),),
        deadline=5,
        before=state(on),
        repeatable=True,
        finishes=True,
    )


def restarting(on, _facts):
    """Hold, two changes with a restart after each that nobody may ask for twice, and give back: a node whose updates are fixed."""
    steps = [_undoable(on, "a")]
    for number in ("1", "2"):
        key = f"restart-{number}"
        new = Check(state(on), (CompareToBefore(key, ("instance",), same=False),), within=60, silence="wait")
        steps += [step(f"change-{number}", on, deadline=5, within=5, row=number)]
        steps += [Step(key, key, RunProgram(on, "restart"), (new,), before=state(on), deadline=5)]
    back = Group("back", (step("give", on, deadline=5, within=5, a="0"),), revalidate_before=False)
    return Plan("why", "none", "none", LOCKS, (), (Group("fix", tuple(steps), on_failure="undo"), back))


def there_and_back(on, facts, group=""):
    """A drill: over, start, a look by hand; then the plan is made anew from the other side, and the same way back."""
    here, wanted = facts.get("side", "home"), "away" if group else "home"
    over = step("over", on, deadline=5, within=5, side="away")
    over = replace(over, undo=set_to(on, side="home"), undone=(is_now(on, 5, side="home"),))
    out = (
        Group("out", (over,), on_failure="undo"),
        Group(
            "out-start", (step("start", on, deadline=5, within=5, up="1"), by_hand(on, 900)), revalidate_before=False
        ),
    )
    back = (
        Group("back", (step("over-back", on, deadline=5, within=5, side="home"),), on_failure="undo"),
        Group("back-start", (step("start-back", on, deadline=5, within=5, up="2"),), revalidate_before=False),
    )
    gate = Gate("The service is where the next failover leaves from", GateOutcome.of(here == wanted), here)
    groups = ((*back,) if group else (*out, *back)) if gate.passed else ()
    return Plan("why", "none", "none", LOCKS, (gate,), groups)


def _undoable(on, key):
    made = step(key, on, deadline=5, within=5, **{key: "1"})
    return replace(made, undo=set_to(on, **{key: "0"}), undone=(is_now(on, 5, **{key: "0"}),))


PLANS = {
    "rounds": rounds,
    "rows": rows,
    "back": taking_back,
    "waiting": waiting,
    "soak": soak,
    "restarting": restarting,
    "drill": there_and_back,
}
HALFWAY = {"drill": there_and_back}
