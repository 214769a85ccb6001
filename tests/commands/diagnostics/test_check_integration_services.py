"""`/check-integration-services` from scripted replies to the whole report."""

from __future__ import annotations

from html import escape
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.report import Severity
from commands.diagnostics.check_integration_services import COMMAND, Args
from commands.sources.integration import INSTALLER, Expected, read_version

PROD = Target("prod", "cluster", "prod")
IDS = {name: f"{number:08d}-0000-4000-8000-000000000000" for number, name in enumerate("abcdefgh", start=1)}
HOST, KVP, VSS, BEAT = (
    "Msvm_ComputerSystem",
    "Msvm_KvpExchangeComponent",
    "Msvm_VssComponent",
    "Msvm_HeartbeatComponent",
)
CHANNELS = "wevtutil enumerate channels"
LOG = "wevtutil query events Microsoft-Windows-Hyper-V-Integration-Admin"
OLD, WIN6X = "Microsoft-Hyper-V-Guest-Installer", "Microsoft-Hyper-V-Guest-Installer-Win6x-Package"
EXPECTED = {OLD: "6.3.9600.18080", WIN6X: "6.3.9600.19456"}
OK, DEGRADED, INCOMPATIBLE, NO_CONTACT, LOST, MISMATCH = "2", "3", "7", "12", "13", "32775"


def item(name, data):
    return (
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{escape(data)}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY></INSTANCE>'
    )


def items(version, windows="6.3.9600", system="Windows Server 2012 R2 Standard", pack="", **more):
    told = {
        "FullyQualifiedDomainName": "x.corp.example",
        "OSName": system,
        "OSVersion": windows,
        "CSDVersion": pack,
        "IntegrationServicesVersion": version,
    } | more
    return tuple(item(name, data) for name, data in told.items())


WELL = items("6.3.9600.19456")
LINUX = items("3.1", "5.4.0", "Ubuntu")


class Guest:
    """One guest as its host reports it; a status is OperationalStatus, an enabled of "3" is off."""

    def __init__(self, name, told=WELL, *, kvp=OK, vss=OK, beat=OK, kvp_on="2", vss_on="2", power="2"):
        self.name, self.id, self.told, self.power = name, IDS[name], told, power
        self.kvp, self.vss, self.beat, self.on = kvp, vss, beat, (kvp_on, vss_on)

    def row(self, status, enabled="2", **more):
        return {"SystemName": self.id, "EnabledState": enabled, "OperationalStatus": status, **more}


def host(*guests, expected=EXPECTED, parent=None, channel=True, events=()):
    return {
        HOST: [
            {"Name": "HV01", "ElementName": "HV01", "EnabledState": "2", "OperationalStatus": "2"},
            *(
                {
                    "Name": one.id,
                    "ElementName": one.name,
                    "EnabledState": one.power,
                    "OperationalStatus": "2",
                    "HealthState": "5",
                }
                for one in guests
            ),
        ],
        KVP: [one.row(one.kvp, one.on[0], GuestIntrinsicExchangeItems=one.told) for one in guests],
        VSS: [one.row(one.vss, one.on[1]) for one in guests],
        BEAT: [one.row(one.beat) for one in guests],
        "Version": [dict(expected)],
        "GuestInstaller": [dict(parent or {})],
        CHANNELS: [{"name": "System"}, *([{"name": "Microsoft-Windows-Hyper-V-Integration-Admin"}] if channel else [])],
        LOG: list(events),
    }


@pytest.fixture
def check(scripted, make):
    async def run(hosts, build=9600, builds=None, silent=None):
        builds = builds or {}
        script = {("prod", "MSCluster_Node"): [make.node_row(name, build=builds.get(name, build)) for name in hosts]}
        script |= {(name, what): rows for name, answers in hosts.items() for what, rows in answers.items()}
        run.ask = scripted(script, silent)
        args = Args(PROD)
        return COMMAND.evaluate(args, await COMMAND.collect(args, run.ask))

    return run


def said(report):
    return {one.status: one for one in report.findings}


def states(report):
    return {row[0]: row[2] for row in report.table.rows}


async def test_all_is_well(check):
    report = await check({"hv01": host(Guest("a"), Guest("b"))})
    assert report.title == "prod: integration services work on 2 guests"
    assert (report.asked, report.answered) == (2, 2)
    assert report.findings == report.unanswered == ()
    assert [(one.word, one.targets, one.summary) for one in report.fine] == [
        ("UP TO DATE", ("a", "b"), "2012 R2 / 8.1, 6.3.9600.19456")
    ]


