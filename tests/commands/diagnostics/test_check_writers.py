"""`/check-writers` from scripted replies to the whole report."""

from collections import Counter
from datetime import timedelta

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.queries import make_params
from bot.api.report import Finding, Healthy, Remedy, Report, Sample, Severity
from commands.diagnostics.check_writers import COMMAND, Args
from commands.sources import rules
from commands.sources.identity import fold_name
from commands.vss.node_verdict import MOST_SAMPLES

PROD = Target("prod", "cluster", "prod", backup=())
HV03 = Target("hv03", "host", "prod", backup=())
ALONE = Target("backup01", "host", backup=())
HYPER_V = "66841CD4-6DED-4F4B-8F17-FD23F8DDC3DE"
INSTANCE = "2FA6F9BA-B613-4740-9BF3-E01EB4320A01"
WRITERS = "vssadmin list writers"
VMMS = "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin"
SYSTEM = "wevtutil query events System"
APPLICATION = "wevtutil query events Application"


@pytest.fixture
def check(scripted):
    async def run(script, silent=None, target=PROD):
        run.ask = scripted(script, silent)
        facts = await COMMAND.collect(Args(target), run.ask)
        return COMMAND.evaluate(Args(target), facts)

    return run


@pytest.fixture
def waiting(make):
    return make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 5, "Retryable error"))


@pytest.fixture
def named(make):
    return [make.event(10102, "2026-11-22T22:14:37Z", VmName="test-tfs-01", VmId=make.vm_id(300))]


def seen(at="2026-11-22T22:39:00+00:00", **over):
    row = {
        "at": at,
        "writer_id": HYPER_V,
        "instance_id": INSTANCE,
        "state": 5,
        "error": "Retryable error",
        "backup": "no",
    }
    return row | over


def line(report, label, word=None):
    """All lines of that label, in the findings of that word."""
    return [text for one in report.findings if word in (None, one.status) for name, text in one.lines if name == label]


def sample(on, state=1, error="No error"):
    fields = make_params(
        backup="no",
        error=error,
        instance_id=INSTANCE,
        name="Microsoft Hyper-V VSS Writer",
        state=state,
        writer_id=HYPER_V,
    )
    return Sample(on, "writer", fields)


async def test_a_healthy_cluster(check, make):
    nodes = ("hv01", "hv02", "hv03", "hv04", "hv05", "hv06")
    assert await check(make.cluster()) == Report(
        title="prod: VSS writers healthy on all 6 nodes",
        summary="prod: VSS writers healthy on all 6 nodes",
        of="nodes",
        asked=6,
        answered=6,
        fine=(Healthy("STABLE", nodes, "8 writers each"),),
        background=("Event logs searched back to 21 Nov 22:41 UTC.",),
        samples=tuple(sample(node) for node in nodes),
    )
    assert check.ask.rounds == 2


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([("erp-01", "0x1748")], "A drain failed with error 5960 (event 1137, 1 time"),
        ([("web-15960", "0x32")], "A drain failed with error 50 (event 1137, 1 time"),
        ([("erp-01", "0x32"), ("erp-01", "0x80071748")], "A drain failed with errors 50, 5960 (event 1137, 2 times"),
        ([("web-5960", "")], "A drain failed (event 1137, 1 time"),
    ],
)
async def test_the_error_of_a_drain_is_read_as_a_number(check, make, waiting, events, says):
    told = [make.event(1137, "2026-11-22T22:30:00Z", ResourceGroup=group, Status=code) for group, code in events]
    report = await check(make.cluster(hv03={WRITERS: waiting, SYSTEM: told, "recall writer": [seen()]}))
    assert says in str(report)


async def test_the_stuck_writer_whole(check, make, waiting, named):
    drain = [
        make.event(1137, "2026-11-22T22:30:00Z", Group="test-tfs-01", Status="5960"),
        make.event(1071, "2026-11-22T22:31:00Z"),
    ]
    hv03 = {WRITERS: waiting, VMMS: named, SYSTEM: drain, "recall writer": [seen()]}
    report = await check(make.cluster(9, hv03=hv03), {"hv05": "timed out"})
    assert report == Report(
        title="prod: Hyper-V writer STUCK on hv03",
        summary="prod: Hyper-V writer STUCK on hv03, 9 of 11 guests locked; suspect test-tfs-01; hv05 UNKNOWN; 4 stable",
        of="nodes",
        asked=6,
        answered=5,
        findings=(
            Finding(
                Severity.FAULT,
                "STUCK",
                "hv03",
                "Microsoft Hyper-V VSS Writer: [5] Waiting for completion · Retryable error. No backup is running."
                " Same instance at 22:39 UTC and 22:41 UTC.",
                (
                    (
                        "Means",
                        "The next backup of hv03 is expected to fail for all 11 guests; 9 are locked, so hv03 cannot drain (error 5960).",
                    ),
                    (
                        "Do now",
                        "Free 1 GB or more on every full volume of test-tfs-01, then resume the backup job.",
                    ),
                    (
                        "Caution",
                        (
                            "Don't drain, pause or reboot hv03, restart vmms, or force guests off it: 9 guests are locked."
                            " Until the cause is fixed, a resumed or new job will fail too."
                        ),
                    ),
                    ("First seen", "22:39 UTC, same instance in 2 readings."),
                    ("Suspect", "test-tfs-01 (event 10102, 22:14 UTC)"),
                    (
                        "Locked",
                        "9 of 11: test-tfs-01, suspect; victims: vm-301, vm-302, vm-303, vm-304, vm-305, vm-306, vm-307, vm-308",
                    ),
                    (
                        "Because",
                        "A drain failed with error 5960 (event 1137, 1 time, last 22:30 UTC). The lock blocked 1 operation (event 1071, last 22:31 UTC).",
                    ),
                ),
            ),
        ),
        unanswered=(Unknown("hv05", "timed out", "no answer in 20 s. Not counted as healthy."),),
        fine=(Healthy("STABLE", ("hv01", "hv02", "hv04", "hv06"), "8 writers each"),),
        background=("Event logs searched back to 21 Nov 22:41 UTC.",),
        remedies=(Remedy("Find Full Guests", "/find-full-guests prod", primary=True),),
        samples=(sample("hv01"), sample("hv02"), sample("hv03", 5, "Retryable error"), sample("hv04"), sample("hv06")),
    )


