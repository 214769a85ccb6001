"""What the tree promises of itself: names, neighbours, and what no tracked file may hold."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import cogapp
import pytest

from bot import errors

ROOT = Path(__file__).parents[1]
ROOMS = ("bot", "commands", "lab")
# Folders to which a file is added without touching any other: what is in them is found by walking.
OPEN = ("commands/diagnostics", "commands/remediations", "commands/rules", "lab/scenarios")
DRAWN_AT = 6  # columns: where the children of the root stand in the drawing of the errors
PLACES = re.compile(r"(?<![\w/.~-])/(?:root|home|work|Users|tmp)/\w|https?://[\w.]*(?:pypi|npmjs|pythonhosted)\.\w")
BINARY = {".png", ".db"}
PATH = re.compile(r"(?<![\w/.-])((?:bot|commands|lab|tests|deploy|docs)/[\w./-]*\w)")
# Files that people and shells read: nothing else notices a path in them that has moved. Of the changelog's some have.
SAYS_PATHS = re.compile(r".*\.(md|sh|toml|yml)|(.*/)?(Makefile|run)")
YOURS = {"tests/stories/test_your_command.py"}  # an example's


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree: an unpacked archive")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def folders() -> list[str]:
    found = {path.parent.relative_to(ROOT).as_posix() for path in modules(*ROOMS)}
    return sorted(found - set(OPEN))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def nodes(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(tree(path)) if isinstance(node, (ast.Import, ast.ImportFrom)))


@functools.cache
def imports(path: Path) -> set[str]:
    """The modules that a file imports, dotted."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            found.add(node.module)
    return found


@functools.cache
def graph() -> dict[str, set[str]]:
    """Each of our modules, and those that it needs."""
    ours = {dotted(path): path for path in modules(*ROOMS)}
    return {name: targets(path, set(ours)) - {name} for name, path in ours.items()}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def targets(path: Path, ours: set[str]) -> set[str]:
    """Which of our modules a file needs: `from lab.world import events` needs lab.world.events."""
    found = imports(path)
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{name.name}" for name in node.names} & ours
            found = (found - {node.module} if len(inner) == len(node.names) else found) | inner
    return found & ours


def lies_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_every_command_has_tests_of_its_own():
    for kind in ("diagnostics", "remediations"):
        for path in (ROOT / "commands" / kind).glob("[!_]*.py"):
            assert (ROOT / "tests" / "commands" / kind / f"test_{path.name}").is_file(), f"{path.name} has no tests"


def test_the_tests_of_the_commands_reach_everything_that_commands_know():
    needs = graph()
    reached: set[str] = set()
    new = set().union(*(targets(path, set(needs)) for path in (ROOT / "tests" / "commands").rglob("test_*.py")))
    while new:
        reached |= new
        new = set().union(*(needs[name] for name in new)) - reached
    assert {name for name in needs if name.startswith("commands.sources.")} <= reached


