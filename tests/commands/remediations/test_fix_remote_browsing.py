"""`/fix-remote-browsing`: whatever was audited before is audited afterwards, and a person has the last word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.actions import ManualStep, RunProgram
from bot.api.facts import Unknown
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, RunReader
from bot.tickets.conditions import unmet
from commands.remediations.fix_remote_browsing import COMMAND
from commands.sources.audit_log import Auditing, CrashOnAuditFail, SecurityLog, WhenFull, security_log_policy
from commands.sources.audit_policy import Audits, object_access_policy, toggle_steps

GET = RunReader("hv03", "auditpol get object access")
WORDS = ("No Auditing", "Success", "Failure", "Success and Failure")
IN_WORDS = {
    0: ("No Auditing", "Keine Überwachung", "Pas d’audit", "Pas d'audit"),
    1: ("Success", "Erfolg", "Succès"),
    2: ("Failure", "Fehler", "Échec"),
    3: ("Success and Failure", "Erfolg und Fehler", "Succès et échec"),
}
NUMBERS = ("921D", "921E", "921F", "9224", "9225", "9226")


def guid(number):
    return f"0CCE{number}-69AE-11D9-BED3-505054503030"


def rows(values, words=WORDS):
    return [{"guid": guid(one), "name": f"Sub {one}", "setting": words[value]} for one, value in values.items()]


HISTORY = "{F3CCC681-B74C-4060-9F26-CD84525DCA2A}"


def script(values=None, build="9600", words=WORDS, **over):
    told = {"921D": 0, "921E": 2, "921F": 1, "9224": 3, "9225": 0, "9226": 2} if values is None else values
    return {
        ("hv03", "Win32_OperatingSystem"): [{"BuildNumber": build}],
        ("hv03", "auditpol get object access"): rows(told, words),
        ("hv03", "Lsa"): over.get("lsa", [{"CrashOnAuditFail": "0", "SCENoApplyLegacyAuditPolicy": None}]),
        ("hv03", "Security"): over.get("log", [{"Retention": "0", "AutoBackupLogFiles": "0", "MaxSize": None}]),
        ("hv03", HISTORY): over.get("history", [{"subkeys": None}]),
        ("hv03", "0"): [{"DisplayName": "Servers: auditing"}],
        ("hv03", "1"): [{"DisplayName": None}],
    }


def audits(number, value, within=0):
    where, each = (Predicate("guid", "in", (guid(number),)),), (Predicate("setting", "in", IN_WORDS[value]),)
    words = {0: "nothing", 1: "success", 2: "failure", 3: "success and failure"}[value]
    return Check(GET, (Expect(where, each),), within).described_as(f"1 subcategory of hv03 audits {words}")


def change(number, success, failure):
    return RunProgram("hv03", "auditpol set", (("failure", failure), ("guids", guid(number)), ("success", success)))


DOES_NOT_STOP = "hv03 does not halt when a security event cannot be logged"
NO_OTHER_POLICY = "No Group Policy sets an advanced audit policy on hv03"
AS_BEFORE = Check(GET, (CompareToBefore("on-nothing", ("guid", "setting")),), within=30).described_as(
    "hv03 audits exactly what it did before"
)


async def test_the_whole_plan(planned):
    plan = await planned(COMMAND, script())
    assert plan == Plan(
        reason="Someone reported that remote browsing on hv03 fails. It audits Sub 921E, Sub 921F, Sub 9224, Sub 9226 of Object Access.",
        impact="For about a minute hv03 audits all object access, so its Security log grows."
        " When that log is full, it overwrites its oldest events.",
        rollback="Every subcategory is restored by its GUID, immediately if a step fails.",
        locks=("cluster:prod",),
        gates=(
            Gate(
                "hv03 runs Windows Server 2012 or 2012 R2",
                outcome=GateOutcome.PASSED,
                measured="Windows Server 2012 R2",
            ),
            Gate("The audit policy of hv03 is known", outcome=GateOutcome.PASSED, measured="6 subcategories"),
            Gate(DOES_NOT_STOP, outcome=GateOutcome.PASSED, measured="CrashOnAuditFail is 0"),
            Gate(NO_OTHER_POLICY, outcome=GateOutcome.PASSED, measured="none was applied", blocks=False),
        ),
        groups=(
            Group(
                "toggle",
                (
                    Step(
                        "on-nothing",
                        "On hv03: turn on Success auditing for 1 subcategory that audits nothing now",
                        change("921D", "enable", "disable"),
                        guard=(audits("921D", 0),),
                        done=(audits("921D", 1, 30),),
                        before=GET,
                        undo=change("921D", "disable", "disable"),
                        undone=(audits("921D", 0, 30),),
                        repeatable=True,
                        undo_says="On hv03: restore 1 subcategory to No Auditing",
                    ),
                    Step(
                        "on-failure",
                        "On hv03: turn on Success auditing for 1 subcategory that audits only Failure now",
                        change("921E", "enable", "enable"),
                        guard=(audits("921E", 2),),
                        done=(audits("921E", 3, 30),),
                        before=GET,
                        undo=change("921E", "disable", "enable"),
                        undone=(audits("921E", 2, 30),),
                        repeatable=True,
                        undo_says="On hv03: restore 1 subcategory to Failure auditing only",
                    ),
                    Step(
                        "back-nothing",
                        "On hv03: restore 1 subcategory to No Auditing",
                        change("921D", "disable", "disable"),
                        done=(audits("921D", 0, 30),),
                        before=GET,
                        repeatable=True,
                        reverts=("on-nothing",),
                    ),
                    Step(
                        "back-failure",
                        "On hv03: restore 1 subcategory to Failure auditing only",
                        change("921E", "disable", "enable"),
                        done=(audits("921E", 2, 30),),
                        before=GET,
                        repeatable=True,
                        reverts=("on-failure",),
                    ),
                    Step("compare", "Compare the audit policy of hv03 with what it was", None, done=(AS_BEFORE,)),
                ),
                on_failure="undo",
            ),
            Group(
                "confirm",
                (
                    Step(
                        "browse",
                        "Confirm that remote browsing works on hv03",
                        ManualStep(
                            "On a Windows Server 2012 or Windows 8 console or later: close every open wizard and Hyper-V"
                            " Manager, open them again, and browse for a file on hv03. Press Done only if the files are listed. If they are not, press Stop After Step: this was not the cause.",
                            "operator",
                        ),
                        done=(AS_BEFORE,),
                        deadline=8 * 3600,
                    ),
                ),
            ),
        ),
        evidence=(
            "Only consoles on Windows Server 2012 and Windows 8 show the problem: those on 2008 R2 and Windows 7 (RSAT) list the files.",
            "A UNC path is no workaround: it fails later for lack of rights.",
            "An audit policy can stay in effect after it is removed; the toggle clears it. Nothing is logged about it.",
            f"Sub 921D {{{guid('921D')}}}: No Auditing",
            f"Sub 921E {{{guid('921E')}}}: Failure",
            f"Sub 921F {{{guid('921F')}}}: Success",
            f"Sub 9224 {{{guid('9224')}}}: Success and Failure",
            f"Sub 9225 {{{guid('9225')}}}: No Auditing",
            f"Sub 9226 {{{guid('9226')}}}: Failure",
        ),
        current_state="reported: browsing fails; it audits Sub 921E, Sub 921F, Sub 9224, Sub 9226 of Object Access",
        expected_state="someone has browsed again; every subcategory is as it was",
        self_reverting=True,
    )
    assert planned.ask.rounds == 1


LANGUAGES = (
    WORDS,
    ("Keine Überwachung", "Erfolg", "Fehler", "Erfolg und Fehler"),
    ("Pas d’audit", "Succès", "Échec", "Succès et échec"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.sampled_from(LANGUAGES))
def test_a_host_that_obeys_ends_exactly_as_it_began(values, words):
    """The steps are run against a policy in memory, in every language that is known."""
    before = dict(zip(NUMBERS, values, strict=True))
    policy = dict(before)
    sub = object_access_policy("hv03").read(rows(policy, words))
    if not any(one.audits in (Audits.NOTHING, Audits.FAILURE) and not one.is_too_loud for one in sub):
        return
    images, all_on = {}, False
    for step in toggle_steps("hv03", sub):
        now = rows(policy, words)
        assert not [why for check in step.guard for why in unmet(check, now, images)]
        images[step.key] = now
        if isinstance(step.act, RunProgram):
            params = dict(step.act.params)
            for one in params["guids"].split(","):
                policy[one[4:8]] = (params["success"] == "enable") + 2 * (params["failure"] == "enable")
        assert not [why for check in step.done for why in unmet(check, rows(policy, words), images)]
        all_on = all_on or all(policy[one] & 1 for one in NUMBERS[:4])
    assert policy == before
    assert all_on


@pytest.mark.parametrize(
    ("build", "says"),
    [
        ("7601", "it runs build 7601"),
        ("14393", "it runs build 14393"),
        ("9201", "it runs build 9201"),
        (None, "it did not report which Windows"),
    ],
)
async def test_other_versions_are_refused(planned, build, says):
    plan = await planned(COMMAND, script(build=build))
    assert plan.groups == ()
    assert says in plan.reason


@pytest.mark.parametrize("build", ["9200", "9600"])
async def test_the_family(planned, build):
    assert len((await planned(COMMAND, script(build=build))).groups) == 2


async def test_words_that_are_not_known_are_not_guessed(planned):
    words = ("Sin auditoría", "Aciertos", "Errores", "Aciertos y errores")
    plan = await planned(COMMAND, script(words=words))
    assert plan.groups == ()
    assert "Sub 921D “Sin auditoría”" in plan.reason


async def test_where_all_is_on_there_is_nothing_to_toggle(planned):
    plan = await planned(COMMAND, script({"921D": 1, "9224": 3, "9225": 0, "9226": 2}))
    assert plan.reason == "Nothing to toggle on hv03: every subcategory of Object Access audits success already."
    assert plan.groups == ()


async def test_a_silent_host_is_no_plan(planned):
    denied = Unknown("hv03", "login refused", "it may not read that.")
    plan = await planned(COMMAND, script() | {("hv03", "auditpol get object access"): denied})
    assert plan.groups == ()
    assert plan.reason.endswith("has to be set back exactly. it may not read that.")
    plan = await planned(COMMAND, script(), silent={"hv03": "timed out"})
    assert plan.groups == ()


def lsa(crash, legacy=None):
    return [{"CrashOnAuditFail": crash, "SCENoApplyLegacyAuditPolicy": legacy}]


def full(retention, archives="0"):
    return [{"Retention": retention, "AutoBackupLogFiles": archives, "MaxSize": None}]


DENIED = Unknown("hv03", "refused", "access is denied.")


@pytest.mark.parametrize(
    ("crash", "log", "outcome", "says"),
    [
        ("0", full("4294967295"), GateOutcome.PASSED, "CrashOnAuditFail is 0"),
        (None, full("0"), GateOutcome.PASSED, "CrashOnAuditFail is 0"),
        ("0", DENIED, GateOutcome.PASSED, "CrashOnAuditFail is 0"),
        (
            "1",
            full("0"),
            GateOutcome.PASSED,
            "CrashOnAuditFail is 1, and the Security log overwrites its oldest events",
        ),
        ("1", full("4294967295"), GateOutcome.BLOCKED, "stops hv03 with C0000244"),
        ("1", full("-1"), GateOutcome.BLOCKED, "stops hv03 with C0000244"),
        ("1", full("604800"), GateOutcome.BLOCKED, "stops hv03 with C0000244"),
        ("1", full("4294967295", "1"), GateOutcome.NOT_KNOWN, "counts only from the next start"),
        ("1", full(None), GateOutcome.NOT_KNOWN, "neither its service nor a policy says it"),
        ("1", DENIED, GateOutcome.NOT_KNOWN, "access is denied"),
        ("2", full("0"), GateOutcome.BLOCKED, "CrashOnAuditFail is 2: an audit has failed already"),
        ("3", full("0"), GateOutcome.NOT_KNOWN, "CrashOnAuditFail is not known"),
    ],
)
async def test_auditing_is_not_switched_on_where_a_full_log_stops_the_host(planned, crash, log, outcome, says):
    plan = await planned(COMMAND, script(lsa=lsa(crash), log=log))
    (gate,) = [one for one in plan.gates if one.description == DOES_NOT_STOP]
    assert gate.outcome is outcome
    assert says in gate.measured
    assert bool(plan.groups) is (outcome is not GateOutcome.BLOCKED)
    assert bool(plan.open_questions) is (outcome is GateOutcome.NOT_KNOWN)  # which an approver may answer
    assert bool(gate.unknowns) is (outcome is GateOutcome.NOT_KNOWN)


async def test_who_does_not_tell_it_is_asked_for_by_name(planned):
    plan = await planned(COMMAND, script(lsa=DENIED))
    (gate,) = [one for one in plan.gates if one.description == DOES_NOT_STOP]
    assert [one.what for one in gate.unknowns] == ["CrashOnAuditFail of hv03"]
    assert plan.open_questions == gate.unknowns


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            full("4294967295"),
            "it takes no new events. Until somebody clears it, security events of all kinds are lost.",
        ),
        (full("4294967295", "1"), "it is archived, and a new one begun. The archives take space on its volume."),
        (full("0"), "it overwrites its oldest events."),
        (full(None), "What that log does when it is full is not known"),
        (DENIED, "What that log does when it is full is not known"),
    ],
)
async def test_the_impact_says_what_a_full_log_does(planned, log, says):
    plan = await planned(COMMAND, script(log=log))
    assert plan.groups
    assert says in plan.impact


async def test_a_legacy_policy_that_would_count_is_asked_for_before_anybody_approves(planned):
    plan = await planned(COMMAND, script(lsa=lsa("0", "0")))
    gate = plan.gates[-1]
    assert plan.groups
    assert (gate.outcome, gate.blocks) == (GateOutcome.NOT_KNOWN, False)
    assert "overwrites the subcategories at the next refresh" in gate.measured
    assert [one.what for one in gate.unknowns] == ["whether a Group Policy has a legacy audit policy for hv03"]
    for told in ("1", None):
        gates = (await planned(COMMAND, script(lsa=lsa("0", told)))).gates
        assert not [one for one in gates if "legacy" in one.description]


async def test_whose_policy_sets_auditing_too_is_named_and_warns(planned):
    plan = await planned(COMMAND, script(history=[{"subkeys": ("0", "1")}], lsa=lsa("0", "1")))
    (gate,) = [one for one in plan.gates if one.description == NO_OTHER_POLICY]
    assert (gate.outcome, gate.blocks) == (GateOutcome.BLOCKED, False)
    assert gate.measured == "Servers: auditing, policy 1 do; a legacy audit policy is passed over"
    assert "Group Policy sets auditing there too (Servers: auditing, policy 1)" in plan.impact
    assert plan.groups
    plan = await planned(COMMAND, script(history=DENIED))
    (gate,) = [one for one in plan.gates if one.description == NO_OTHER_POLICY]
    assert (gate.outcome, gate.blocks) == (GateOutcome.NOT_KNOWN, False)


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (SecurityLog(None, None, None), WhenFull.KEEPS),
        (SecurityLog(False, None, None), WhenFull.OVERWRITES),
        (SecurityLog(None, True, None), WhenFull.ARCHIVES),
        (DENIED, DENIED),
    ],
)
def test_a_policy_goes_before_what_the_service_has(policy, found):
    service = SecurityLog(keeps=True, archives=False, most=20 * 2**20)
    auditing = Auditing(CrashOnAuditFail.OFF, service, policy, (), None)
    assert auditing.when_full == found
    assert auditing.most == 20 * 2**20
    told = security_log_policy("hv03").read([{"Retention": "1", "AutoBackupLogFiles": "0", "MaxSize": "1024"}])
    assert told == SecurityLog(keeps=True, archives=False, most=2**20)