async def test_the_first_answer_says_looks_stuck_and_when_to_look_again(check, make, waiting):
    report = await check(make.cluster(9, hv03={WRITERS: waiting}))
    assert report.title == "prod: Hyper-V writer LOOKS STUCK on hv03"
    assert report.findings[0].severity is Severity.WARNING
    assert "Check again at 22:43 UTC or later" in line(report, "Do now")[0]
    assert line(report, "First seen") == []


@pytest.mark.parametrize(("at", "word"), [("22:39:00", "STUCK"), ("22:39:01", "LOOKS STUCK")])
async def test_the_sample_must_be_two_minutes_old(check, make, waiting, at, word):
    report = await check(make.cluster(hv03={WRITERS: waiting, "recall writer": [seen(f"2026-11-22T{at}+00:00")]}))
    assert report.findings[0].status == word


async def test_a_second_answer_makes_the_first_ones_sample_a_proof(check, make, waiting, now):
    first = await check(make.cluster(hv03={WRITERS: waiting}))
    kept = next(one for one in first.samples if one.on == "hv03")
    memory = dict(kept.fields) | {"at": (now - timedelta(minutes=3)).isoformat()}
    again = await check(make.cluster(hv03={WRITERS: waiting, "recall writer": [memory]}))
    assert again.findings[0].status == "STUCK"


@pytest.mark.parametrize("where", ["guest", "volume"])
async def test_a_running_backup_makes_it_busy(check, make, waiting, where):
    script = make.cluster(3, hv03={WRITERS: waiting, "recall writer": [seen()]})
    if where == "guest":
        script[("hv03", "Msvm_ComputerSystem")] = make.guest_rows("hv03", 3)
    else:
        script[("prod", "MSCluster_ClusterSharedVolume")] = [{"Name": "Volume1", "BackupState": "1", "FaultState": "0"}]
    report = await check(script)
    (finding,) = report.findings
    assert (finding.status, finding.severity) == ("BUSY", Severity.WARNING)
    assert "likely to fail" in line(report, "Means")[0]
    assert "Don't drain or reboot hv03" in line(report, "Caution")[0]
    assert line(report, "Locked") == ["3 of 11: victims: test-tfs-01, vm-301, vm-302"]
    assert report.remedies == ()


async def test_busy_without_an_error_is_no_finding_for_the_exit_code(check, make):
    busy = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 5))
    report = await check(make.cluster(hv03={WRITERS: busy, "Msvm_ComputerSystem": make.guest_rows("hv03", 11)}))
    assert report.title == "prod: VSS writers healthy on all 6 nodes, a backup is running"
    assert [one.severity for one in report.findings] == [Severity.NOTE]
    assert not report.has_findings


async def test_a_hint_alone_does_not_make_it_busy(check, make, waiting):
    script = make.cluster(hv03={WRITERS: waiting, "recall writer": [seen()]})
    script[("prod", "MSCluster_Cluster")] = [{"Name": "prod", "BackupInProgress": "1"}]
    (finding,) = (await check(script)).findings
    assert finding.status == "STUCK"
    assert "BackupInProgress is set, which can be stale." in finding.summary


async def test_unknown_backups_keep_it_from_being_stuck(check, make, waiting):
    script = make.cluster(hv03={WRITERS: waiting, "recall writer": [seen()]})
    script[("prod", "MSCluster_ClusterSharedVolume")] = Unknown("prod", "timed out", "no answer in 20 s.")
    report = await check(script)
    assert report.findings[0].status == "LOOKS STUCK"
    assert "Unknown whether a backup is running: prod: no answer in 20 s." in report.findings[0].summary
    assert line(report, "Do now")[0].startswith("Check on hv03 (vssadmin list shadows) whether a backup is running.")
    assert report.unanswered == (
        Unknown("prod", "timed out", "backups of shared volumes not known: no answer in 20 s."),
    )


@pytest.mark.parametrize(("backup", "place"), [(None, "in the backup product"), (("veeam",), "in Veeam")])
async def test_where_a_product_is_not_asked_a_backup_of_the_host_is_not_ruled_out(check, make, backup, place):
    rows = make.writer_rows(make.writer_row("System Writer", 5))
    earlier = seen(writer_id=make.writer_row("System Writer", 5)["writer_id"], error="No error", backup="unknown")
    script = make.cluster(hv03={WRITERS: rows, "recall writer": [earlier]})
    report = await check(script, target=Target("prod", "cluster", "prod", backup=backup))
    (finding,) = report.findings
    assert finding.status == "LOOKS STUCK"
    assert "No backup of a guest is running; unknown whether another one is" in finding.summary
    assert line(report, "By hand") == []
    assert line(report, "Do now") == [f"Check {place} whether a backup is running."]


async def test_a_recent_copy_that_is_kept_is_open_at_the_first_look_and_no_backup_at_the_second(check, make, waiting):
    """Only the first look can say what is older than it; what it left open for that alone, the second look settles."""
    kept = {"ID": "a", "InstallDate": "2026-11-22T22:16:00Z", "Persistent": "true", "NoAutoRelease": "true"}
    other = make.writer_row("System Writer", 5)
    rows = [other if one["name"] == "System Writer" else one for one in waiting]
    script = make.cluster(hv03={WRITERS: rows, "Win32_ShadowCopy": [kept]})
    first = await check(script)
    assert {one.status for one in first.findings} == {"LOOKS STUCK"}
    assert "Unknown whether a backup is running" in first.findings[0].summary
    assert all("Check again at" in text for text in line(first, "Do now"))
    assert line(first, "By hand") == []
    samples = [dict(one.fields) | {"at": "2026-11-22T22:30:00+00:00"} for one in first.samples if one.on == "hv03"]
    assert {one["backup"] for one in samples} == {"copies"}
    second = await check(script | {("hv03", "recall writer"): samples})
    assert {one.status for one in second.findings} == {"STUCK"}
    younger = script | {("hv03", "recall writer"): [one | {"at": "2026-11-22T22:15:00+00:00"} for one in samples]}
    assert {one.status for one in (await check(younger)).findings} == {"LOOKS STUCK"}