async def test_many_guests_cost_no_more_questions(check):
    few = await check({"hv01": host(Guest("a"))}), len(check.ask.asked)
    many = await check({"hv01": host(*map(Guest, "abcdefgh"))}), len(check.ask.asked)
    assert few[1] == many[1] == 1 + 6 + 1
    assert check.ask.rounds == 3


async def test_the_status_of_a_component_decides_what_is_incompatible(check):
    old = items("6.1.7601.17514", "6.1.7601", "Windows Server 2008 R2 Standard", "Service Pack 1")
    report = await check({"hv01": host(Guest("a", old, vss=(INCOMPATIBLE, MISMATCH)), Guest("b", old))})
    assert report.title == "prod: a has incompatible integration services, 1 more guest with findings"
    broken, older = report.findings
    assert (broken.severity, broken.status, broken.target) == (Severity.FAULT, "INCOMPATIBLE", "a")
    assert broken.summary == "Windows 2008 R2 / 7: 6.1.7601.17514, hv01 expects 6.3.9600.19456 (VSS requestor)."
    assert (older.status, older.target) == ("OLDER", "b")
    assert dict(older.lines)["Means"].startswith("Older is not incompatible")
    assert "setup disk" in dict(older.lines)["By hand"]


async def test_each_family_has_its_own_expected_version(check):
    old = items("6.3.9600.18080", "5.2.3790", "Microsoft Windows Server 2003", "Service Pack 2")
    report = await check({"hv01": host(Guest("a", old), Guest("b"))})
    assert report.findings == ()
    assert {one.summary for one in report.fine} == {"2003, 6.3.9600.18080", "2012 R2 / 8.1, 6.3.9600.19456"}


async def test_the_same_version_is_older_for_a_newer_family(check):
    old = items("6.3.9600.18080", "6.1.7601", "Windows 7 Enterprise", "Service Pack 1")
    assert "OLDER" in said(await check({"hv01": host(Guest("a", old))}))


async def test_guests_with_the_windows_of_their_host_get_it_by_their_updates(check):
    report = await check({"hv01": host(Guest("a", items("6.3.9600.17415")))})
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.NOTE, "OLDER")
    assert "setup disk" not in dict(finding.lines)["By hand"]
    assert not report.has_findings


async def test_the_other_place_is_read_where_the_usual_one_has_no_version(check):
    parent = {"Microsoft-Hyper-V-Guest-Installer-Win60-Package": "6.1.7601.17514"}
    a = items("6.1.7601.17514", "6.1.7601", "Windows Server 2008 R2 Standard", "Service Pack 1")
    b = items("6.1.7600.16385", "6.1.7600", "Windows Server 2008 R2 Standard")
    report = await check({"hv01": host(Guest("a", a), Guest("b", b), expected={}, parent=parent)}, build=7601)
    assert said(report)["OLDER"].summary.startswith(
        "Windows 2008 R2 / 7, like its host: 6.1.7600.16385, no service pack, hv01 expects 6.1.7601.17514"
    )
    assert "hv01: Guest-Installer-Win60-Package 6.1.7601.17514 (in GuestInstaller)." in report.notes


async def test_from_2016_on_no_version_is_compared(check):
    old = items("6.3.9600.19456")
    hosts = {"hv01": host(Guest("a", old), expected={OLD: "10.0.20348.1"}), "hv02": host(Guest("b", old), expected={})}
    report = await check(hosts, builds={"hv01": 20348, "hv02": 17763})
    assert report.findings == report.unanswered == ()
    assert states(report) == {"a": "by Windows Update", "b": "by Windows Update"}
    assert all("10.0.20348.1" not in row for row in report.table.rows)
    assert any(
        note.startswith("hv02: no expected version") and "Windows Update brings" in note for note in report.notes
    )


async def test_vista_and_2008_are_offered_nothing(check):
    told = items("6.1.7600.16385", "6.0.6002", "Windows Server 2008 Standard", "Service Pack 2")
    report = await check({"hv01": host(Guest("a", told, kvp=(DEGRADED, MISMATCH)), expected={})}, build=17763)
    assert "offers Vista and 2008 no integration services" in dict(said(report)["OLDER"].lines)["By hand"]
    assert report.table.rows[0][-1] == "setup disk only"


