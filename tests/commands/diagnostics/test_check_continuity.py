"""Assumptions: what proves them, what breaks them, and that silence, a guess or health 0 proves nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.api.arguments import Target
from bot.api.continuity import Assumption, Probe, Service, Site
from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Severity
from bot.transport.allowlist.addresses import parse_hosts
from commands.continuity.facts import Facts, HostFacts, QuorumFacts
from commands.continuity.inside import InsideFacts
from commands.continuity.links import Paths
from commands.continuity.outcomes import Outcome
from commands.continuity.verdicts import verdicts_of
from commands.diagnostics.check_continuity import Args, evaluate
from commands.sources.cluster import Node
from commands.sources.guests import Guest, Power, Replication
from commands.sources.nodes import NodeState
from commands.sources.ping import Series, echoes
from commands.sources.quorum import ClusterSettings, WitnessResource
from commands.sources.replication import Ends, Relationship, Statistics, replication_ends, replication_statistics
from commands.sources.slack_group import Member
from commands.sources.text_files import Mention, Override, hosts_file

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
VM = "11111111-0000-4000-8000-00000000000A"
SITES = (Site("antwerp", ("prod", "fs01", "lic01")), Site("ghent", ("branch", "lic02")))
MINUTE = timedelta(minutes=1)
GOOD = Relationship(VM, extended=False, state=3, health=1, last=NOW - 3 * MINUTE)
SILENT = Unknown("hv01", "timed out", "no answer in 20 s.")


def assume(probe, target="crm-01", **more):
    return Assumption("as people say", probe, target, "CRM team", **more)


def guest(mode=Replication.PRIMARY, name="crm-01", vm_id=VM):
    return Guest(vm_id, name, Power.RUNNING, backing_up=False, replication=mode)


PRIMARY = (guest(),)


def host(name="hv01", guests=PRIMARY, relationships=(GOOD,), interval=5 * MINUTE):
    ends = {VM: Ends("hv01.corp.example", "br01.corp.example", interval)}
    return HostFacts(Node(name, 9600), guests, relationships, ends)


def facts(*hosts, **more):
    return Facts(
        {one.node.name: one for one in hosts}, (), more.pop("statistics", {}), more.pop("quorums", {}), NOW, **more
    )


def target(*assumptions, rpo=15, sites=SITES):
    service = Service("crm", ("prod", "branch"), ("crm-01",), 240, rpo, assumptions)
    return Target("crm", "service", clusters=service.places, services=(service,), sites=sites)


def judged(assumption, found, **more):
    (verdict,) = verdicts_of(target(assumption, **more), found)
    return verdict


def statistics(lag=timedelta(seconds=21), tested=None, cycles=144, missed=0, on="hv01"):
    return {(on, VM): Statistics(cycles, lag, missed, tested)}


# replication ------------------------------------------------------------------------------------------------------------


def test_a_lag_within_the_promise_is_proved():
    verdict = judged(assume(Probe.REPLICATION), facts(host(), statistics=statistics()))
    assert verdict.outcome is Outcome.PROVED
    assert "every 5 min takes 21 s on average; limit: 15 min" in verdict.why


@pytest.mark.parametrize(
    ("told", "outcome", "says"),
    [
        (replace(GOOD, health=3, state=8), Outcome.BROKEN, "critical, last replicated 3 min ago"),
        (replace(GOOD, health=0), Outcome.UNPROVABLE, "its health is not known (0)"),
        (replace(GOOD, health=None), Outcome.UNPROVABLE, "its health is not known (not told)"),
        (replace(GOOD, health=9), Outcome.UNPROVABLE, "its health is not known (9)"),
        (replace(GOOD, last=None), Outcome.UNPROVABLE, "never replicated"),
        (replace(GOOD, health=2), Outcome.UNPROVABLE, "Windows warns"),
        (replace(GOOD, state=7), Outcome.UNPROVABLE, "suspended"),
        (replace(GOOD, state=99), Outcome.UNPROVABLE, "unlisted state 99"),
        (replace(GOOD, state=None), Outcome.UNPROVABLE, "not told"),
        (replace(GOOD, last=NOW + timedelta(hours=1)), Outcome.UNPROVABLE, "in the future"),
        (replace(GOOD, last=NOW - 40 * MINUTE), Outcome.BROKEN, "last replicated 40 min ago; limit: 15 min"),
    ],
)
def test_what_windows_says_decides(told, outcome, says):
    verdict = judged(assume(Probe.REPLICATION), facts(host(relationships=(told,)), statistics=statistics()))
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


@pytest.mark.parametrize(
    ("found", "outcome", "says"),
    [
        ({}, Outcome.UNPROVABLE, "average lag is not known"),
        ({("hv01", VM): SILENT}, Outcome.UNPROVABLE, "average lag is not known: no answer"),
        (statistics(lag=None, cycles=0), Outcome.UNPROVABLE, "no cycle has succeeded"),
        (statistics(lag=11 * MINUTE, missed=3), Outcome.BROKEN, "3 cycles missed: up to 16 min of work is lost"),
    ],
)
def test_the_average_decides_and_is_never_made_up(found, outcome, says):
    verdict = judged(assume(Probe.REPLICATION), facts(host(), statistics=found))
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


def test_an_interval_that_was_not_told_proves_nothing():
    verdict = judged(assume(Probe.REPLICATION), facts(host(interval=None), statistics=statistics()))
    assert verdict.outcome is Outcome.UNPROVABLE


@pytest.mark.parametrize(
    ("hosts", "outcome", "says"),
    [
        ((host(relationships=()),), Outcome.BROKEN, "does not replicate at all"),
        ((host(relationships=SILENT),), Outcome.UNPROVABLE, "does not say how it replicates"),
        ((host(guests=()),), Outcome.BROKEN, "no virtual machine of that name was found on hv01"),
        ((host(guests=()), host("hv02", guests=SILENT)), Outcome.UNPROVABLE, "hv02 did not answer"),
        ((host(guests=(guest(None),)),), Outcome.UNPROVABLE, "does not say whether it is the machine itself or a copy"),
        ((host(), host("br01")), Outcome.UNPROVABLE, "it is on hv01, br01, and no copy on any of them"),
        ((host(guests=(guest(), guest(vm_id=VM.replace("A", "B")))),), Outcome.UNPROVABLE, "several virtual machines"),
    ],
)
def test_whose_word_it_is(hosts, outcome, says):
    verdict = judged(assume(Probe.REPLICATION), facts(*hosts, statistics=statistics()))
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


# test failover ------------------------------------------------------------------------------------------------------------


COPY = host("br01", guests=(guest(Replication.REPLICA),))


@pytest.mark.parametrize(
    ("tested", "outcome", "says"),
    [
        (NOW - timedelta(days=179), Outcome.PROVED, "179 days ago"),
        (NOW - timedelta(days=200), Outcome.STALE, "200 days ago; limit: 180 days"),
        (None, Outcome.BROKEN, "no test failover yet, says br01, the recovery server"),
        (NOW + timedelta(days=3), Outcome.UNPROVABLE, "in the future"),
    ],
)
def test_the_recovery_server_knows_when_it_was_tested(tested, outcome, says):
    found = facts(host(), COPY, statistics=statistics(tested=tested, on="br01"))
    verdict = judged(assume(Probe.TEST_FAILOVER, max_age_days=180), found)
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


def test_the_primary_is_not_asked_in_its_place():
    found = facts(host(), statistics=statistics(tested=NOW - timedelta(days=1)))
    verdict = judged(assume(Probe.TEST_FAILOVER, max_age_days=180), found)
    assert verdict.outcome is Outcome.UNPROVABLE
    assert "its recovery server is br01.corp.example" in verdict.why


# votes ------------------------------------------------------------------------------------------------------------------------


def quorum(votes="11111", weight=0, shares=("\\\\fs01\\witness",), nodes=None):
    states = tuple(NodeState(f"hv{at:02}", 0, 0, votes=vote == "1") for at, vote in enumerate(votes, 1))
    witnesses = (WitnessResource("File Share Witness", "File Share Witness", 2),) if shares else ()
    kind = ClusterSettings(2 if shares else 1, keeps_apart=False)
    return QuorumFacts("prod", nodes or states, kind, weight, witnesses, shares)


def voters(*states):
    return tuple(NodeState(f"hv{at:02}", state, 0, votes=True) for at, state in enumerate(states, 1))


def votes_of(told, sites=SITES):
    return verdicts_of(target(assume(Probe.VOTES, "prod"), sites=sites), facts(quorums={"prod": told}))


def test_a_witness_without_a_vote_beside_an_odd_number_is_well():
    (verdict,) = votes_of(quorum())
    assert verdict.outcome is Outcome.PROVED
    assert verdict.why.startswith("5 votes, the witness stands by with none, as it should with an odd number")


@pytest.mark.parametrize(
    ("told", "outcome", "says"),
    [
        (quorum("1111", weight=0), Outcome.BROKEN, "4 votes, an even number, and the witness has no vote"),
        (quorum("11", shares=()), Outcome.BROKEN, "2 votes: it stops when one of them goes"),
        (quorum("1110", weight=0), Outcome.PROVED, "without a vote: hv04"),
        (quorum(nodes=SILENT), Outcome.UNPROVABLE, "its votes are not known"),
        (
            quorum(nodes=(NodeState("hv01", 0, 0, votes=None),)),
            Outcome.UNPROVABLE,
            "hv01 did not tell whether it has a vote",
        ),
        # the witness's resource was not told: whether one was configured decides
        (
            replace(quorum("1111", weight=0), witnesses=SILENT),
            Outcome.UNPROVABLE,
            "whether it has a witness is not known",
        ),
        (replace(quorum("11111", weight=0), witnesses=SILENT), Outcome.UNPROVABLE, "whether it has a witness"),
        (
            replace(quorum("111", shares=()), witnesses=SILENT),
            Outcome.PROVED,
            "3 votes: the cluster survives the loss of one",
        ),
        # a node that is down keeps its vote where votes are not dynamic
        (
            quorum(shares=(), nodes=voters(0, 0, 1)),
            Outcome.BROKEN,
            "of which hv03 is away: it stops when one more goes",
        ),
        (
            quorum(shares=(), nodes=voters(0, 2, 0, 0, 1)),
            Outcome.PROVED,
            "5 votes: the cluster survives the loss of one",
        ),
        (quorum(shares=(), nodes=voters(0, 0, 0, 1, 3)), Outcome.BROKEN, "of which hv04, hv05 are away"),
        (quorum(shares=(), nodes=voters(0, 0, None)), Outcome.UNPROVABLE, "whether hv03 is up is not known"),
        (quorum(shares=(), nodes=voters(0, 0, 99)), Outcome.UNPROVABLE, "whether hv03 is up is not known"),
    ],
)
def test_votes_that_count_now(told, outcome, says):
    verdict = votes_of(told)[0]
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


@pytest.mark.parametrize(
    ("sites", "outcome", "says"),
    [
        ((), Outcome.UNPROVABLE, "witness share on fs01: in which site?"),
        (
            (Site("antwerp", ("hv01", "hv02", "hv03", "fs01")), Site("ghent", ("hv04",))),
            Outcome.BROKEN,
            "stops when antwerp is lost: 4 of 5 votes",
        ),
        (
            (Site("a", ("hv01", "hv02")), Site("b", ("hv03", "hv04")), Site("c", ("fs01",))),
            Outcome.PROVED,
            "survives the loss of a or b or c",
        ),
        ((Site("a", ("hv01", "hv02", "fs01")),), Outcome.UNPROVABLE, "in which site hv03, hv04 are"),
        ((Site("a", ("prod",)), Site("b", ("fs01",))), None, ""),
    ],
)
def test_the_loss_of_a_site(sites, outcome, says):
    verdicts = votes_of(quorum("1111", weight=1), sites)
    if outcome is None:
        assert len(verdicts) == 1
        return
    assert (verdicts[1].outcome, says in verdicts[1].why) == (outcome, True), verdicts[1]


def test_a_voter_that_is_down_counts_where_a_site_is_lost():
    sites = (Site("a", ("hv01", "hv02")), Site("b", ("hv03", "hv04")), Site("c", ("hv05", "fs01")))
    told = quorum("11111", weight=0)
    assert [one.outcome for one in votes_of(told, sites)] == [Outcome.PROVED, Outcome.PROVED]
    verdict = votes_of(replace(told, nodes=voters(1, 0, 0, 0, 0)), sites)[1]
    assert verdict.outcome is Outcome.BROKEN
    assert verdict.why == "it stops when b is lost: 2 of 5 votes are in b, and hv01 is away"


def test_without_a_witness_the_loss_of_a_site_is_counted_too():
    sites = (Site("antwerp", ("hv01", "hv02")), Site("ghent", ("hv03",)))
    verdicts = votes_of(quorum("111", shares=()), sites)
    assert [one.outcome for one in verdicts] == [Outcome.PROVED, Outcome.BROKEN]
    assert verdicts[1].why == "it stops when antwerp is lost: 2 of 3 votes are in antwerp"


# files ------------------------------------------------------------------------------------------------------------------------


def inside(**more):
    return facts(inside={"crm-01": InsideFacts(**more)})


def test_one_override_breaks_and_a_switched_off_line_is_said():
    on, off = Override(27, "10.20.0.15", ("sql-prod",), active=True), Override(28, "10.20.0.16", ("pay",), active=False)
    verdict = judged(assume(Probe.HOSTS_FILE), inside(overrides=(on, off)))
    assert verdict.outcome is Outcome.BROKEN
    assert verdict.why == "1 override: sql-prod goes to 10.20.0.15 (line 27)"
    assert dict(verdict.lines)["Commented out"] == "Line 28 (pay at 10.20.0.16). Someone once relied on it."
    assert judged(assume(Probe.HOSTS_FILE), inside(overrides=(off,))).outcome is Outcome.PROVED


@pytest.mark.parametrize("probe", [Probe.HOSTS_FILE, Probe.ADDRESSES])
@pytest.mark.parametrize("found", [facts(), facts(inside={"crm-01": SILENT}), inside(overrides=SILENT)])
def test_files_that_nobody_read_prove_nothing(probe, found):
    assert judged(assume(probe, folders=("C:\\crm",)), found).outcome is Outcome.UNPROVABLE


def overrides(*lines):
    rows = tuple({"line": str(at), "text": line} for at, line in enumerate(lines, 1))
    return hosts_file("hv01", "C:\\etc").read(rows)


@pytest.mark.parametrize(
    "line",
    [
        "010.20.0.15 sql-prod",
        "0x0a.20.0.15 sql-prod",
        "10.20 sql-prod",
        "\u2229\u2557\u251010.20.0.15 sql-prod",
        "10.20.0.15 sql-prod.corp.example.",
        "10.20.0.15 d\u00e4b01",
    ],
)
def test_a_line_in_force_that_cannot_be_read_proves_nothing(line):
    with pytest.raises(ValueError, match="line 2 of the hosts file is in force"):
        overrides("# a comment", line)
    assert [one.names for one in overrides(line, "10.20.0.16 pay")] == [("pay",)]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("102.54.94.97 sql-prod", ("sql-prod",)),
        ("10.20.0.15 sql-prod ; moved!", ("sql-prod",)),
        ("10.20.0.15 sql-prod x!y # moved", ("sql-prod",)),
    ],
)
def test_a_line_in_force_is_an_override_whatever_else_stands_in_it(line, names):
    (found,) = overrides(line)
    assert (found.names[: len(names)], found.active) == (names, True)


@pytest.mark.parametrize(
    "line",
    [
        "#      102.54.94.97     rhino.acme.com          # source server",
        "\u2229\u2557\u2510# Copyright (c) 1993-2009 Microsoft Corp.",
        "127.0.0.1 localhost",
        "192.168.1.20 host.docker.internal",
        "10.20.0.15",
        "# 10 of them are here, see the wiki",
    ],
)
def test_what_overrides_nothing(line):
    assert overrides(line) == ()


@pytest.mark.parametrize("told", [{"ReplicationLatency": -9}, {"ReplicationSuccessCount": -1}])
def test_less_than_nothing_is_no_statistics(told):
    row = {"ReplicationSuccessCount": 1, "ReplicationLatency": 1} | told
    with pytest.raises(ValueError, match="no statistics"):
        replication_statistics("hv01", VM).read((row,))


def test_a_reply_before_its_request_is_none():
    with pytest.raises(ValueError, match="a reply after -5 ms"):
        echoes("hv01", "hv02")[0].read(({"StatusCode": 0, "ResponseTime": -5},))


@pytest.mark.parametrize("seconds", [-300, 0, 10**15])
def test_an_interval_that_nobody_can_have_is_not_told(seconds):
    row = {"InstanceID": f"Microsoft:{VM}\\HVR\\0", "ReplicationInterval": seconds}
    (ends,) = replication_ends(Node("hv01", 9600)).read((row,)).values()
    assert ends.interval is None


def test_an_address_breaks_and_versions_and_comments_do_not():
    others = tuple(
        Mention("C:\\crm\\a.ini", at, kind, "10.1.2.3") for at, kind in enumerate(("version", "comment", "own"))
    )
    assumption = assume(Probe.ADDRESSES, folders=("C:\\crm",))
    verdict = judged(assumption, inside(mentions={"C:\\crm": others}))
    assert verdict.outcome is Outcome.PROVED
    assert "1 version number, 1 address in a comment, 1 loopback address or mask" in dict(verdict.lines)["Ignored"]
    found = (*others, Mention("C:\\crm\\web.config", 3, "address", "10.20.0.15"))
    verdict = judged(assumption, inside(mentions={"C:\\crm": found}))
    assert (verdict.outcome, verdict.why) == (Outcome.BROKEN, "1 address: 10.20.0.15 in C:\\crm\\web.config line 3")


def test_one_folder_that_was_not_read_proves_nothing_of_the_others():
    assumption = assume(Probe.ADDRESSES, folders=("C:\\crm", "D:\\crm"))
    verdict = judged(assumption, inside(mentions={"C:\\crm": (), "D:\\crm": SILENT}))
    assert verdict.outcome is Outcome.UNPROVABLE


# links ------------------------------------------------------------------------------------------------------------------------


def paths(**series):
    senders = {"prod": "hv01", "branch": "br01"}
    return facts(paths=Paths(senders, {tuple(key.split("__")): one for key, one in series.items()}, {"hv01": 0.6}))


LINK = assume(Probe.LINK, "prod", to="branch", max_milliseconds=20, max_loss_percent=1)
FINE = Series(10, (12,) * 10, resolved=True)


@pytest.mark.parametrize(
    ("back", "outcome", "says"),
    [
        (FINE, Outcome.PROVED, "br01 to hv01: up to 12 ms, 0 % lost of 10"),
        (Series(10, (30,) * 10, resolved=True), Outcome.BROKEN, "up to 30 ms"),
        (Series(10, (12,) * 9, resolved=True), Outcome.BROKEN, "10 % lost"),
        (Series(10, (), resolved=True), Outcome.UNPROVABLE, "a firewall may drop them"),
        (Series(10, (), resolved=False), Outcome.BROKEN, "the name has no address there"),
        (Series(8, (12,) * 8, resolved=True, unasked=2), Outcome.UNPROVABLE, "0 % lost of 8"),
        (SILENT, Outcome.UNPROVABLE, "no answer in 20 s"),
    ],
)
def test_a_link_is_judged_by_its_worse_direction(back, outcome, says):
    verdict = judged(LINK, paths(hv01__br01=FINE, br01__hv01=back))
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


def test_a_site_that_does_not_answer_proves_nothing_of_the_link():
    found = facts(paths=Paths({"prod": "hv01", "branch": ""}, {}, {}))
    verdict = judged(LINK, found)
    assert (verdict.outcome, verdict.why) == (Outcome.UNPROVABLE, "no host of branch answered")


def test_hvops_own_connection_is_said_beside_it():
    verdict = judged(LINK, paths(hv01__br01=FINE, br01__hv01=FINE))
    assert "hvops itself connects to hv01 in 0.6 ms" in verdict.why


def test_a_second_server_elsewhere_that_everybody_reaches():
    one = Series(10, (0,) * 10, resolved=True)
    every = {f"{sender}__{name}": one for sender in ("hv01", "br01") for name in ("lic01", "lic02")}
    point = assume(Probe.SINGLE_POINT, "lic01", others=("lic02",))
    assert judged(point, paths(**every)).outcome is Outcome.PROVED
    assert judged(point, paths(**every), sites=()).outcome is Outcome.UNPROVABLE
    together = (Site("antwerp", ("prod", "lic01", "lic02")),)
    assert "takes them all" in judged(point, paths(**every), sites=together).why
    silent = every | {"br01__lic01": Series(10, (), resolved=True)}
    assert judged(point, paths(**silent)).outcome is Outcome.UNPROVABLE
    alone = judged(assume(Probe.SINGLE_POINT, "lic01"), paths())
    assert (alone.outcome, "it is the only one" in alone.why) == (Outcome.BROKEN, True)


# people and words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ((Member("anna", active=True),), Outcome.PROVED),
        ((Member("bot", active=False),), Outcome.BROKEN),
        ((), Outcome.BROKEN),
        (SILENT, Outcome.UNPROVABLE),
    ],
)
def test_somebody_is_on_call(members, outcome):
    assert judged(assume(Probe.ON_CALL, "S0ONCALL"), facts(groups={"S0ONCALL": members})).outcome is outcome


@pytest.mark.parametrize(
    ("proved_on", "outcome"),
    [(None, Outcome.UNPROVABLE), (date(2026, 11, 1), Outcome.PROVED), (date(2025, 1, 1), Outcome.STALE)],
)
def test_a_persons_word_is_shown_as_that_and_grows_old(proved_on, outcome):
    verdict = judged(assume(Probe.STATEMENT, "lic01", proved_on=proved_on, max_age_days=365, proof="minutes"), facts())
    assert verdict.outcome is outcome
    assert proved_on is None or "confirmed but not verified (minutes)" in verdict.why


@pytest.mark.parametrize("probe", list(Probe))
def test_nothing_is_proved_where_nothing_was_answered(probe):
    """Never green by default: no probe, not even one that is added later, proves anything out of silence."""
    for verdict in verdicts_of(target(assume(probe, to="branch", folders=("C:\\x",), others=("lic02",))), facts()):
        assert verdict.outcome in (Outcome.UNPROVABLE, Outcome.BROKEN), verdict


def test_the_title_counts_and_the_worst_comes_first():
    found = facts(host(), quorums={"prod": quorum(nodes=SILENT)}, statistics=statistics())
    told = target(assume(Probe.REPLICATION), assume(Probe.VOTES, "prod"), assume(Probe.SINGLE_POINT, "lic01"))
    report = evaluate(Args(told), found)
    assert report.title == "crm: 1 broken, 1 not proved, 1 proved"
    assert [(one.severity, one.status) for one in report.findings] == [
        (Severity.FAULT, "BROKEN"),
        (Severity.WARNING, "NOT PROVED"),
    ]
    assert report.has_findings
    assert len(report.table.rows) == 3


OTHER = "22222222-0000-4000-8000-00000000000B"


def two_machines(*, last=NOW - 40 * MINUTE, name="crm-02"):
    late = replace(GOOD, vm_id=OTHER, last=last)
    return facts(
        host(guests=(guest(), guest(name=name, vm_id=OTHER)), relationships=(GOOD, late)), statistics=statistics()
    )


def test_the_lag_of_two_machines_is_a_chart_with_the_promise_and_the_same_numbers_in_the_table():
    told = target(assume(Probe.REPLICATION), assume(Probe.REPLICATION, "crm-02"), assume(Probe.SINGLE_POINT, "lic01"))
    report = evaluate(Args(told), two_machines())
    assert report.chart == Chart(
        "Minutes since the last replication",
        "min",
        (Bar("crm-02", 400), Bar("crm-01", 30)),
        (("target (RPO)", 150),),
    )
    assert report.table.columns[-1] == Column("Last cycle", "number", "min")
    assert {row[1]: row[-1] for row in report.table.rows} == {"crm-01": "3", "crm-02": "40", "lic01": ""}


@pytest.mark.parametrize("last", [None, NOW + timedelta(hours=1)])
def test_a_lag_that_is_not_known_is_no_bar(last):
    told = target(assume(Probe.REPLICATION), assume(Probe.REPLICATION, "crm-02"))
    report = evaluate(Args(told), two_machines(last=last))
    assert report.chart is None
    assert {row[1]: row[-1] for row in report.table.rows} == {"crm-01": "3", "crm-02": ""}


def test_of_a_cluster_every_machine_has_a_bar_and_nobody_promised_anything():
    long = "a-machine-with-a-very-long-name"
    cluster = Target("prod", "cluster", "prod")
    chart = evaluate(Args(cluster), two_machines(name=long)).chart
    assert chart is not None
    assert [bar.label for bar in chart.bars] == [f"{long[:19]}…", "crm-01"]
    assert chart.thresholds == ()


def replica(on, mode=Replication.REPLICA, vm_id=VM):
    return HostFacts(Node(on, 9600), (guest(mode, vm_id=vm_id),), (), {})


@pytest.mark.parametrize(
    ("hosts", "outcome", "says"),
    [
        ((host(), replica("br01")), Outcome.PROVED, "3 days ago"),
        ((host(), replica("br01"), replica("br02", Replication.EXTENDED_REPLICA)), Outcome.PROVED, "3 days ago"),
        ((replica("br01", Replication.EXTENDED_REPLICA),), Outcome.PROVED, "3 days ago"),
        ((host(), replica("hv02"), replica("br01")), Outcome.UNPROVABLE, "copies of it are on hv02, br01"),
        ((host(), replica("br01", vm_id=VM[:-1] + "B")), Outcome.UNPROVABLE, "is one of another machine of that name"),
    ],
)
def test_no_host_proves_a_test_failover_of_a_copy_that_is_not_the_one(hosts, outcome, says):
    """A host can claim a copy of any machine, and that it was tested yesterday."""
    told = Statistics(1, None, 0, NOW - timedelta(days=3))
    known = {(one.node.name, one.guests[0].vm_id): told for one in hosts}
    verdict = judged(assume(Probe.TEST_FAILOVER, max_age_days=90), facts(*hosts, statistics=known))
    assert (verdict.outcome, says in verdict.why) == (outcome, True), verdict


def test_a_lag_beyond_every_time_is_no_statistics():
    """It could be read, and could not be added to: the whole check ended as a bug of ours."""
    with pytest.raises(ValueError, match="no statistics"):
        replication_statistics("hv01", VM).read(
            ({"ReplicationSuccessCount": "1", "ReplicationLatency": "86399999999999"},)
        )


@pytest.mark.parametrize("blanks", [" " * 500, "\t" * 500, " \t" * 3_000])
def test_a_name_far_to_the_right_of_its_address_is_overridden_all_the_same(blanks):
    (found,) = hosts_file("hv01", "C:\\etc").read(parse_hosts(f"1:10.20.0.15{blanks}sql-prod\r\n"))
    assert found.names == ("sql-prod",)


def test_a_line_of_a_hosts_file_without_an_end_is_not_read():
    with pytest.raises(ValueError, match="more than 8,192 characters"):
        parse_hosts(f"1:10.20.0.15{' ' * 9_000}sql-prod\r\n")


def test_of_thousands_of_guests_each_is_looked_at_once_however_many_machines_a_service_has():
    class Name(str):
        __slots__ = ()

        def casefold(self):
            nonlocal looked
            looked += 1
            return super().casefold()

    looked = 0
    guests = tuple(replace(guest(Replication.PRIMARY, vm_id=f"id-{at}"), name=Name(f"Crm-{at}")) for at in range(200))
    host = HostFacts(Node("hv01", 9600), guests, (), {})
    for at in range(50):
        assert [one.vm_id for one in host.guests_named(f"CRM-{at}")] == [f"id-{at}"]
    assert host.guests_named("gone") == ()
    assert looked == len(guests)
    assert replace(host, guests=Unknown("hv01", "timed out", "no answer")).guests_named("crm-1") == ()