async def test_a_shadow_copy_that_a_program_holds_is_a_backup(check, make):
    rows = make.writer_rows(make.writer_row("System Writer", 5))
    held = {"ID": "a", "InstallDate": "2026-11-22T22:16:00Z", "Persistent": "false", "NoAutoRelease": "false"}
    report = await check(make.cluster(hv03={WRITERS: rows, "Win32_ShadowCopy": [held]}))
    assert [one.status for one in report.findings] == ["BUSY"]
    assert "a shadow copy of 22 Nov 22:16 UTC" in report.findings[0].summary


async def test_without_locks_the_way_by_hand_is_a_drain_first(check, make, waiting):
    report = await check(make.cluster(hv03={WRITERS: waiting, "recall writer": [seen()]}))
    assert line(report, "Caution") == [
        "Don't restart vmms on hv03 before it is drained. Until the cause is fixed, a resumed or new job will fail too."
    ]
    assert line(report, "By hand") == [
        "If it does not recover once there is room: drain hv03, restart the service vmms, resume with failback."
    ]
    assert line(report, "Means")[0].endswith("none is locked.")


async def test_unknown_locks_forbid_a_drain(check, make, waiting):
    script = make.cluster(hv03={WRITERS: waiting, "recall writer": [seen()]})
    script[("prod", "MSCluster_ResourceGroup")] = Unknown("prod", "refused", "access is denied.")
    report = await check(script)
    assert "Don't drain" in line(report, "Caution")[0]
    assert "unknown whether guests are locked" in line(report, "Caution")[0]
    assert line(report, "By hand") == []


async def test_ids_of_locked_guests_come_from_the_hive_in_a_third_round(check, make, waiting, named):
    script = make.cluster(2, hv03={WRITERS: waiting, VMMS: named})
    script[("prod", "MSCluster_Resource")] = make.resource_rows(locked=2, private=False)
    script[("prod", "Parameters")] = [{"VmID": make.vm_id(301)}]
    report = await check(script)
    assert "vm-301" in line(report, "Locked")[0]
    assert check.ask.rounds == 3


async def test_a_suspect_that_moved_is_named_where_it_was_and_is(check, make, waiting):
    moved = [make.event(10102, "2026-11-22T22:14:37Z", VmName="old-name", VmId=make.vm_id(401))]
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: moved}))
    assert line(report, "Suspect") == ["vm-401 (event 10102, 22:14 UTC, now on hv04)"]
    unknown = [make.event(10102, "2026-11-22T22:14:37Z", VmName="gone", VmId="84521EG0G-8B7A-54ED-2F24-392A1761ED11")]
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: unknown}))
    assert line(report, "Suspect") == ["gone (event 10102, 22:14 UTC, on no node that answered)"]


async def test_events_from_before_the_writer_was_last_well_name_nobody(check, make, waiting, named):
    well = seen("2026-11-22T22:20:00+00:00", state=1, error="No error")
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: named, "recall writer": [well]}))
    assert line(report, "Suspect") == [
        "No event 10102, 10103 or 10150 names a guest since 22:15 UTC. That does not rule out any guest."
    ]


def storm(make, count, **data):
    return [make.event(10102, f"2026-11-22T22:{20 + at // 60:02}:{at % 60:02}Z", **data) for at in range(count)]


async def test_that_no_event_names_a_guest_is_not_said_of_a_log_that_was_cut(check, make, waiting):
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: storm(make, 200)}))
    cut = "Only the newest 200 were read, back to 22:20 UTC."
    assert line(report, "Suspect") == [
        f"No event 10102, 10103 or 10150 that was read names a guest. {cut} That does not rule out any guest."
    ]
    assert report.unanswered == (
        Unknown(
            "hv03", "not whole", f"Events 10102, 10103 and 10150: {cut} Guests that others of them name are not known."
        ),
    )
    whole = await check(make.cluster(hv03={WRITERS: waiting, VMMS: storm(make, 199)}))
    assert line(whole, "Suspect") == [
        "No event 10102, 10103 or 10150 names a guest since 21 Nov 22:41 UTC. That does not rule out any guest."
    ]
    assert whole.unanswered == ()


async def test_suspects_of_a_log_that_was_cut_need_not_be_all(check, make, waiting):
    named = storm(make, 200, VmName="test-tfs-01", VmId=make.vm_id(300))
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: named}))
    (suspect,) = line(report, "Suspect")
    assert suspect.endswith("200 times). Only the newest 200 were read, back to 22:20 UTC.")
    elsewhere = await check(make.cluster(hv03={WRITERS: waiting}, hv02={VMMS: named}), target=HV03)
    assert [(one.target, one.kind) for one in elsewhere.unanswered] == [("hv02", "not whole")]


async def test_an_event_that_cannot_be_read_hides_no_other_and_is_said(check, make, waiting, named):
    odd = named[0] | {"at": "yesterday"}
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: [odd, *named]}))
    assert line(report, "Suspect") == ["test-tfs-01 (event 10102, 22:14 UTC). 1 event cannot be read."]
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: [odd]}))
    (suspect,) = line(report, "Suspect")
    assert (
        suspect
        == "No event 10102, 10103 or 10150 that was read names a guest. 1 event cannot be read. That does not rule out any guest."
    )
    assert [one.kind for one in report.unanswered] == ["not whole"]


async def test_that_no_event_names_a_guest_is_not_said_of_a_log_that_is_silent(check, make, waiting):
    silent = Unknown("hv03", "timed out", "no answer in 20 s.")
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: silent}))
    assert line(report, "Suspect") == [
        "Not known: events 10102, 10103 or 10150 on hv03 could not be read. That does not rule out any guest."
    ]


