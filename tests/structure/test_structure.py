"""The yardsticks measure what they say, on trees and functions that are made for it."""

import importlib.util
import sys
import threading

import pytest

from tests.structure import rooms, walk

TREE = {
    "bot/__init__.py": "from bot import top",
    "bot/__main__.py": "import bot.top",
    "bot/top.py": "from bot import middle\nfrom bot.middle import low, deep\n",
    "bot/middle/__init__.py": "",
    "bot/middle/low.py": "from bot.ground import NAME\n",
    "bot/middle/deep.py": "from . import low\nfrom ..side import x\n",
    "bot/ground.py": "NAME = 1\n",
    "bot/side.py": "x = 1\n\n\ndef late():\n    import bot.ground\n    import json\n",
    "bot/data/__init__.py": "",
    "bot/data/rows.toml": "",
    "bot/loner.py": "",
}


@pytest.fixture
def tree(tmp_path):
    """Write modules below a root of their own."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_rooms_arrows_and_floors_are_counted(tree):
    plan = rooms.count(tree(TREE), "bot")
    assert sorted(plan.arrows) == ["__main__", "ground", "loner", "middle", "side", "top"]
    assert plan.pairs == [
        ("__main__", "top"),
        ("middle", "ground"),
        ("middle", "side"),
        ("side", "ground"),
        ("top", "middle"),
    ]
    assert plan.weights["top", "middle"] == 3, "one statement names the package, the other two of its modules"
    assert plan.floors == 5, "__main__, top, middle, side, ground"
    assert (plan.circles, plan.circular) == ((), [])
    assert plan.line().split() == ["bot", "6", "rooms", "5", "arrows", "5", "floors", "circles:", "0"]


def test_a_circle_is_found_and_passed_in_whole(tree):
    plan = rooms.count(tree({**TREE, "bot/ground.py": "from bot.middle import low\n"}), "bot")
    assert plan.circles == (frozenset({"ground", "middle", "side"}),)
    assert plan.circular == [("ground", "middle"), ("middle", "ground"), ("middle", "side"), ("side", "ground")]
    assert plan.floors == 5, "__main__, top, and the three that need each other"


def test_inside_a_package_its_modules_are_the_rooms(tree):
    plan = rooms.count(tree(TREE), "bot/middle")
    assert (sorted(plan.arrows), plan.pairs, plan.floors) == (["deep", "low"], [("deep", "low")], 2)


def test_of_a_corridor_each_module_is_a_room(tree):
    many = {f"commands/hall/m{at}.py": f"from commands.hall import m{at + 1}\n" for at in range(rooms.CORRIDOR)}
    last = {f"commands/hall/m{rooms.CORRIDOR}.py": "", "commands/hall/__init__.py": "", "commands/__init__.py": ""}
    few = rooms.count(
        tree({**many, "commands/hall/__init__.py": "", "commands/one.py": "from commands import hall"}), "commands"
    )
    assert (len(few.arrows), few.pairs) == (2, [("one", "hall")])
    plan = rooms.count(tree(last), "commands")
    assert (len(plan.arrows), len(plan.weights), plan.floors) == (
        rooms.CORRIDOR + 2,
        rooms.CORRIDOR,
        rooms.CORRIDOR + 1,
    )
    assert ("hall.m0", "hall.m1") in plan.pairs


def test_packages_with_many_modules_are_counted_inside_as_well(tree, capsys):
    large = {f"bot/large/m{at}.py": "" for at in range(rooms.LARGE + 1)}
    root = tree(
        {**TREE, **large, "commands/__init__.py": "", "bot/nested/inner/m.py": "", "bot/nested/__init__.py": ""}
    )
    assert rooms.usual(root) == ["bot", "commands", "bot/large", "bot/nested"]
    rooms.main(["bot", "--arrows", "--root", str(root)])
    assert "    top -> middle  3" in capsys.readouterr().out.splitlines()


def test_changes_of_file_are_counted_for_every_call_and_for_each_function_once():
    calls = [("a", 1), ("b", 1), ("a", 1), ("b", 1), ("b", 2), ("c", 1), ("a", 2)]
    assert walk.counted(calls) == walk.Count(3, 5, 3, ("a", "b", "c"))
    assert walk.counted([]) == walk.Count(0, 0, 0, ())


FUNCTIONS = {
    "bot/start.py": "def run(*work):\n    return [one() for one in work]\n\n\nasync def serve(wait):\n    await wait()\n    return 1\n",
    "bot/help.py": "def help():\n    return len('x')\n",
    "commands/fix.py": "class Plan: pass\n\n\ndef facts():\n    pass\n\n\ndef plan():\n    facts()\n    return Plan()\n",
    "other/lib.py": "def work():\n    pass\n",
}


@pytest.fixture
def functions(tree):
    """The modules by name, imported from their files, and a tracer of that tree."""
    root, found = tree(FUNCTIONS), {}
    for name in FUNCTIONS:
        spec = importlib.util.spec_from_file_location(f"walked_{name[:-3].replace('/', '_')}", root / name)
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    return (
        walk.Tracer(root),
        found["bot/start.py"],
        found["bot/help.py"],
        found["commands/fix.py"],
        found["other/lib.py"],
    )


@pytest.fixture
def watching():
    """Trace some work; whatever traced before does so again afterwards."""
    before = sys.getprofile()

    def watch(tracer, work):
        tracer.start()
        try:
            work()
        finally:
            tracer.stop()

    yield watch
    sys.setprofile(before)


@pytest.fixture
def of_request():
    token = walk._of_request.set(True)
    yield
    walk._of_request.reset(token)


def names(tracer):
    return [(name, code.co_name) for name, code, _ in tracer.calls]


def test_only_our_files_are_noted(functions, watching):
    tracer, start, helper, _, lib = functions
    watching(tracer, lambda: start.run(lib.work, helper.help))
    assert [name for name, what in names(tracer) if what != "<listcomp>"] == ["bot/start.py", "bot/help.py"]


def test_a_resumed_coroutine_is_a_call(functions, watching):
    tracer, start, helper, *_ = functions

    class Pause:
        def __await__(self):
            yield

    def work():
        coroutine = start.serve(Pause)
        coroutine.send(None)
        helper.help()
        with pytest.raises(StopIteration):
            coroutine.send(None)

    watching(tracer, work)
    assert [name for name, _ in names(tracer)] == ["bot/start.py", "bot/help.py", "bot/start.py"]


def test_the_moments_come_in_order_and_the_plan_is_known_by_its_class(functions, watching, of_request):
    tracer, start, helper, fix, _ = functions
    tracer.reach("entry")
    assert not tracer.moments, "nothing was typed yet"

    def work():
        fix.plan()  # before the first envelope: none of ours
        tracer.reach("typed")
        start.run(helper.help)
        tracer.reach("envelope")
        start.run(fix.plan, helper.help)
        tracer.reach("entry")
        helper.help()
        tracer.reach("card")
        helper.help()

    watching(tracer, work)
    assert list(tracer.moments) == list(walk.MOMENTS)
    assert tracer.between("typed", "envelope", "request").order == ("bot/start.py", "bot/help.py")
    assert tracer.between("planning", "entry", "request").order == ("commands/fix.py", "bot/help.py")
    assert tracer.between("plan", "entry", "request").order == ("bot/help.py",)
    assert tracer.between("entry", "card", "request").files == 1


def test_what_does_not_descend_from_the_request_counts_in_the_window_only(functions, watching, monkeypatch):
    tracer, start, helper, *_ = functions
    monkeypatch.setattr(walk.threading.Thread, "start", threading.Thread.start)
    monkeypatch.setattr(walk.ThreadPoolExecutor, "submit", walk.ThreadPoolExecutor.submit)
    walk._carry_context()

    def work():
        tracer.reach("typed")
        start.run()
        with walk.ThreadPoolExecutor(1) as pool:
            pool.submit(helper.help).result()  # the thread begins here, outside of the request
            token = walk._of_request.set(True)
            pool.submit(helper.help).result()
            thread = threading.Thread(target=start.run)
            thread.start()
            thread.join()
            walk._of_request.reset(token)
        tracer.reach("envelope")

    watching(tracer, work)
    assert tracer.between("typed", "envelope", "request").order == ("bot/help.py", "bot/start.py")
    assert tracer.between("typed", "envelope", "window").order == ("bot/start.py", "bot/help.py")


def test_there_is_a_story_to_play():
    assert "::test_" in walk.scene()


def test_no_arrow_of_the_product_runs_in_a_circle():
    assert not any(rooms.count(rooms.ROOT, folder).circles for folder in rooms.usual(rooms.ROOT))
