"""Clocks: who agrees, who is off, and where that is not known."""

from datetime import datetime, timedelta

import pytest

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown
from bot.api.report import Severity
from commands.clocks.compare import BOT, Clock, Pair, Skew
from commands.diagnostics.check_time_skew import Args, Facts, collect, evaluate

PROD = Args(Target("prod", "cluster", "prod"))
HOST = Args(Target("hv02", "host", "prod"))
NODES, TIME = "MSCluster_Node", "Win32_OperatingSystem"
NOW = datetime.fromisoformat("2026-11-22T22:41:07.400000+00:00")
QUICK = 0.8


def told(ahead: float, trip: float = QUICK) -> Known[datetime]:
    """A clock `ahead` seconds of the bot's, read halfway through a round trip of `trip` seconds."""
    half = timedelta(seconds=trip / 2)
    return Known(NOW + timedelta(seconds=ahead), NOW - half, NOW + half)


def judge(*ahead, args=PROD, **more):
    """A report on hv01, hv02, …: seconds ahead of the bot's clock, or an answer as it is."""
    parts = [told(one) if isinstance(one, int | float) else one for one in ahead]
    return evaluate(args, Facts({f"hv{number:02}": part for number, part in enumerate(parts, 1)} | more))


def silence(name: str, kind: str = "timed out") -> Unknown:
    return Unknown(name, kind, "no answer in 20 s.")


def lines(finding):
    return dict(finding.lines)


def test_all_agree():
    report = judge(0, 0.2, -0.2)
    assert report.title == "prod: 3 nodes agree within 1.2 s"  # 0.4 s between them, and 0.4 s for each
    assert (report.asked, report.answered, report.findings, report.unanswered) == (3, 3, (), ())
    assert [(one.word, one.targets) for one in report.fine] == [("IN SYNC", ("hv01", "hv02", "hv03"))]
    assert report.table.rows[1] == ("hv03", "-0.2", "0.4", "in sync")


def test_one_node_is_off_against_the_others():
    report = judge(0, 432, 0, 0)
    assert report.title == "prod: hv02 is 432 s ahead of hv01, over the Kerberos limit"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "SKEWED", "hv02")
    assert finding.summary == "432 s ahead of hv01 (± 0.8 s). 3 nodes and the bot agree within 0.8 s."
    assert lines(finding)["By hand"].startswith("On hv02, run w32tm /query /status")
    assert "w32tm /resync" in lines(finding)["By hand"]
    assert "PDC emulator" in report.notes[0]
    assert report.fine[0].targets == ("hv01", "hv03", "hv04")
    assert report.table.rows[0] == ("hv02", "432.0", "0.4", "off")


def test_from_sixty_seconds_it_is_a_warning():
    (finding,) = judge(0, -62, 0, 0).findings
    assert finding.severity is Severity.WARNING
    assert finding.summary.startswith("62 s behind hv01 (± 0.8 s).")
    assert "Below the default Kerberos limit of 300 s" in lines(finding)["Means"]
    assert not judge(0, 58, 0, 0).findings


def test_the_worst_pair_comes_first_though_neither_is_too_far_from_the_others():
    report = judge(0, 200, -150, 0, 0, 0)
    assert report.title == "prod: hv02 is 350 s ahead of hv03, over the Kerberos limit"
    assert [(one.severity, one.target) for one in report.findings] == [
        (Severity.FAULT, "hv02 and hv03"),
        (Severity.WARNING, "hv02"),
        (Severity.WARNING, "hv03"),
    ]


def test_more_clocks_than_the_pair_are_counted():
    report = judge(0, 400, 390, -80, 0, 0, 0, 0)
    assert report.title == "prod: hv02 is 480 s ahead of hv04, over the Kerberos limit, 1 more clock off"


def test_it_is_the_bot_where_all_nodes_agree():
    report = judge(402, 402, 402)
    assert (
        report.title
        == "prod: the bot's own clock is 402 s behind, over the Kerberos limit; 3 nodes agree with each other"
    )
    (finding,) = report.findings
    assert finding.target == "the bot"
    assert finding.summary == "402 s behind hv01 (± 0.4 s). 3 nodes agree with each other within 0.8 s."
    assert "Either the bot's clock or the whole domain's time is wrong" in lines(finding)["Means"]
    assert "PDC emulator" in lines(finding)["Next"]
    assert report.fine[0].summary == "within 0.8 s of each other"