async def test_counts_of_a_log_that_was_cut_are_at_least(check, make, waiting):
    drains = [make.event(1137, f"2026-11-22T22:30:{at % 60:02}Z", Status="5960") for at in range(200)]
    report = await check(make.cluster(hv03={WRITERS: waiting, SYSTEM: drains}))
    assert any("(event 1137, at least 200 times, last" in text for text in line(report, "Because"))


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("System Writer", {"state": None, "unreadable": "State: ?"}, "in a state that cannot be read (State: ?)"),
        ("System Writer", {"state_text": "Failed"}, "the state’s number is [1], its word “Failed”"),
        ("Microsoft Hyper-V VSS Writer", {"writer_id": None, "unreadable": "Writer Id: {x}"}, "Writer Id: {x}"),
    ],
)
async def test_one_writer_that_cannot_be_read_is_unknown_and_the_others_are_not(check, make, name, cells, why):
    failed = make.writer_row("SqlServerWriter", 10, "Timed out")
    rows = make.writer_rows(make.writer_row(name) | cells, failed)
    report = await check(make.cluster(hv03={WRITERS: rows}))
    assert [(one.status, one.target) for one in report.findings] == [("FAILED", "hv03")]
    (unknown,) = report.unanswered
    assert (unknown.target, unknown.kind) == ("hv03", "not understood")
    assert unknown.why.startswith(f"{name} ")
    assert why in unknown.why
    assert all("hv03" not in one.targets for one in report.fine)
    assert {dict(one.fields)["state"] for one in report.samples} == {1, 10}


async def test_of_thousands_of_failed_writers_an_answer_remembers_the_first_and_looks_each_up(check, make, monkeypatch):
    """A host lists them; each answer is kept, and the next one reads what all of three days remember."""
    folded = Counter()

    def counting(name):
        folded[name] += 1
        return fold_name(name)

    monkeypatch.setattr(rules, "fold_name", counting)
    failed = make.writer_row("SqlServerWriter", 10, "Timed out")
    rows = [*make.writer_rows(), *(failed | {"name": f"Writer {at}"} for at in range(300))]
    report = await check(make.cluster(hv03={WRITERS: rows}))
    own = [dict(one.fields) for one in report.samples if one.on == "hv03"]
    assert len(own) == MOST_SAMPLES
    assert own[0]["writer_id"] == HYPER_V
    assert max(folded[f"Writer {at}"] for at in range(300)) < 100


async def test_event_8194_beside_a_writer_that_cannot_be_read_is_no_missing_permission(check, make):
    denied = [
        make.event(8194, f"2026-11-22T0{hour}:00:00Z", Data0="hr = 0x80070005, Access is denied.") for hour in (1, 2)
    ]
    odd = make.writer_rows(make.writer_row("System Writer") | {"state": None, "unreadable": "State: ?"})
    report = await check(make.cluster(hv02={WRITERS: odd, APPLICATION: denied}))
    assert report.findings == ()
    assert any("too few events to tell" in note for note in report.notes)


async def test_failed_writers_with_what_to_do_and_never_a_restart_of_the_cluster_service(check, make):
    failed = make.writer_rows(
        make.writer_row("Cluster Database", 8, "Non-retryable error"),
        make.writer_row("SqlServerWriter", 10, "Timed out"),
        make.writer_row("System Writer", 10, "Timed out"),
    )
    report = await check(make.cluster(hv02={WRITERS: failed}))
    assert [(one.status, one.severity) for one in report.findings] == [("FAILED", Severity.WARNING)] * 2
    assert line(report, "Means")[0] == (
        "It failed in some backup. Nothing here says in which one, or whether that backup failed."
    )
    assert line(report, "Means")[1].startswith("They failed in some backup.")
    assert line(report, "Caution") == ["Don't restart ClusSvc (A restart takes the node out of the cluster.) on hv02."]
    assert line(report, "By hand") == [
        "If a retry does not help: restart SQLWriter, CryptSvc on hv02. The databases stay online."
    ]
    assert line(report, "Do now")[1].startswith("Reduce the load and retry")
    assert report.remedies == ()


async def test_a_failed_hyper_v_writer_names_suspects_and_offers_to_look_for_them(check, make, named):
    failed = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 8, "Timed out"))
    report = await check(make.cluster(hv03={WRITERS: failed, VMMS: named}))
    assert report.summary == "prod: Hyper-V writer FAILED on hv03; suspect test-tfs-01; 5 stable"
    assert line(report, "Suspect") == ["test-tfs-01 (event 10102, 22:14 UTC)"]
    assert report.findings[0].severity is Severity.FAULT
    assert line(report, "Caution") == ["Don't restart vmms on hv03 before it is drained."]
    assert [one.label for one in report.remedies] == ["Find Full Guests", "Reset Writer…"]


@pytest.mark.parametrize("name", ["Microsoft Hyper-V VSS Writer", "System Writer"])
async def test_a_snapshot_set_that_lacks_a_volume_is_the_jobs_matter(check, make, name):
    failed = make.writer_rows(make.writer_row(name, 8, "Inconsistent shadow copy"))
    report = await check(make.cluster(hv03={WRITERS: failed}))
    assert line(report, "Do now") == ["Add the volumes that are missing to the backup job, then retry it."]
    assert line(report, "By hand") == ["No restart of a service fixes this error: only what the job selects does."]
    assert report.remedies == ()


async def test_stable_with_an_error_is_a_warning(check, make):
    error = make.writer_rows(make.writer_row("System Writer", 1, "Retryable error"))
    report = await check(make.cluster(hv02={WRITERS: error}))
    assert report.title == "prod: System Writer ERROR on hv02"
    assert line(report, "Do now") == ["Retry the backup job."]


async def test_nine_without_an_error_is_expected_on_windows_2008(check, make):
    nine = {WRITERS: make.writer_rows(make.writer_row("System Writer", 9))}
    script = make.cluster(hv01=nine, hv02=nine)
    for row in script[("prod", "MSCluster_Node")]:
        if row["Name"] == "hv02":
            row["BuildNumber"] = "6002"
    report = await check(script)
    assert [(one.target, one.status, one.severity) for one in report.findings] == [
        ("hv01", "FAILED", Severity.WARNING),
        ("hv02", "EXPECTED", Severity.NOTE),
    ]
    assert any("2008" in note for note in report.notes)


