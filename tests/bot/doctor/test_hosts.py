"""Doctor runs every diagnostic that examines hosts, whoever wrote it, and turns what it says into checks."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint

import pytest

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.api.report import Finding, Healthy, Report, Severity
from bot.config.settings import load
from bot.dispatch import registry
from bot.doctor import examine
from bot.doctor.check import DoctorCheck, Status
from bot.doctor.hosts import checks_of, examine_hosts
from bot.errors import AuthenticationFailed
from bot.services import open_connections
from bot.transport.client import TargetClient
from commands.diagnostics import check_time_skew
from lab.plugin import PRACTICE

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

SHEPHERD = '''"""Count the sheep of a {kind}."""
from dataclasses import dataclass
from bot.api.arguments import ClusterTarget, HostTarget, Target, VmmTarget
from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.queries import SampleHistory, Wql
from bot.api.report import Finding, Healthy, Report, Severity
from bot.api.sources import Source

@dataclass(frozen=True)
class Args:
    target: {kind}
    most: int = 3

async def collect(args, ask):
    {collect}

def evaluate(args, facts):
    return Report("t", "s", "flocks", 1, 1, fine=(Healthy("SHEEP", (args.target.name,), f"{{facts}} of {{args.most}}"),))

COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate, examines={examines})
'''


@pytest.fixture
def own_practice(tmp_path):
    with PRACTICE.start("healthy", tmp_path / "practice") as running:
        yield running


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Packages of commands, and none but those: files of one package, or nothing."""

    def install(files=None, *, beside=()):
        root = tmp_path / "flock"
        for name, text in {"__init__.py": "", "diagnostics/__init__.py": "", **(files or {})}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name in [name for name in sys.modules if name.split(".")[0] == "flock"]:
            monkeypatch.delitem(sys.modules, name)
        names = (*beside, *(["flock"] if files else []))
        entries = [EntryPoint(name, name, registry.ENTRY_POINTS) for name in names]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == registry.ENTRY_POINTS else [])

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    for name in [name for name in sys.modules if name.split(".")[0] == "flock"]:
        del sys.modules[name]


def shepherd(collect="return 'all'", kind="Target", *, examines=True):
    return SHEPHERD.format(collect=collect, kind=kind, examines=examines)


async def examined(practice, *names):
    with open_connections(load(practice.settings_path)) as out:
        for cluster in out.inventory_file.clusters:
            await out.inventory.nodes(cluster)
        return await examine_hosts(out, names)


async def test_a_diagnostic_of_somebody_else_is_run_on_everything_and_writes_nothing(practice, installed):
    before = {file.name for file in practice.directory.iterdir()}
    installed({"diagnostics/count_sheep.py": shepherd()})
    found = await examined(practice, "vmm01", "prod", "branch")
    assert found == [DoctorCheck(Status.OK, "sheep", "all of 3", on=name) for name in ("vmm01", "prod", "branch")]
    assert {file.name for file in practice.directory.iterdir()} == before


async def test_it_stands_beside_those_of_hvops(practice, installed):
    installed({"diagnostics/count_sheep.py": shepherd()}, beside=["commands"])
    whats = {check.what for check in await examined(practice, "vmm01")}
    assert {"sheep", "login", "in sync", "quotas", "code page"} <= whats


async def test_one_that_does_not_examine_is_left_alone(practice, installed):
    raising = shepherd("raise RuntimeError('never run')", examines=False)
    installed({"diagnostics/count_sheep.py": shepherd(), "diagnostics/shear_sheep.py": raising})
    assert [check.what for check in await examined(practice, "prod")] == ["sheep"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ClusterTarget", ["prod"]),
        ("HostTarget", ["vmm01", "hv01", "hv02", "hv03", "hv04", "hv05", "hv06"]),
        ("VmmTarget", ["vmm"]),
    ],
)
async def test_one_that_takes_only_some_targets_is_run_on_those(practice, installed, kind, names):
    installed({"diagnostics/count_sheep.py": shepherd(kind=kind)})
    assert [check.on for check in await examined(practice, "vmm01", "prod")] == names


async def test_one_that_raises_is_a_failed_check_under_its_name_and_spoils_nothing(practice, installed):
    files = {
        "diagnostics/count_sheep.py": shepherd("return [][1]"),
        "diagnostics/find_wolves.py": shepherd(),
    }
    installed(files)
    raised, well = await examined(practice, "prod")
    assert (raised.status, raised.what, raised.on) == (Status.FAIL, "count-sheep", "prod")
    assert "IndexError: list index out of range" in raised.says
    assert raised.do == 'hvops ask "/count-sheep prod" logs where.'
    assert well.status is Status.OK