@pytest.mark.parametrize("folder", folders())
def test_a_folder_can_be_understood_from_its_first_docstring(folder):
    said = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    here = {path.stem for path in (ROOT / folder).glob("[!_]*.py")}
    here |= {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    unnamed = sorted(name for name in here if not re.search(rf"(?m)(?:^|[;,(`]|  |-> )\s*{name}\b", said))
    assert not unnamed, f"{folder}/__init__.py does not say what these are for"


@pytest.mark.parametrize("path", modules("bot/api"), ids=lambda path: path.stem)
def test_the_vocabulary_needs_the_standard_library_only(path):
    for name in imports(path):
        own = lies_in(name, "bot.api") or name == "bot.redaction"  # which needs the standard library only as well
        assert own or name.partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("path", modules("commands"), ids=lambda path: path.stem)
def test_commands_speak_the_vocabulary_and_do_nothing_else(path):
    pure = {
        "__future__",
        "asyncio",
        "codecs",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "functools",
        "graphlib",
    }
    pure |= {
        "importlib",
        "itertools",
        "operator",
        "re",
        "tomllib",
        "types",
        "typing",
        "uuid",
        "xml",
        "html",
        "unicodedata",
    }
    for name in imports(path):
        assert lies_in(name, "bot.api", "bot.errors", "commands") or name.partition(".")[0] in pure, name


def test_no_imports_in_a_circle():
    above = graph()
    while free := {name for name, needs in above.items() if not needs & above.keys()}:
        above = {name: needs for name, needs in above.items() if name not in free}
    assert not above, "these need each other, or something that does"


def test_the_tree_of_errors_is_drawn_as_it_is():
    """Each line of the drawing is a class and, after it, those below it; indentation is descent as well."""
    real = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    above, drawn = errors.HvopsError, {"HvopsError", "InternalError"}
    for line in inspect.getdoc(errors).partition("Anything else")[0].splitlines():
        names = [name for name in re.findall(r"[A-Z]\w+", line) if name in real]
        if names and line.index(names[0]) <= DRAWN_AT:  # further in, a line goes on from the one before
            above = real[names[0]]
            assert issubclass(above, errors.HvopsError)
        for name in names:
            assert issubclass(real[name], above), f"{name} is drawn below {above.__name__}"
        drawn.update(names)
    assert drawn == set(real)


def test_the_list_of_commands_is_fresh():
    assert cogapp.Cog().main(["cog", "--check", str(ROOT / "commands" / "README.md")]) == 0, "run `make docs`"


def test_a_path_that_is_named_is_there():
    gone = {}
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not SAYS_PATHS.fullmatch(name) or name == "CHANGELOG.md" or name.startswith("tests/snapshots/"):
            continue
        named = set(PATH.findall(path.read_text(encoding="utf-8"))) - YOURS
        if missing := [one for one in named if not (ROOT / one).exists() and not (ROOT / f"{one}.py").exists()]:
            gone[name] = missing
    assert not gone


def test_no_tracked_file_knows_the_machine_it_was_written_on():
    told = {}
    for path in tracked():
        if path.suffix not in BINARY and path != Path(__file__):
            found = PLACES.findall(path.read_text(encoding="utf-8"))
            if found:
                told[path.relative_to(ROOT).as_posix()] = found
    assert not told


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(("folder", "rooms"), [(".", ("bot", "commands")), ("lab", ("lab",))])
def test_every_library_that_is_imported_is_declared_or_comes_with_one_that_is(folder, rooms):
    about = project(ROOT / folder)
    wanted = [
        *about["dependencies"],
        *(each for extra in about.get("optional-dependencies", {}).values() for each in extra),
    ]
    declared = {re.split(r"[\[>=]", each)[0] for each in wanted}
    # Distribution -> what it brings that we import by name: its own module, and the errors it lets through.
    brings = {
        "pywinrm": {"winrm", "requests", "requests_ntlm", "urllib3", "spnego", "kerberos", "cryptography"},
        "pydantic-settings": {"pydantic_settings", "pydantic", "pydantic_core"},
        "pyspnego": {"spnego"},
        "httpx": {"httpx", "httpcore"},
    }
    known = {module for name in declared for module in brings.get(name, {name.replace("-", "_")})}
    for path in modules(*rooms):
        foreign = {name.partition(".")[0] for name in imports(path)} - sys.stdlib_module_names - set(ROOMS)
        assert foreign <= known, path


def test_the_two_distributions_are_of_one_version():
    production, lab = project(ROOT), project(ROOT / "lab")
    assert lab["version"] == production["version"]
    assert f"hvops=={production['version']}" in lab["dependencies"]
    assert lab["requires-python"] == production["requires-python"]


def test_a_wheel_would_carry_what_the_code_reads_beside_itself():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert packages == {"packages": ["bot", "commands"]}, "a filter here could leave rules out"
    lab = tomllib.loads((ROOT / "lab" / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert (lab["include"], lab["exclude"]) == (["*"], ["/pyproject.toml"]), "nor pages or schemas"
    ignored = (ROOT / ".gitignore").read_text().split()
    kinds = {path.suffix for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()} - {".py", ".pyc"}
    assert not {f"*{kind}" for kind in kinds} & set(ignored), "hatchling leaves out what git ignores"


def documented(doc: str | None, heading: str) -> list[str]:
    """The names below a heading of a docstring: "name, other: what they are"."""
    lines = (doc or "").splitlines()
    if f"{heading}:" not in [line.strip() for line in lines]:
        return []
    at = [line.strip() for line in lines].index(f"{heading}:")
    indent = len(lines[at]) - len(lines[at].lstrip())
    names = []
    for line in lines[at + 1 :]:
        inside = len(line) - len(line.lstrip()) - indent
        if line.strip() and inside <= 0:
            break
        if inside == 4 and (found := re.match(r"\*{0,2}([\w, *]+):", line.strip())):
            names += [name.strip(" *") for name in found[1].split(",")]
    return names


@pytest.mark.parametrize("path", modules(*ROOMS), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_name_what_is_there(path):
    wrong = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            inside = [one for one in ast.walk(node) if one is not node]
            have = {
                one.target.id for one in inside if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            }
            have |= {one.attr for one in inside if isinstance(one, ast.Attribute)}
            have |= {one.name for one in inside if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}
            have |= {
                name.id
                for one in inside
                if isinstance(one, ast.Assign)
                for name in one.targets
                if isinstance(name, ast.Name)
            }
            wrong += [
                f"{node.name}: {one}" for one in documented(ast.get_docstring(node), "Attributes") if one not in have
            ]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            every = node.args
            has = {one.arg for one in (*every.posonlyargs, *every.args, *every.kwonlyargs)}
            has |= {one.arg for one in (every.vararg, every.kwarg) if one}
            wrong += [f"{node.name}: {one}" for one in documented(ast.get_docstring(node), "Args") if one not in has]
    assert not wrong


def test_every_test_that_the_threat_model_names_exists():
    """What stops an attacker is proved by a test, and not by a sentence."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "threat-model.md").read_text()))
    assert len(named) > 40
    for path, test in named:
        body = tree(ROOT / path).body
        functions = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        assert not test or test in functions, f"{path} has no {test}"