async def test_an_expected_failure_is_no_backup(check, make):
    script = make.cluster(hv02={WRITERS: make.writer_rows(make.writer_row("System Writer", 9))})
    script[("prod", "MSCluster_Node")][1]["BuildNumber"] = "6002"
    assert (await check(script)).title == "prod: VSS writers healthy on all 6 nodes"


async def test_any_writer_recovers_once(check, make):
    ill = seen(writer_id="A65FAA63-5EA8-4EBC-9DBD-A0C4DB26912A", state=8)
    report = await check(make.cluster(hv02={"recall writer": [ill]}))
    assert [(one.status, one.target) for one in report.findings] == [("RECOVERED", "hv02")]
    kept = next(one for one in report.samples if dict(one.fields)["writer_id"].startswith("A65FAA63"))
    later = dict(kept.fields) | {"at": "2026-11-22T22:40:00+00:00"}
    again = await check(make.cluster(hv02={"recall writer": [ill, later]}))
    assert again.findings == ()


async def test_an_empty_list_is_not_a_healthy_one(check, make):
    report = await check(make.cluster(hv04={WRITERS: []}))
    assert report.title == "prod: NO WRITERS on hv04"
    assert report.findings[0].severity is Severity.FAULT
    assert "hv04" not in report.fine[0].targets
    assert report.answered == 6


async def test_a_host_without_its_hyper_v_writer(check, make):
    report = await check(make.cluster(hv04={WRITERS: make.writer_rows()[1:]}))
    assert report.title == "prod: Hyper-V writer MISSING on hv04"
    assert "hv04" not in report.fine[0].targets


async def test_a_state_that_nobody_knows_is_odd(check, make):
    report = await check(make.cluster(hv04={WRITERS: make.writer_rows(make.writer_row("System Writer", 42))}))
    assert report.title == "prod: System Writer ODD on hv04"
    assert "[42] not a known state" in report.findings[0].summary


async def test_locks_with_stable_writers_are_said(check, make):
    report = await check(make.cluster(2))
    assert report.title == "prod: guests LOCKED on hv03"
    assert "hv03" not in report.fine[0].targets
    assert line(report, "Locked") == ["2 of 11: victims: test-tfs-01, vm-301"]
    assert report.summary == "prod: guests LOCKED on hv03, 2 of 11 guests locked; 5 stable"


async def test_locks_on_a_node_that_does_not_answer_are_said(check, make):
    report = await check(make.cluster(9), {"hv03": "timed out"})
    assert report.title == "prod: guests LOCKED on hv03"
    assert report.summary == "prod: guests LOCKED on hv03, 9 guests locked; hv03 UNKNOWN; 5 stable"
    assert report.findings[0].summary.endswith("The state of its writers is not known.")
    assert line(report, "Caution")[0].startswith("Don't drain, pause or reboot hv03")
    assert [one.target for one in report.unanswered] == ["hv03"]
    assert (report.asked, report.answered) == (6, 5)


async def test_what_else_a_node_said_stands_beside_a_list_that_cannot_be_read(check, make, named):
    report = await check(make.cluster(9, hv03={WRITERS: [{"name": "cut", "state": ""}], VMMS: named}))
    assert report.title == "prod: guests LOCKED on hv03"
    assert line(report, "Suspect")[0].startswith("test-tfs-01 (event 10102")
    assert line(report, "Locked")[0].startswith("9 of 11: test-tfs-01, suspect; victims: ")


@pytest.mark.parametrize(
    ("language", "stuck"),
    [
        ("Aucune erreur", "Erreur récupérable"),
        ("Kein Fehler", "Wiederholbarer Fehler"),
        ("Brak błędu", "Błąd, który można powtórzyć"),
    ],
)
async def test_other_languages(check, make, language, stuck):
    foreign = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 5, stuck), error=language)
    script = make.cluster(
        hv03={WRITERS: foreign},
        hv04={
            WRITERS: make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", error=language), error=language)
        },
    )
    report = await check(script)
    known = language != "Brak błędu"
    assert report.title == "prod: Hyper-V writer LOOKS STUCK on hv03"
    assert ("Retryable error" if known else f"last error “{stuck}”") in report.findings[0].summary
    guess = (
        "The language of hv04 is not known here. Its last errors “Brak błędu” probably mean “No error”: all stable"
        " writers of the host print it, and no other does."
    )
    assert (guess in report.background) is not known
    assert {fine.word: "hv04" in fine.targets for fine in report.fine} == (
        {"STABLE": True} if known else {"STABLE": False, "PROBABLY STABLE": True}
    )
    assert report.unanswered == ()


async def test_an_unread_error_on_a_stable_writer_is_unknown_not_fine(check, make):
    mixed = make.writer_rows(make.writer_row("System Writer", error="Zeitüberschreitung"), error="Kein Fehler")
    report = await check(make.cluster(hv04={WRITERS: mixed}))
    assert report.title == "prod: VSS writers healthy on 5 of 6 nodes, hv04 unknown"
    assert report.findings == ()
    assert "hv04" not in report.fine[0].targets
    (unknown,) = report.unanswered
    assert (unknown.target, unknown.kind) == ("hv04", "not understood")
    assert "Zeitüberschreitung" in unknown.why


async def test_a_guess_leaves_the_cause_of_event_8194_open(check, make):
    events = [make.event(8194, f"2026-11-22T22:{at}:00Z", Data0="0x80070005") for at in (10, 20, 30)]
    foreign = make.writer_rows(error="Brak błędu")
    report = await check(make.cluster(hv04={WRITERS: foreign, APPLICATION: events}))
    assert not [one for one in report.findings if one.status == "PERMISSION"]


async def test_a_writer_that_all_other_nodes_of_its_windows_list_is_said_to_be_missing(check, make):
    fewer = [row for row in make.writer_rows() if row["name"] != "SqlServerWriter"]
    report = await check(make.cluster(hv05={WRITERS: fewer}))
    (missing,) = [note for note in report.notes if "does not list" in note]
    assert missing == (
        "hv05 does not list 1 writer that the 5 other nodes of its Windows list: SqlServerWriter (service SQLWriter)."
        " Its service may not run there."
    )
    assert report.findings == ()
    two = await check(make.cluster(hv04={WRITERS: fewer}, hv05={WRITERS: fewer}))
    assert not [note for note in two.notes if "does not list" in note]


