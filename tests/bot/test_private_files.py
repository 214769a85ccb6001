"""What hvops writes is for its own account, whatever the umask; and nothing in it writes in any other way."""

from __future__ import annotations

import ast
import os
import re
import resource
import stat
import subprocess
import sys
import threading
import tomllib
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from bot import private_files
from bot.errors import UsageError
from bot.private_files import private_text
from bot.transport.capture import Capture

BOT = Path(__file__).parents[2] / "bot"
# Who opens files to write in its own way, and why.
OWN_WAYS = {
    "private_files.py": "this is the way",
    "audit_verify.py": "a copy in a folder of its own, which nobody else can enter",
    "ledger/anchors.py": "appended to on a share, made with os.open",
}


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_its_mode_whatever_the_umask(tmp_path, umask):
    for _ in range(2):
        with private_text(tmp_path / "out.csv") as file:
            file.write("a;b\r\n")
        assert mode(tmp_path / "out.csv") == 0o600
    assert (tmp_path / "out.csv").read_bytes() == b"a;b\r\n"
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


def test_a_capture_is_for_nobody_else_though_its_file_was_there_before(tmp_path):
    file = tmp_path / "capture.json"
    file.write_text("old")
    file.chmod(0o666)
    Capture("/x", "2026-01-01T00:00:00Z", {}, "", ()).save(file)
    assert mode(file) == 0o600


def test_what_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "out"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError), private_text(file) as out:
        out.write("half \udc80")
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    with pytest.raises(UsageError, match="cannot be written"):
        Capture("/x", "2026-01-01T00:00:00Z", {}, "", ()).save(tmp_path / "none" / "capture.json")


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "out")
    with private_text(tmp_path / "link") as file:
        file.write("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "out").read_text() == "x"


def test_a_pipe_is_written_to_as_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    heard = []
    listener = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_text()))
    listener.start()
    with private_text(tmp_path / "pipe") as file:
        file.write("x")
    listener.join()
    assert heard == ["x"]