def test_doctor_goes_on_when_one_raises(practice, installed, capsys):
    installed({"diagnostics/count_sheep.py": shepherd("raise ValueError('no sheep')")})
    assert examine(practice.settings_path, as_json=True) == 1
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = [(check["what"], check["on"]) for check in checks if check["status"] == "FAIL"]
    assert failed == [("count-sheep", "vmm01"), ("count-sheep", "prod"), ("count-sheep", "branch")]
    assert {"vmm database", "operator", "commvault"} <= {check["what"] for check in checks}


async def test_what_it_says_is_told_without_secrets(practice, installed):
    secret = load(practice.settings_path).credentials.reader.password.get_secret_value()
    assert secret
    installed({"diagnostics/count_sheep.py": shepherd(f"raise ValueError({secret!r})")})
    (check,) = await examined(practice, "prod")
    assert check.status is Status.FAIL
    assert secret not in check.says


async def test_it_asks_only_where_it_is_about(practice, installed):
    strays = """return await ask.query(Source(Wql("br01", "root/cimv2", "Win32_OperatingSystem", ()), len))"""
    installed({"diagnostics/count_sheep.py": shepherd(strays)})
    (check,) = await examined(practice, "prod")
    assert "Unknown(target='br01', kind='not allowed'" in check.says


async def test_there_are_no_earlier_answers(practice, installed):
    recall = """return (await ask.query(Source(SampleHistory(args.target.name, "sheep"), len))).value"""
    installed({"diagnostics/count_sheep.py": shepherd(recall)})
    assert [check.says for check in await examined(practice, "prod")] == ["0 of 3"]


async def test_nobody_waits_for_doctor_so_only_hosts_have_a_deadline(practice, installed):
    installed({"diagnostics/count_sheep.py": shepherd("return ask._deadlines")})
    (check,) = await examined(practice, "prod")
    assert f"per_host_seconds={load(practice.settings_path).limits.per_host_seconds} " in check.says
    assert "overall_seconds=inf" in check.says


@pytest.mark.parametrize("files", [None, {"diagnostics/count_sheep.py": shepherd(examines=False)}])
async def test_where_nothing_examines_hosts_that_is_a_warning(practice, installed, files):
    installed(files)
    (check,) = await examined(practice, "prod")
    assert (check.status, check.what) == (Status.WARN, "host checks")
    assert "nothing examines hosts" in check.says


@pytest.mark.parametrize(
    ("files", "beside", "says"),
    [
        ({"diagnostics/count_sheep.py": "COMMAND = 1"}, (), "count_sheep must end with COMMAND"),
        (None, ("no_such_package",), "no_such_package, which offers commands, cannot be imported"),
        ({"diagnostics/count_sheep.py": shepherd().replace("= 3", "")}, (), "takes one target, and nothing else"),
    ],
)
async def test_a_bad_command_fails_the_host_checks_and_is_named(practice, installed, files, beside, says):
    installed(files, beside=beside)
    (check,) = await examined(practice, "prod")
    assert (check.status, check.what) == (Status.FAIL, "host checks")
    assert says in check.says


def test_a_report_as_checks():
    report = Report(
        "t",
        "s",
        "hosts",
        3,
        2,
        findings=(
            Finding(Severity.FAULT, "LOGIN", "hv01, HV02", "no.", (("Means", "m"), ("By hand", "b"), ("By hand", "c"))),
            Finding(Severity.WARNING, "SKEWED", "hv03, and a stranger", "late", (("Means", "m"),)),
            Finding(Severity.NOTE, "NOTED", "hv03", "so it is"),
        ),
        unanswered=(Unknown("hv04", "timed out", "no answer in 20 s.", "Wait."), Unknown("hv05", "odd", "It is odd.")),
        fine=(Healthy("STABLE", ("hv03", "hv06"), "11 writers"),),
    )
    assert list(checks_of("look", report, ("hv01", "hv02", "hv03"))) == [
        DoctorCheck(Status.FAIL, "login", "no.", "hv01", "b"),
        DoctorCheck(Status.FAIL, "login", "no.", "HV02", "b"),
        DoctorCheck(Status.WARN, "skewed", "late", "hv03, and a stranger", "m"),
        DoctorCheck(Status.SKIP, "noted", "so it is", "hv03"),
        DoctorCheck(Status.FAIL, "look", "no answer in 20 s.", "hv04", "Wait."),
        DoctorCheck(Status.FAIL, "look", "It is odd.", "hv05"),
        DoctorCheck(Status.OK, "stable", "11 writers", "hv03"),
        DoctorCheck(Status.OK, "stable", "11 writers", "hv06"),
    ]


def clock_of(fact) -> list[DoctorCheck]:
    """What doctor makes of one host's clock."""
    args = check_time_skew.Args(Target("hv05", "host"))
    return list(checks_of("check-time-skew", check_time_skew.evaluate(args, check_time_skew.Facts({"hv05": fact})), ()))


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0, Status.OK), (59, Status.OK), (-61, Status.WARN), (212, Status.WARN), (-301, Status.FAIL)],
)
def test_clocks_are_compared_with_what_kerberos_takes(seconds, status):
    there = NOON + timedelta(seconds=seconds, microseconds=1)  # a time with its fraction
    (check,) = clock_of(Known(there, NOON, NOON + timedelta(microseconds=2)))
    assert (check.status, check.on) == (status, "hv05")
    if status is not Status.OK:
        assert f"{abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} the bot (± " in check.says