async def test_a_node_without_a_system_writer_is_not_well(check, make):
    """Every Windows lists it: its absence fails backups of the system state, and no writer is failed for it."""
    fewer = [row for row in make.writer_rows() if row["name"] not in ("System Writer", "SqlServerWriter")]
    report = await check(make.cluster(hv05={WRITERS: fewer}))
    assert report.title == "prod: System Writer NOT LISTED on hv05"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.WARNING, "NOT LISTED", "hv05")
    assert finding.summary == ("System Writer is not listed on hv05; the 5 other nodes of its Windows list it.")
    lines = dict(finding.lines)
    assert all(cause in lines["Suspect"] for cause in ("EventSystem", "winsxs", "513", "8193"))
    assert "CryptSvc" in lines["By hand"]
    assert "hv05" not in report.fine[0].targets
    assert [note for note in report.notes if "System Writer" in note] == []
    assert any("SqlServerWriter (service SQLWriter)" in note for note in report.notes)


async def test_a_system_writer_is_missed_on_each_node_that_lacks_it(check, make):
    fewer = [row for row in make.writer_rows() if row["name"] != "System Writer"]
    report = await check(make.cluster(hv04={WRITERS: fewer}, hv05={WRITERS: fewer}))
    assert report.title == "prod: System Writer NOT LISTED on hv04, hv05"
    assert "4 other nodes of its Windows list it" in report.findings[0].summary


async def test_where_no_node_lists_a_system_writer_nothing_is_compared(check, make):
    fewer = [row for row in make.writer_rows() if row["name"] != "System Writer"]
    report = await check(make.cluster(**{f"hv0{number}": {WRITERS: fewer} for number in range(1, 7)}))
    assert report.findings == ()


async def test_writers_are_not_compared_with_another_windows_or_a_list_that_cannot_be_read(check, make):
    fewer = [row for row in make.writer_rows() if row["name"] != "SqlServerWriter"]
    script = make.cluster(hv05={WRITERS: fewer})
    for row in script[("prod", "MSCluster_Node")]:
        if row["Name"] == "hv05":
            row["BuildNumber"] = "20348"
    assert not [note for note in (await check(script)).notes if "does not list" in note]
    fewer[1] |= {"unreadable": "State: nonsense", "state": None}
    report = await check(make.cluster(hv05={WRITERS: fewer}))
    assert not [note for note in report.notes if "does not list" in note]


async def test_several_instances_of_one_writer_are_no_second_writer(check, make):
    twice = [
        *make.writer_rows(),
        make.writer_row("SqlServerWriter") | {"instance_id": "0000000A-0000-4000-8000-000000000000"},
    ]
    report = await check(make.cluster(hv05={WRITERS: twice}))
    assert report.title == "prod: VSS writers healthy on all 6 nodes"
    assert not [note for note in report.notes if "does not list" in note]


EXCHANGE = "76FE1AC4-15F7-4BCD-987E-8E1ACB462FB7"
FIRST, SECOND = "0000000A-0000-4000-8000-000000000000", "0000000B-0000-4000-8000-000000000000"


def exchange(make, *writers):
    """Rows of Exchange writers (name, state, error, instance) beside the others."""
    return [
        *make.writer_rows(),
        *(
            make.writer_row("System Writer")
            | {
                "name": name,
                "writer_id": EXCHANGE.lower(),
                "state": str(state),
                "error_text": error,
                "instance_id": instance,
            }
            for name, state, error, instance in writers
        ),
    ]


async def test_writers_of_one_name_are_shown_by_their_instances(check, make):
    twins = exchange(make, ("W", 8, "Timed out", FIRST), ("W", 1, "No error", SECOND))
    report = await check(make.cluster(hv02={WRITERS: twins}))
    assert report.findings[0].summary == "W (0000000A): [8] Failed at prepare snapshot · Timed out."


async def test_a_healthy_writer_has_not_recovered_because_its_twin_failed(check, make):
    replica, store = "Microsoft Exchange Replica Writer", "Microsoft Exchange Writer"
    rows = exchange(make, (replica, 8, "Timed out", FIRST), (store, 1, "No error", SECOND))
    failed = seen(writer_id=EXCHANGE, instance_id=FIRST, state=8, error="Timed out", name=replica)
    report = await check(make.cluster(hv02={WRITERS: rows, "recall writer": [failed]}))
    assert [one.status for one in report.findings] == ["FAILED"]
    assert line(report, "Means") == [
        "It failed in some backup. Nothing here says in which one, or whether that backup failed. It was already in this state at 22:39 UTC."
    ]
    assert line(report, "By hand")[0].startswith("If a retry does not help: restart MSExchangeRepl on hv02.")


async def test_own_memory_says_after_when_a_writer_failed(check, make):
    failed = make.writer_rows(make.writer_row("SqlServerWriter", 10, "Timed out"))
    well = make.sample("SqlServerWriter", "2026-11-22T22:21:00Z", 1, "No error")
    report = await check(make.cluster(hv02={WRITERS: failed, "recall writer": [well]}))
    assert line(report, "Means") == [
        "It failed in a backup after 22:21 UTC, when it was still healthy. Check in the backup product whether that backup failed."
    ]


async def test_a_guest_without_a_scsi_controller_is_named_with_what_to_give_it(check, make):
    failed = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 8, "Retryable error"))
    log = [make.event(10103, "2026-11-22T22:14:00Z", Parameter0="vm-401", Parameter1="")]
    report = await check(make.cluster(hv03={WRITERS: failed, VMMS: log}))
    said = "it has no SCSI controller, so it cannot be backed up while it runs"
    assert line(report, "Suspect") == [f"vm-401 (event 10103: {said}, 22:14 UTC, now on hv04)"]
    assert line(report, "Do now") == [
        "Shut down vm-401, add a SCSI controller, and start it again. Retry the backup job."
    ]