def test_two_nodes_against_each_other_and_the_bot():
    """The bot is a third clock: it tells which one is off. Without it nobody knows."""
    assert judge(0, 90).findings[0].target == "hv02"
    (finding,) = judge(-200, 200).findings
    assert (finding.target, finding.summary) == (
        "hv02 and hv01",
        "hv02 is 400 s ahead of hv01 (± 0.8 s).",
    )
    assert (
        lines(finding)["Because"]
        == "No majority of clocks agrees, so hvops cannot tell which ones are wrong. 2 other pairs differ by 60 s or more."
    )


def test_a_host_alone_does_not_say_which_clock_is_off():
    report = evaluate(HOST, Facts({"hv02": told(-90)}))
    assert report.title == "hv02: 90 s behind the bot"
    (finding,) = report.findings
    assert finding.summary == "90 s behind the bot (± 0.4 s)."
    assert "Two clocks alone cannot show which one is wrong" in lines(finding)["Because"]
    assert [one.line for one in report.remedies] == ["/check-time-skew prod"]
    assert evaluate(HOST, Facts({"hv02": told(0)})).title == "hv02: agrees with the bot within 0.4 s"


@pytest.mark.parametrize("silent", [silence("hv03"), silence("hv03", "bad reply")])
def test_who_is_silent_is_unknown_and_in_the_headline(silent):
    report = judge(0, 0, silent)
    assert report.title == "prod: 2 nodes agree within 0.8 s, 1 unknown"
    assert (report.asked, report.answered, report.unanswered) == (3, 2, (silent,))
    assert report.fine[0].targets == ("hv01", "hv02")
    assert report.table.rows[-1] == ("hv03", "", "", silent.kind)
    assert judge(0, 432, silent, 0).title.endswith("over the Kerberos limit, 1 unknown")


def test_the_silent_could_agree_with_the_other_side():
    """Two of six nodes and the bot are no majority: who is off stays open."""
    report = judge(0, 0, 90, *(silence(f"hv{number:02}") for number in (4, 5, 6)))
    (finding,) = report.findings
    assert finding.target == "hv03 and hv01"
    assert "No majority of clocks agrees" in lines(finding)["Because"]


def test_nobody_tells_the_time():
    report = judge(silence("hv01"), silence("hv02"))
    assert report.title == "prod: no clock could be read"
    assert (report.answered, len(report.unanswered), report.fine) == (0, 2, ())
    report = evaluate(PROD, Facts({}, silence("prod")))
    assert report.title == "prod: no clock could be read"
    assert report.unanswered == (silence("prod"),)


def test_a_refused_login_can_be_the_clock():
    assert any("A login can be refused because" in note for note in judge(0, 0, silence("hv03", "login refused")).notes)
    assert not any("A login can be refused because" in note for note in judge(0, 0, silence("hv03")).notes)


def test_a_limit_inside_the_uncertainty_is_not_known():
    report = judge(0, told(50, trip=40), 0, 0)
    assert report.title == "prod: 3 nodes agree within 0.8 s, 1 unknown"
    (unknown,) = report.unanswered
    assert (unknown.target, unknown.kind) == ("hv02", "not precise enough")
    assert "50 s ahead of hv01 (± 20.4 s)" in unknown.why
    assert (report.answered, report.did, report.findings) == (3, "checked", ())
    assert ("hv02", "50.0", "20.0", "not known") in report.table.rows


def test_kerberos_inside_the_uncertainty_is_not_known_either():
    report = judge(0, told(310, trip=40), 0, 0)
    assert report.title == "prod: hv02 is 310 s ahead of hv01, possibly over the Kerberos limit"
    assert report.findings[0].severity is Severity.WARNING
    assert "The difference may be over the Kerberos limit" in lines(report.findings[0])["Means"]
    assert judge(0, told(330, trip=40), 0, 0).findings[0].severity is Severity.FAULT


def test_an_answer_that_could_be_anywhere_is_not_in_time():
    """Hardly off by the estimate, but the round trip alone is longer than the limit."""
    report = judge(0, told(0, trip=70), 0, 0)
    assert [one.target for one in report.unanswered] == ["hv02"]
    assert report.fine[0].targets == ("hv01", "hv03", "hv04")


def test_a_slow_pair_alone_is_not_known():
    report = evaluate(HOST, Facts({"hv02": told(50, trip=40)}))
    assert report.title == "hv02: not known whether the clocks agree, 1 unknown"
    assert report.has_unknowns