async def test_warnings_about_linux_are_ignored(check):
    event = {
        "event_id": "4010",
        "at": "2026-11-20T10:00:00Z",
        "data": {"VmName": "a", "VmId": IDS["a"]},
        "provider": "Microsoft-Windows-Hyper-V-Integration-KvpExchange",
    }
    report = await check({"hv01": host(Guest("a", LINUX, kvp=(DEGRADED, MISMATCH)), events=[event])})
    assert report.findings == ()
    assert states(report) == {"a": "version ignored"}
    assert any("Microsoft says to ignore version and degraded warnings" in note for note in report.notes)
    assert any("a (Linux: ignore)" in note for note in report.notes)


async def test_data_exchange_off_is_told_from_a_missing_daemon(check):
    guests = (
        Guest("a", None, kvp_on="3", kvp=OK),
        Guest("b", LINUX, kvp=(LOST,)),
        Guest("c", None, kvp=(NO_CONTACT,)),
        Guest("d", None, kvp=(NO_CONTACT,), beat=(NO_CONTACT,), vss=(NO_CONTACT,)),
    )
    report = await check({"hv01": host(*guests)})
    assert {word: one.target for word, one in said(report).items()} == {
        "NO CONTACT": "d",
        "DATA EXCHANGE OFF": "a",
        "NO DAEMON": "b",
        "NO DATA": "c",
    }
    assert "heartbeat answers" in said(report)["NO DATA"].summary
    by_hand = dict(said(report)["NO DATA"].lines)["By hand"]
    assert "hypervkvpd" in by_hand
    assert "vmickvpexchange" in by_hand
    assert report.title == "prod: d has no contact with its host, 3 more guests with findings"


async def test_the_requestor_of_vss(check):
    guests = (Guest("a", vss=(NO_CONTACT,)), Guest("b", vss_on="3"), Guest("c", LINUX, vss=(NO_CONTACT,)))
    report = await check({"hv01": host(*guests)})
    assert {word: one.target for word, one in said(report).items()} == {"VSS OFF": "b", "VSS NOT ANSWERING": "a"}
    assert any(note.startswith("No VSS daemon") and "in c:" in note for note in report.notes)


async def test_hosts_that_differ(check):
    behind = EXPECTED | {WIN6X: "6.3.9600.18080"}
    hosts = {"hv01": host(Guest("a")), "hv02": host(Guest("b")), "hv03": host(Guest("c"), expected=behind)}
    finding = said(await check(hosts))["HOSTS DIFFER"]
    assert finding.target == "hv03"
    assert "hv01, hv02 expect 6.3.9600.19456; hv03 expects 6.3.9600.18080" in finding.summary


async def test_another_place_or_another_windows_is_no_difference(check):
    hosts = {"hv01": host(Guest("a")), "hv02": host(Guest("b"), expected={}, parent=EXPECTED)}
    assert "HOSTS DIFFER" not in said(await check(hosts))
    hosts = {"hv01": host(Guest("a")), "hv02": host(expected={WIN6X: "6.2.9200.16433"})}
    assert "HOSTS DIFFER" not in said(await check(hosts, builds={"hv02": 9200}))


async def test_a_host_without_expected_versions_judges_nobody(check):
    report = await check({"hv01": host(Guest("a"), expected={})})
    assert report.title == "prod: no guest could be checked, 1 unknown"
    assert [(one.target, one.kind) for one in report.unanswered] == [("a", "not checked")]
    assert not report.fine


async def test_the_log_is_only_read_where_it_is_listed(check):
    report = await check({"hv01": host(Guest("a"), channel=False)})
    assert "No Integration-Admin log on hv01." in report.notes
    assert all("Integration" not in str(one) or "wevtutil query" not in str(one) for one in check.ask.asked)


async def test_a_silent_host_is_unknown_and_so_are_its_guests(check):
    report = await check({"hv01": host(Guest("a")), "hv02": {}}, silent={"hv02": "timed out"})
    assert report.title == "prod: integration services work on 1 guest, not all hosts answered"
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv02", "timed out")]


async def test_parts_that_do_not_answer_are_said_once(check):
    answers = host(Guest("a"), Guest("b")) | {KVP: Unknown("hv01", "refused", "access is denied.")}
    report = await check({"hv01": answers})
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv01", "refused")]
    assert report.title == "prod: no guest could be checked, 2 unknown"