async def test_nonsense_from_one_host_leaves_the_others_intact(check, make):
    report = await check(make.cluster(hv02={WRITERS: [{"name": "cut", "state": ""}]}))
    assert [(one.target, one.kind) for one in report.unanswered] == [("hv02", "bad reply")]
    assert report.title == "prod: VSS writers healthy on 5 of 6 nodes, hv02 unknown"
    assert report.answered == 5


async def test_a_half_silent_node_says_what_is_missing(check, make, waiting):
    gone = Unknown("hv03", "absent", "it has no such event channel.")
    report = await check(make.cluster(hv03={WRITERS: waiting, VMMS: gone, "Win32_ShadowCopy": gone}))
    assert report.unanswered == (
        Unknown(
            "hv03", "absent", "events 10102, 10103 and 10150, shadow copies not known: it has no such event channel."
        ),
    )
    assert report.has_unknowns


async def test_a_node_that_the_cluster_calls_down_says_so(check, make):
    script = make.cluster()
    script[("prod", "MSCluster_Node")][4]["State"] = "1"
    report = await check(script, {"hv05": "unreachable"})
    assert report.unanswered[0].why == "no answer in 20 s. The cluster calls it down."


async def test_a_cluster_that_does_not_answer(check, make):
    report = await check(make.cluster(), {"prod": "login refused"})
    assert report.title == "prod: its nodes are not known"
    assert (report.asked, report.answered) == (0, 0)
    assert [one.kind for one in report.unanswered] == ["login refused"]


async def test_no_node_answers(check, make):
    report = await check(make.cluster(), dict.fromkeys(("hv01", "hv02", "hv03", "hv04", "hv05", "hv06"), "timed out"))
    assert report.title == "prod: no node reported its writers"
    assert report.fine == ()
    assert len(report.unanswered) == 6


async def test_one_node_of_a_cluster_reads_every_log(check, make, waiting, named):
    report = await check(make.cluster(9, hv03={WRITERS: waiting}, hv06={VMMS: named}), {"hv05": "timed out"}, HV03)
    assert report.title == "hv03: Hyper-V writer LOOKS STUCK on hv03"
    assert line(report, "Suspect") == ["test-tfs-01 (event 10102, 22:14 UTC)"]
    assert (report.asked, report.answered) == (1, 1)
    assert report.unanswered == (
        Unknown("hv05", "timed out", "no answer in 20 s. Guests that its log names are not known."),
    )
    assert [one.on for one in check.ask.asked if getattr(one, "what", "") == WRITERS] == ["hv03"]
    assert report.remedies[0].line == "/find-full-guests hv03"


async def test_a_host_that_stands_alone(check, make, waiting):
    script = make.cluster()
    script |= {
        ("backup01", "Win32_OperatingSystem"): [{"BuildNumber": "7601"}],
        ("backup01", WRITERS): waiting,
        ("backup01", "Msvm_ComputerSystem"): make.guest_rows("hv03"),
    }
    report = await check(script, target=ALONE)
    assert report.title == "backup01: Hyper-V writer LOOKS STUCK on backup01"
    assert {one.on for one in check.ask.asked} == {"backup01"}
    assert check.ask.rounds == 2


async def test_a_host_without_hyper_v_is_not_missing_its_writer(check, make):
    absent = Unknown("backup01", "absent", "there is no namespace root/virtualization/v2.")
    script = make.cluster() | {
        ("backup01", "Win32_OperatingSystem"): [{"BuildNumber": "20348"}],
        ("backup01", WRITERS): make.writer_rows()[1:],
        ("backup01", "Msvm_ComputerSystem"): absent,
        ("backup01", VMMS): absent,
    }
    report = await check(script, target=ALONE)
    assert report.title == "backup01: VSS writers healthy on 1 node"
    assert report.unanswered == ()


async def test_a_2008_r2_cluster_says_that_locks_are_not_known(check, make):
    script = make.cluster()
    for row in script[("prod", "MSCluster_Node")]:
        row["BuildNumber"] = "7601"
    for what in ("MSCluster_ResourceGroup", "MSCluster_Resource"):
        script[("prod", what)] = Unknown("prod", "absent", "there is no property StatusInformation.")
    report = await check(script)
    assert report.unanswered == ()
    assert report.notes[0].startswith("2008 R2 publishes no locked status")


async def test_event_8194_as_a_missing_permission(check, make):
    denied = [
        make.event(8194, f"2026-11-22T0{hour}:00:00Z", Data0="hr = 0x80070005, Access is denied.") for hour in (1, 2)
    ]
    report = await check(make.cluster(hv02={APPLICATION: denied}))
    assert report.title == "prod: event 8194 PERMISSION on hv02"
    assert report.findings[0].summary == "Event 8194, access denied, 2 times, last 02:00 UTC."


async def test_event_8194_beside_a_stuck_writer_is_its_echo(check, make, waiting):
    denied = [
        make.event(8194, f"2026-11-22T0{hour}:00:00Z", Data0="hr = 0x80070005, Access is denied.") for hour in (1, 2)
    ]
    report = await check(make.cluster(hv03={WRITERS: waiting, APPLICATION: denied}))
    assert [one.status for one in report.findings] == ["LOOKS STUCK"]
    assert "Fix the writer before you change any permissions" in line(report, "Because")[0]


async def test_one_event_8194_is_left_open(check, make):
    denied = [make.event(8194, "2026-11-22T01:00:00Z", Data0="hr = 0x80070005")]
    report = await check(make.cluster(hv02={APPLICATION: denied}))
    assert report.findings == ()
    assert report.notes[0].startswith("Event 8194 (access denied) on hv02: too few")


async def test_mounted_snapshots_are_evidence(check, make, waiting):
    copies = [{"ID": "1", "InstallDate": "2026-11-22T22:01:00Z", "DeviceObject": "x", "ExposedLocally": "true"}]
    report = await check(make.cluster(hv03={WRITERS: waiting, "Win32_ShadowCopy": copies}))
    assert line(report, "Because") == ["1 snapshot volume mounted, the oldest since 22:01 UTC."]