def test_the_bot_can_be_what_is_not_known():
    report = judge(59.8, 59.8, 59.8)
    assert report.title == "prod: 3 nodes agree within 0.8 s, 1 unknown"
    assert [one.target for one in report.unanswered] == ["the bot"]
    assert report.answered == 3


def test_where_the_middle_is_between_two_neither_is_blamed():
    """Both ends are in time with the middle and not with each other."""
    (finding,) = judge(40, 0, 0, -40).findings
    assert finding.target == "hv01 and hv04"
    assert "No majority of clocks agrees" in lines(finding)["Because"]


def test_the_bots_clock_is_set_back_meanwhile():
    report = judge(0, 0, Known(NOW, NOW, NOW - timedelta(seconds=30)))
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv03", "not measured")]


def test_whole_hours_are_a_wrong_zone():
    (finding,) = judge(0, 7_200.5, 0, 0).findings
    assert "time zone" in lines(finding)["Suspect"]
    assert judge(0, 7_300, 0, 0).findings[0].summary.startswith("122 min ahead of hv01 (± ")
    assert "Suspect" not in lines(judge(0, 7_300, 0, 0).findings[0])


def test_a_time_in_whole_seconds_is_less_precise():
    whole = NOW.replace(microsecond=0)
    report = evaluate(HOST, Facts({"hv02": Known(whole, whole, whole)}))
    assert report.table.rows == (("hv02", "0.5", "0.5", "in sync"),)


def test_years_off_is_said_in_days():
    far = Known(datetime.fromisoformat("9998-01-01T00:00:00+00:00"), NOW, NOW)
    report = judge(0, far, 0, 0)
    assert report.title.startswith("prod: hv02 is 29")
    assert "days ahead of hv01" in report.title


def test_a_hostile_name_is_one_name_and_the_title_stays_short():
    name = "<!channel> *hv*\n" + "x" * 300
    report = judge(0, 0, 0, silence("hv04"), **{name: told(500)})
    assert report.findings[0].target == name
    assert len(report.title) <= 150
    assert report.title.endswith(", 1 unknown")


def test_many_that_are_off_are_said_in_one():
    report = judge(*[0] * 20, *range(400, 410))
    assert [one.target for one in report.findings[6:]] == ["4 more clocks"]
    assert "hv2" in report.findings[6].summary


@pytest.mark.parametrize(
    ("ahead", "give", "skew"),
    [
        (59.9, 0, Skew.FINE),
        (60, 0, Skew.SKEWED),
        (60, 0.1, Skew.NOT_KNOWN),
        (59.9, 0.1, Skew.NOT_KNOWN),
        (-61, 1, Skew.SKEWED),
        (299, 0.5, Skew.SKEWED),
        (300, 0, Skew.TOO_FAR),
        (-301, 1, Skew.TOO_FAR),
        (300, 0.1, Skew.SKEWED),
    ],
)
def test_the_limits(ahead, give, skew):
    assert Pair(Clock("hv01", timedelta(seconds=ahead), timedelta(seconds=give)), BOT).skew is skew


async def test_the_cluster_is_asked_for_its_nodes_then_all_at_once(scripted):
    ask = scripted(
        {
            ("prod", NODES): [{"Name": name, "State": 0} for name in ("hv01", "hv02", "hv03", "hv04")],
            ("hv01", TIME): [{"LocalDateTime": "2026-11-22T22:41:00.1Z"}],
            ("hv02", TIME): [{"LocalDateTime": "yesterday"}],
            ("hv03", TIME): [],
        },
        silent={"hv04": "timed out"},
    )
    report = evaluate(PROD, await collect(PROD, ask))
    assert ask.rounds == 2
    assert report.title == "prod: one node agrees with the bot within 0.1 s, 3 unknown"
    assert [one.target for one in report.unanswered] == ["hv02", "hv03", "hv04"]


async def test_a_host_is_asked_alone(scripted):
    ask = scripted({("hv02", TIME): [{"LocalDateTime": "2026-11-22T22:42:40.5Z"}]})
    assert evaluate(HOST, await collect(HOST, ask)).title == "hv02: 100.5 s ahead of the bot"
    assert [one.on for one in ask.asked] == ["hv02"]


async def test_a_silent_cluster_is_unknown(scripted):
    facts = await collect(PROD, scripted({}, silent={"prod": "unreachable"}))
    assert evaluate(PROD, facts).unanswered[0].target == "prod"