async def test_a_guest_on_the_move_is_counted_where_it_runs(check):
    hosts = {"hv01": host(Guest("a", None, power="3")), "hv02": host(Guest("a"))}
    report = await check(hosts)
    assert [(row[0], row[1], row[2]) for row in report.table.rows] == [("a", "hv02", "up to date")]


@pytest.mark.parametrize(
    "told",
    [
        items("10.0.0.4;169.254.1.9"),
        items("6.3.9600.19456<script>"),
        items("٦.٣.٩٦٠٠.١٩٤٥٦"),
        items("9" * 500),
        items(""),
    ],
)
async def test_a_version_that_is_none_is_not_taken_for_one(check, told):
    report = await check({"hv01": host(Guest("a", told))})
    assert [(one.target, one.kind) for one in report.unanswered] == [("a", "not checked")]
    assert report.table.rows[0][4] == ""


async def test_a_broken_item_spoils_only_itself(check):
    told = ("<INSTANCE", '<!DOCTYPE a [<!ENTITY b "c">]><INSTANCE/>', "", *WELL)
    report = await check({"hv01": host(Guest("a", told))})
    assert states(report) == {"a": "up to date"}


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
async def test_items_are_read_by_name_in_any_order(check, order):
    told = (*WELL[:3], WELL[4])
    report = await check({"hv01": host(Guest("a", tuple(told[at] for at in order)))})
    assert states(report) == {"a": "up to date"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_version_or_none(text):
    version = read_version(text)
    assert version is None or ".".join(map(str, version)).replace("0", "") == text.strip().replace("0", "")


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(max_size=60), st.sampled_from(["6.3.9600.1", "6.3.9600.2"]), max_size=4),
    st.integers(0, 20),
    st.integers(0, 9),
)
def test_names_that_nobody_knows_only_count_where_all_agree(values, major, minor):
    found = Expected(values, INSTALLER).version_for((major, minor))
    names = [name for name in values if name.casefold().startswith(OLD.casefold())]
    if found is not None and not names:
        assert len(set(values.values())) == 1


async def test_the_title_names_what_comes_first(check):
    report = await check(
        {"hv01": host(Guest("a", items("6.3.9600.17415"), kvp=(DEGRADED,)), Guest("b", vss=(NO_CONTACT,)))}
    )
    assert report.title == "prod: b has a silent VSS requestor, 1 more guest with findings"
    assert [one.status for one in report.findings] == ["VSS NOT ANSWERING", "OLDER"]


async def test_who_updates_a_guest_is_said_of_each(check):
    old = items("6.1.7601.17514", "6.1.7601", "Windows Server 2008 R2 Standard", "Service Pack 1")
    new = items("10.0.14393.0", "10.0.14393", "Windows Server 2016 Standard")
    report = await check(
        {"hv01": host(Guest("a", old), Guest("b"), Guest("c", new), Guest("d", LINUX), Guest("e", power="3"))}
    )
    assert {row[0]: row[-1] for row in report.table.rows} == {
        "a": "setup disk",
        "b": "Windows Update",
        "c": "Windows Update",
        "d": "Linux distribution",
        "e": "",
    }


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ((6, 0), f"{OLD}-Win60-Package"),
        ((6, 1), WIN6X),
        ((6, 3), WIN6X),
        ((5, 2), f"{OLD}-Win5x-Package"),
        ((10, 0), None),
    ],
)
def test_the_value_closest_to_the_family_counts(family, name):
    values = {
        OLD: "6.2.9200.1",
        WIN6X: "6.2.9200.2",
        f"{OLD}-Win60-Package": "6.2.9200.3",
        f"{OLD}-Win5x-Package": "6.2.9200.4",
    }
    found = Expected(values, INSTALLER).version_for(family)
    assert found == ((name, values[name]) if name else None)


async def test_the_log_is_read_under_the_name_that_the_host_lists(check):
    answers = host(Guest("a")) | {CHANNELS: [{"name": "Microsoft-Windows-Hyper-V-Integration/Admin"}]}
    slashed = LOG.removesuffix("-Admin") + "/Admin"
    report = await check({"hv01": {**answers, slashed: []} | {LOG: Unknown("hv01", "refused", "no such channel.")}})
    assert any("no version warning" in note for note in report.notes)


async def test_channels_that_are_not_told_leave_the_log_unknown(check):
    refused = Unknown("hv01", "refused", "access is denied.")
    report = await check({"hv01": host(Guest("a")) | {CHANNELS: refused}})
    assert "The Integration-Admin log of hv01 could not be read." in report.notes