async def test_a_fleet_of_stuck_writers_stays_readable(scripted, make, waiting):
    names = [f"h{number:04}" for number in range(1000)]
    script = make.cluster()
    script[("prod", "MSCluster_Node")] = [{"Name": one, "State": "0", "BuildNumber": "9600"} for one in names]
    script |= {(one, "Msvm_ComputerSystem"): [{"Name": one}] for one in names}
    script |= {(one, WRITERS): waiting for one in names[:500]}
    ask = scripted(script, dict.fromkeys(names[900:], "timed out"))
    report = COMMAND.evaluate(Args(PROD), await COMMAND.collect(Args(PROD), ask))
    assert report.title == "prod: Hyper-V writer LOOKS STUCK on 500 nodes"
    assert len(report.findings) == 9
    assert report.findings[-1].target == "492 more nodes"
    assert len(report.unanswered) == 13
    assert report.fine[0].targets[-1] == "389 more"
    assert (report.asked, report.answered) == (1000, 900)
    assert ask.rounds == 2


async def test_a_guest_may_bear_any_name(check, make, waiting):
    script = make.cluster(1, hv03={WRITERS: waiting})
    script[("hv03", "Msvm_ComputerSystem")][1]["ElementName"] = "<!channel> o'Neil & *bold*"
    report = await check(script)
    assert "<!channel> o'Neil & *bold*" in line(report, "Locked")[0]


async def test_it_only_names_commands_that_exist(check, make, waiting):
    report = await check(make.cluster(9, hv03={WRITERS: waiting}))
    assert {one.line.split()[0] for one in report.remedies} <= {
        "/check-writers",
        "/find-full-guests",
        "/verify-kb-drift",
    }
    assert "Reset" not in str(report)


async def test_a_writer_that_was_stuck_and_is_well_has_recovered(check, make):
    report = await check(make.cluster(hv03={"recall writer": [seen()]}))
    assert report.title == "prod: Hyper-V writer RECOVERED on hv03; VSS writers healthy on all 6 nodes"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.NOTE, "RECOVERED", "hv03")
    assert line(report, "Because") == ["At 22:39 UTC it was [5] · Retryable error."]
    assert line(report, "Next") == ["No guest on hv03 is locked now. Resume the backup job if it is still pending."]
    assert "hv03" in report.fine[0].targets
    assert not report.has_findings


@pytest.mark.parametrize(
    "earlier",
    [
        [seen(backup="yes")],  # it waited for a backup that ran: nothing to recover from
        [seen(), seen("2026-11-22T22:40:00+00:00", state=1, error="No error")],  # an answer has said so already
        [seen(writer_id="another")],
    ],
)
async def test_what_was_not_stuck_just_now_has_not_recovered(check, make, earlier):
    report = await check(make.cluster(hv03={"recall writer": earlier}))
    assert report.title == "prod: VSS writers healthy on all 6 nodes"
    assert report.findings == ()


async def test_who_recovered_stands_before_what_is_still_wrong(check, make, waiting):
    report = await check(make.cluster(hv03={"recall writer": [seen()]}, hv04={WRITERS: waiting}))
    assert report.title == "prod: Hyper-V writer RECOVERED on hv03; Hyper-V writer LOOKS STUCK on hv04"
    assert [finding.status for finding in report.findings] == ["LOOKS STUCK", "RECOVERED"]


STUCK = {"state": 5, "error": "Unexpected error", "backup": "no"}
LONG_AGO, JUST_NOW = "2026-11-22T22:30:00Z", "2026-11-22T22:40:00Z"
SILENT = Unknown("prod", "timed out", "silent.")


@pytest.mark.parametrize(
    ("case", "offered"),
    [
        ({}, True),
        ({"locked": 1}, False),
        ({"at": JUST_NOW}, True),
        ({"MSCluster_ResourceGroup": SILENT}, False),
        ({"MSCluster_ClusterSharedVolume": SILENT}, False),
        ({"MSCluster_Node": [{"Name": "hv03", "State": "0", "BuildNumber": "7601"}]}, False),
    ],
)
async def test_a_reset_is_offered_only_where_nothing_leans_on_a_stuck_writer(check, make, case, offered):
    over = {name: rows for name, rows in case.items() if name.startswith("MSCluster")}
    rows = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 5, "Unexpected error"))
    seen = STUCK | {"at": case.get("at", LONG_AGO), "writer_id": HYPER_V, "instance_id": INSTANCE}
    script = make.cluster(case.get("locked", 0), hv03={WRITERS: rows, "recall writer": [seen]}, prod=over)
    report = await check(script)
    assert (Remedy("Reset Writer…", "/reset-writer hv03") in report.remedies) is offered


async def test_a_host_that_stands_alone_cannot_be_drained_so_no_reset_is_offered(check, make):
    rows = make.writer_rows(make.writer_row("Microsoft Hyper-V VSS Writer", 8, "Unexpected error"))
    script = make.cluster(backup01={WRITERS: rows, "Msvm_ComputerSystem": [], "Win32_OperatingSystem": []})
    report = await check(script, target=ALONE)
    assert [one.label for one in report.remedies] == ["Find Full Guests"]


async def test_a_saved_guest_is_said_beside_a_stuck_writer_and_with_no_other(check, make, waiting):
    rows = make.guest_rows()
    rows[1]["EnabledState"] = "6"
    stuck = await check(make.cluster(hv03={WRITERS: waiting, "recall writer": [seen()], "Msvm_ComputerSystem": rows}))
    assert line(stuck, "Saved") == [
        f"{rows[1]['ElementName']}. Either someone saved it, or a backup that could not run online did."
    ]
    well = await check(make.cluster(hv03={"Msvm_ComputerSystem": rows}))
    assert not well.findings


async def test_a_job_that_may_run_is_not_to_be_killed(check, make, waiting):
    script = make.cluster(9, hv03={WRITERS: waiting, "recall writer": [seen()]})
    script[("hv03", "Win32_ShadowCopy")] = Unknown("hv03", "timed out", "no answer in 20 s.")
    said = line(await check(script), "Caution")[0]
    assert "Don't kill the backup job" in said