def writes(call: ast.Call) -> str:
    """What a call makes or writes with a mode that nobody chose; "" for any other."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    on = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    words = [one.value for one in (*call.args, *(key.value for key in call.keywords)) if isinstance(one, ast.Constant)]
    if name == "open" and on == "os":
        flags = ast.unparse(call)
        return "os.open" if "O_CREAT" in flags and "384" not in map(str, words) else ""
    if name == "open":
        modes = [one for one in words if isinstance(one, str) and set(one) <= set("rwxab+t") and set(one) & set("wxa+")]
        return f"open {modes[0]}" if modes else ""
    return name if name in ("write_text", "write_bytes", "touch", "NamedTemporaryFile", "copyfile", "copy2") else ""


@pytest.mark.parametrize(
    "plant", [lambda at, away: at.symlink_to(away), lambda at, _: os.mkfifo(at)], ids=["link", "pipe"]
)
def test_what_another_account_planted_is_not_written_through(tmp_path, monkeypatch, plant):
    """In /tmp anybody can lay out a pipe of the name that an export is to have, and read it."""
    away, at = tmp_path / "away", tmp_path / "export.csv"
    away.write_text("old")
    plant(at, away)
    monkeypatch.setattr(private_files, "_trusted", lambda: (0xDEAD,))
    with pytest.raises(PermissionError, match="another account's link or pipe"), private_text(at) as out:
        out.write("secret")
    assert away.read_text() == "old"


@contextmanager
def at_line(number, do):
    """Do something between two lines of private_files: before the line that comes as that one, counted from 0."""
    lines = count()

    def trace(frame, event, _):
        if frame.f_code.co_filename != private_files.__file__:
            return None
        if event == "line" and next(lines) == number:
            do()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_nothing_is_written_through_what_another_account_plants_meanwhile(tmp_path, monkeypatch, what):
    """It plants whenever the name is free, in a folder in which nobody can take away what another one made."""
    away, at, heard = tmp_path / "away", tmp_path / "export.csv", []
    monkeypatch.setattr(private_files, "_trusted", lambda: (0xDEAD,))
    planted = []

    def plant():
        planted.append(not at.exists() and not at.is_symlink())
        if planted[-1] and what == "link":
            at.symlink_to(away)
        elif planted[-1]:
            os.mkfifo(at)
            heard.append(os.open(at, os.O_RDONLY | os.O_NONBLOCK))

    for number in count():
        away.write_text("old")
        at.unlink(missing_ok=True)
        done = len(planted)
        with suppress(PermissionError), at_line(number, plant), private_text(at) as out:
            out.write("secret")
        assert away.read_text() == "old"
        while heard:
            assert os.read(heard[-1], 100) == b""
            os.close(heard.pop())
        if len(planted) == done:  # there is no such line any more
            break
    assert planted.count(True) > 10


def test_a_link_of_ours_leads_through_none_of_another_account(tmp_path, monkeypatch):
    away, planted, ours = tmp_path / "away", tmp_path / "planted", tmp_path / "ours"
    away.write_text("old")
    planted.symlink_to(away)
    ours.symlink_to(planted)
    fstat, foreign = os.fstat, planted.lstat().st_ino

    def owned(descriptor):
        found = fstat(descriptor)
        return os.stat_result((*found[:4], 12_345, *found[5:])) if found.st_ino == foreign else found

    monkeypatch.setattr("os.fstat", owned)
    with pytest.raises(PermissionError, match="another account's link or pipe"), private_text(ours) as out:
        out.write("secret")
    assert away.read_text() == "old"


@pytest.mark.parametrize("by", ["itself", "a link"])
def test_what_a_command_was_given_as_its_output_is_written_to_as_it_is(tmp_path, by):
    """As /dev/stdout, a link of root's to one of the kernel's, whose text is the name of no file."""
    reading, writing = os.pipe()
    path = Path(f"/proc/self/fd/{writing}")
    if by == "a link":
        (tmp_path / "out").symlink_to(path)
        path = tmp_path / "out"
    with private_text(path) as file:
        file.write("x")
    os.close(writing)
    assert os.read(reading, 10) == b"x"
    os.close(reading)


def test_a_folder_and_a_ring_of_links_are_told_by_their_name(tmp_path):
    (tmp_path / "ring").symlink_to("ring")
    for path in (tmp_path, tmp_path / "ring"):
        with pytest.raises(OSError, match=re.escape(str(path))), private_text(path):
            pass


UNLIMITED = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2)"


def test_no_crash_leaves_the_memory_of_hvops_behind(tmp_path):
    """Nobody else limits what is started in a terminal, or in a container. The kernel says whether it dumped, also to a program."""
    said = "print(r.getrlimit(r.RLIMIT_CORE), flush=True)"
    started = f"{UNLIMITED}; import os, bot.__main__; bot.__main__.app = lambda **_: ({said}, os.abort()); bot.__main__.main()"
    child = subprocess.Popen([sys.executable, "-c", started], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    limits = child.stdout.read()
    _, status = os.waitpid(child.pid, 0)
    child.returncode = status
    child.stdout.close()
    assert (os.WIFSIGNALED(status), os.WCOREDUMP(status)) == (True, False)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert limits.strip() == ("(0, 0)" if hard == 0 else "(1, 1)")  # 0 keeps no program from being piped a dump


def test_each_process_that_holds_secrets_forbids_dumps_before_anything_else():
    found = []
    for file in BOT.rglob("*.py"):
        tree = ast.parse(file.read_text())
        if any(isinstance(one, ast.If) and "__main__" in ast.unparse(one.test) for one in tree.body):
            (main,) = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "main"]
            first = next(one for one in main.body if not isinstance(getattr(one, "value", None), ast.Constant))
            found.append((str(file.relative_to(BOT)), ast.unparse(first)))
    assert sorted(found) == [
        ("__main__.py", "forbid_core_dumps()"),
        ("transport/sql/driver_process.py", "forbid_core_dumps()"),
    ]
    scripts = tomllib.loads((BOT.parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"hvops": "bot.__main__:main"}


def test_nothing_else_in_the_bot_makes_a_file():
    found = {
        f"{file.relative_to(BOT)}:{node.lineno}: {what}"
        for file in BOT.rglob("*.py")
        if str(file.relative_to(BOT)) not in OWN_WAYS
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and (what := writes(node))
    }
    assert found == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("path.open('w')", True),
        ("open(x, mode='ab+')", True),
        ("path.open('rb')", False),
        ("os.open(x, os.O_RDWR | os.O_CREAT, 0o600)", False),
        ("os.open(x, os.O_RDWR | os.O_CREAT)", True),
        ("os.open(x, os.O_CREAT, 0o644)", True),
        ("path.write_text('x')", True),
    ],
)
def test_the_look_itself_sees(text, found):
    (call,) = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert bool(writes(call)) is found