def test_a_host_without_a_clock_is_no_pass():
    for kind in ("bad reply", "timed out"):
        (check,) = clock_of(Unknown("hv05", kind, "LocalDateTime holds 'noon', which cannot be read."))
        assert (check.status, check.what, check.on) == (Status.FAIL, "check-time-skew", "hv05")


async def test_a_login_that_is_refused_is_tried_once_for_each_host(practice, monkeypatch):
    """Each refused password brings the account nearer to its lockout."""
    asked = Counter()

    async def refuses(self, question, seconds=20.0):
        asked[question.on.lower()] += 1
        raise AuthenticationFailed(question.on, "the login was refused.")

    with open_connections(load(practice.settings_path)) as out:
        monkeypatch.setattr(TargetClient, "answer", refuses)
        found = await examine_hosts(out, ["hv01", "vmm01"])
    assert {check.status for check in found} == {Status.FAIL}
    assert asked == {"hv01": 1, "vmm01": 1}


async def test_a_host_that_has_answered_is_asked_on_though_it_refuses_something(practice, monkeypatch):
    answer, asked = TargetClient.answer, Counter()

    async def refuses_one(self, question, seconds=20.0):
        asked[question.on.lower()] += 1
        if getattr(question, "what", "") == "vssadmin list writers":
            raise AuthenticationFailed(question.on, "access is denied.")
        return await answer(self, question, seconds)

    monkeypatch.setattr(TargetClient, "answer", refuses_one)
    with open_connections(load(practice.settings_path)) as out:
        found = await examine_hosts(out, ["hv01"])
    assert [check.what for check in found if check.status is Status.FAIL] == ["writers"]
    assert "in sync" in {check.what for check in found}


def test_a_host_that_is_silent_fails_and_the_others_are_still_looked_at(own_practice, capsys):
    own_practice.do(lambda: own_practice.world.trouble("hv03", "refuse", on=True))
    assert examine(own_practice.settings_path, as_json=True) == 1
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (silent,) = [check for check in checks if check["what"] == "check-host-access"]
    assert (silent["status"], silent["on"]) == ("FAIL", "hv03")
    assert "login" in silent["says"]
    assert [check["on"] for check in checks if check["what"] == "login" and check["status"] == "OK"] == [
        "vmm01", "hv01", "hv02", "hv04", "hv05", "hv06", "br01", "br02", "br03", "br04",
    ]  # fmt: skip


def test_of_a_cluster_that_does_not_answer_the_entry_hosts_are_examined(own_practice, capsys):
    names = [f"br0{number}" for number in range(1, 5)]
    own_practice.do(lambda: [own_practice.world.trouble(name, "deny", on=True) for name in names])
    assert examine(own_practice.settings_path, as_json=True) == 1
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [
        (check["what"], check["on"]) for check in checks if check["what"] == "cluster" and check["status"] == "FAIL"
    ]
    denied = [check for check in checks if check["what"] == "login" and check["status"] == "FAIL"]
    assert {check["on"] for check in denied} <= set(names)
    assert denied
    assert all(re.search("login|denied", check["says"]) and check["do"] for check in denied)


def test_a_vmm_host_fails_for_no_lack_of_hyper_v(practice, capsys):
    assert examine(practice.settings_path, as_json=True) == 0
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {check["what"] for check in checks if check["on"] == "vmm01"} >= {"login", "in sync", "quotas", "code page"}
    assert not [check for check in checks if check["on"] == "vmm01" and check["what"] in ("hyper-v", "writers")]


def test_the_login_for_guests_is_proved_by_one_running_guest_of_each_place(practice, capsys):
    assert examine(practice.settings_path, as_json=True) == 0
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [check for check in checks if check["what"] == "guest login" and check["status"] == "OK"]
    assert sorted(check["says"] for check in told) == [
        f"hvops can log in to a running guest of {place}" for place in ("branch", "prod")
    ]
    assert {check["on"] for check in told} <= _guests(practice.world)


async def test_a_guest_that_refuses_is_told_and_no_other_is_asked(own_practice):
    world = own_practice.world
    own_practice.do(lambda: [world.trouble(name, "deny", on=True) for name in _guests(world)])
    found = [check for check in await examined(own_practice, "prod", "branch") if check.what == "guest login"]
    assert [check.status for check in found] == [Status.FAIL, Status.FAIL]
    assert all(re.search("login|denied", check.says) and check.do for check in found)


def _guests(world):
    return {guest.name for cluster in world.clusters.values() for guest in cluster.guests}
