import pytest
from scripted_cluster import LARGE, node_row
from scripted_vmm import OF_2008_R2, OF_2012, OF_2012_R2, columns, guid, on, record, there, world

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.report import Severity
from commands.diagnostics.find_missing_vms import Args, collect, evaluate
from commands.sources import vmm
from commands.sources.guests import Guest, Power
from commands.vmm.compare import NAMED, RecordStatus, compare
from commands.vmm.findings import findings
from commands.vmm.gates import no_vmm_job
from tests.support.counted import CountedName

ARGS = Args(Target("vmm", "vmm", clusters=("prod",)))


@pytest.fixture
def answer(scripted):
    async def asked(records, silent=None, **over):
        ask = scripted(world(records, **over), silent)
        return evaluate(ARGS, await collect(ARGS, ask))

    return asked


async def test_where_all_agrees_nothing_is_found(answer):
    report = await answer([])
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines"
    assert (report.asked, report.answered, report.findings, report.unanswered) == (6, 6, (), ())
    assert report.fine[0].targets == ("6 virtual machines",)
    assert "VMM 2016 or later" in report.background[0]
    assert report.table is None


async def test_missing_on_one_host_and_running_on_another(answer):
    failed = [{"ObjectId": guid("object", "crm-01 0"), "FailedJobID": guid("job", "move"), "TaskState": "Failed"}]
    report = await answer(
        [record("crm-01", "hv04", 220)], hv06=on("vm-hv06", "crm-01"), vmm={"vmm failed jobs": failed}
    )
    assert report.title == "vmm: crm-01 is missing in VMM, and running on hv06"
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "MISSING", "crm-01")
    assert finding.summary == "VMM says Missing (220) on hv04; it is running on hv06."
    lines = dict(finding.lines)
    by_hand = lines["By hand"]
    assert by_hand.index("Read-SCVirtualMachine") < by_hand.index("live-migrate it to hv04") < by_hand.index("database")
    assert guid("object", "crm-01 0") in by_hand
    assert "deletes its files" in lines["Caution"]
    assert guid("job", "move") in lines["Because"]
    assert report.table.rows == (
        ("crm-01", "hv04", "220 Missing", "hv06", "running", "missing, on another host", guid("vm", "crm-01"), guid("object", "crm-01 0")),
    )  # fmt: skip


async def test_the_name_decides_nothing(answer):
    """A machine of the same name on another host is another machine."""
    other = [{"Name": guid("vm", "somebody else"), "ElementName": "crm-01", "EnabledState": "2"}]
    report = await answer([record("crm-01", "hv04", 220)], hv06=on("vm-hv06", more=other))
    (finding,) = report.findings
    assert (finding.status, finding.summary) == (
        "NOT FOUND",
        "VMM says Missing (220) on hv04; it is on no node, and another machine of its name is running on hv06.",
    )
    assert report.title == "vmm: crm-01 is missing in VMM; another machine of that name is running on hv06"
    lines = dict(finding.lines)
    assert guid("vm", "crm-01") in lines["Means"]
    assert f"id {guid('vm', 'somebody else')}, running on hv06, VMM has no record of it" in lines["Means"]
    assert lines["By hand"].index("refresh hv06") < lines["By hand"].index("Remove-SCVirtualMachine -Force")
    assert guid("object", "crm-01 0") in lines["By hand"]
    assert report.remedies == ()
    assert "VMM has no record of crm-01" in report.notes[-1]


async def test_records_of_one_name_are_told_apart_by_the_ids_of_their_machines(answer):
    twin = record("crm-01", "hv04", 220, number=2) | {"VMId": guid("vm", "twin")}
    more = [{"Name": guid("vm", "twin"), "ElementName": "crm-01", "EnabledState": "2", "OperationalStatus": "2"}]
    report = await answer([record("crm-01", "hv04", 220), twin], hv06=on("vm-hv06", "crm-01", more=more))
    short = sorted(f"crm-01 ({guid('vm', one)[:8]})" for one in ("crm-01", "twin"))
    assert sorted(one.target for one in report.findings) == short


async def test_a_namesake_that_vmm_has_a_record_of_is_not_taken_in(answer):
    other = [{"Name": guid("vm", "twin"), "ElementName": "CRM-01", "EnabledState": "3"}]
    twin = record("crm-01", "hv06", 1, number=2) | {"VMId": guid("vm", "twin")}
    report = await answer([record("crm-01", "hv04", 220), twin], hv06=on("vm-hv06", more=other))
    (finding,) = report.findings
    assert "off on hv06, VMM has a record of its own for it" in dict(finding.lines)["Means"]
    assert "refresh" not in dict(finding.lines)["By hand"]


def replica(name, mode=2, state=3):
    """A machine as its host shows one that has a part in a replication."""
    return [row | {"ReplicationMode": mode} for row in there(name, state=state)]


@pytest.mark.parametrize("mode", [2, 3, 4])
@pytest.mark.parametrize("state", [2, 3])
async def test_a_replica_is_no_second_machine(answer, mode, state):
    """Both ends bear one id: off or failed over, the record is that of the primary."""
    report = await answer(
        [record("crm-01", "hv04", 1)],
        hv04=on("vm-hv04", more=replica("crm-01", 1)),
        hv06=on("vm-hv06", more=replica("crm-01", mode, state)),
    )
    assert report.title == "vmm: VMM and hosts agree about 7 virtual machines"
    assert (report.findings, report.unanswered) == ((), ())
    (note,) = [note for note in report.notes if "Hyper-V Replica" in note]
    assert "crm-01 on hv06" in note
    assert ("failover" in note) is (state == 2)


async def test_a_record_is_never_lost_to_a_replica(answer):
    report = await answer([record("crm-01", "hv04", 220)], hv06=on("vm-hv06", more=replica("crm-01", state=2)))
    (finding,) = report.findings
    assert (finding.status, report.remedies) == ("NOT FOUND", ())
    assert "running on hv06 (replica)" in dict(finding.lines)["Replica"]


async def test_a_record_of_the_replica_and_one_of_the_primary_are_no_duplicates(answer):
    """VMM shows both ends; each record is compared with the machine of its own host."""
    records = [record("crm-01", "hv04"), record("crm-01", "hv06", 1, number=2)]
    report = await answer(
        records,
        hv04=on("vm-hv04", more=replica("crm-01", 1, 2)),
        hv06=on("vm-hv06", more=replica("crm-01")),
    )
    assert report.title == "vmm: VMM and hosts agree about 8 virtual machines"
    assert report.findings == ()


async def test_a_primary_that_moved_is_found_beside_its_recorded_replica(answer):
    records = [record("crm-01", "hv04", 220), record("crm-01", "hv06", 1, number=2)]
    report = await answer(
        records,
        hv05=on("vm-hv05", more=replica("crm-01", 1, 2)),
        hv06=on("vm-hv06", more=replica("crm-01")),
    )
    (finding,) = report.findings
    assert (finding.status, finding.summary) == ("MISSING", "VMM says Missing (220) on hv04; it is running on hv05.")


async def test_two_records_of_a_primary_are_duplicates_beside_its_replica(answer):
    records = [record("crm-01", "hv04", 220), record("crm-01", "hv05", number=2), record("crm-01", "hv06", 1, number=3)]
    report = await answer(
        records,
        hv05=on("vm-hv05", more=replica("crm-01", 1, 2)),
        hv06=on("vm-hv06", more=replica("crm-01")),
    )
    (finding,) = report.findings
    assert (finding.status, finding.summary) == ("DUPLICATE", "VMM has 2 records of this one virtual machine.")


async def test_a_record_of_a_replica_on_a_silent_host_is_not_known(answer):
    records = [record("crm-01", "hv04"), record("crm-01", "hv06", 1, number=2)]
    report = await answer(
        records,
        silent={"hv06": Unknown("hv06", "timed out", "no answer in 20 s.")},
        hv04=on("vm-hv04", more=replica("crm-01", 1, 2)),
    )
    assert "DUPLICATE" not in [finding.status for finding in report.findings]
    assert "can be that of a replica on a host that did not answer" in str(report.unanswered)


async def test_a_mode_of_replication_that_is_not_listed_is_not_known(answer):
    report = await answer([record("crm-01", "hv04")], hv04=on("vm-hv04", more=replica("crm-01", 9, 2)))
    assert "in a mode of replication that is not known" in str(report.unanswered)
    assert "1 unknown" in report.title


async def test_a_test_failover_is_said_and_is_no_machine_without_a_record(answer):
    report = await answer([], hv06=on("vm-hv06", more=replica("crm-01 - Test", 3, 2)))
    (note,) = [note for note in report.notes if "crm-01 - Test" in note]
    assert "crm-01 - Test on hv06 (test replica)" in note


async def test_missing_where_it_is(answer):
    report = await answer([record("crm-01", "hv04", 220)], hv04=on("vm-hv04", "crm-01"))
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.WARNING, "MISSING")
    assert "live-migrate" not in dict(finding.lines)["By hand"]


async def test_moved_without_vmm(answer):
    report = await answer([record("crm-01", "hv04")], hv06=on("vm-hv06", "crm-01"))
    assert report.title == "vmm: VMM is wrong about 1 virtual machine"
    assert [finding.status for finding in report.findings] == ["WRONG HOST"]


async def test_two_records_of_one_machine_are_refused(answer):
    records = [record("crm-01", "hv04", 220), record("crm-01", "hv06", number=2)]
    report = await answer(records, hv06=on("vm-hv06", "crm-01"))
    (finding,) = report.findings
    assert (finding.status, finding.summary) == ("DUPLICATE", "VMM has 2 records of this one virtual machine.")
    lines = dict(finding.lines)
    assert "hvops changes neither" in lines["By hand"]
    assert all(guid("object", f"crm-01 {number}") in lines["Means"] for number in (0, 2))


async def test_a_job_of_vmms_is_left_in_peace(answer):
    report = await answer(
        [record("crm-01", "hv04", 200)],
        hv06=on("vm-hv06", "crm-01"),
        vmm={"vmm running jobs": [{"TaskID": guid("job", "1"), "TaskState": "Running"}]},
    )
    assert [(finding.severity, finding.status) for finding in report.findings] == [(Severity.NOTE, "BUSY")]
    assert any("1 VMM job running" in note for note in report.notes)


async def test_as_many_jobs_as_the_select_stops_at_may_be_more(answer):
    jobs = [{"TaskID": guid("job", str(at)), "TaskState": "Running"} for at in range(100)]
    assert any(
        "100 or more VMM jobs running" in note for note in (await answer([], vmm={"vmm running jobs": jobs})).notes
    )
    gate = no_vmm_job("vmm", 100)
    assert (gate.passed, gate.measured) == (False, "100 or more running")
    assert no_vmm_job("vmm", 99).measured == "99 running"


async def test_a_state_that_nobody_has_explained_agrees_with_nothing(answer):
    report = await answer([record("crm-01", "hv04", 999)], hv04=on("vm-hv04", "crm-01"))
    assert "VMM has it in state 999, which nobody has explained." in str(report)
    assert "1 unknown" in report.title


# What VMM may say of a machine that is there and running: only one state says the same.
OF_A_JOB = sorted(vmm.BUSY)
SAME = (vmm.ObjectState.RUNNING,)
ELSE = [code for code in vmm.STATES if code not in (*SAME, *OF_A_JOB, vmm.MISSING, vmm.NOT_HEARD)]


@pytest.mark.parametrize("code", ELSE)
async def test_every_other_state_is_a_difference(answer, code):
    report = await answer([record("crm-01", "hv04", code)], hv04=on("vm-hv04", "crm-01"))
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.WARNING, "OTHER STATE")
    assert finding.summary == f"VMM says {vmm.STATES[code]} ({code}) on hv04; it is running on hv04."
    assert report.title == "vmm: VMM is wrong about 1 virtual machine"
    assert "agree" not in report.title


@pytest.mark.parametrize(
    ("code", "enabled"), [(0, 2), (0, 32781), (1, 3), (1, 32782), (3, 6), (3, 32779), (6, 9), (6, 32785)]
)
async def test_a_state_that_says_what_the_host_says_agrees(answer, code, enabled):
    own = {"Msvm_ComputerSystem": [*there("vm-hv04"), *there("crm-01", state=enabled)]}
    report = await answer([record("crm-01", "hv04", code)], hv04=own)
    assert report.title == "vmm: VMM and hosts agree about 7 virtual machines"


@pytest.mark.parametrize("enabled", [10, 4, 1])
async def test_a_machine_between_two_states_is_not_compared_with_one(answer, enabled):
    own = {"Msvm_ComputerSystem": [*there("vm-hv04"), *there("crm-01", state=enabled)]}
    report = await answer([record("crm-01", "hv04", 0)], hv04=own)
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines, 1 unknown"


async def test_a_host_that_vmm_does_not_hear_from_is_one_finding(answer):
    records = [record("crm-01", "hv04", 221), record("crm-02", "hv04", 221), record("crm-03", "hv04")]
    report = await answer(records, hv04=on("vm-hv04", "crm-01", "crm-03"), hv06=on("vm-hv06", "crm-02"))
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.FAULT, "NOT HEARD", "hv04")
    assert finding.summary == (
        "VMM does not hear from hv04: 2 virtual machines Host Not Responding (221); seen by hvops: 1 on hv04, 1 on hv06."
    )
    assert report.title == "vmm: VMM does not hear from hv04, 2 virtual machines there"


async def test_a_host_that_neither_hears_from(answer):
    report = await answer([record("crm-01", "hv05", 221)], silent={"hv05": "timed out"})
    (finding,) = report.findings
    assert (finding.status, finding.target) == ("NOT HEARD", "hv05")
    assert "hvops sees none of them" in finding.summary
    assert "answer to their host" not in dict(finding.lines)["Means"]


async def test_a_state_of_a_job_where_no_job_runs_was_left_behind(answer):
    report = await answer([record("crm-01", "hv04", 200)], hv04=on("vm-hv04", "crm-01"))
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.WARNING, "LEFT BEHIND")
    denied = Unknown("vmm", "login refused", "the login may not do that.")
    told = await answer([record("crm-01", "hv04", 200)], hv04=on("vm-hv04", "crm-01"), vmm={"vmm running jobs": denied})
    assert [one.status for one in told.findings] == ["BUSY"]


async def test_of_2008_r2_only_two_states_are_known(answer):
    own = on("vm-hv04", more=there("crm-01", state=3))
    report = await answer([record("crm-01", "hv04", 1)], hv04=own, vmm={"vmm columns": columns(*OF_2008_R2)})
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines, 1 unknown"
    assert "not known for its version" in str(report.unanswered)


LONG, CUT = "hypervisor-berlin-01", "HYPERVISOR-BERL"


def with_hosts(*called, node=CUT):
    """One more node with a record that VMM has on the first of these hosts."""
    nodes = [node_row(one) for one in (*LARGE.nodes, node)]
    hosts = [{"HostID": guid("host", one), "ComputerName": f"{one}.corp.example"} for one in (*LARGE.nodes, *called)]
    own = {"vmm": {"vmm hosts": hosts}, "prod": {"MSCluster_Node": nodes}, node: on("crm-01")}
    return [record("crm-01", called[0])], own


async def test_a_node_whose_name_was_cut_is_the_host_that_vmm_means(answer):
    records, own = with_hosts(LONG)
    report = await answer(records, **own)
    assert report.title == "vmm: VMM and hosts agree about 7 virtual machines"


async def test_a_name_that_two_hosts_may_bear_proves_nothing(answer):
    records, own = with_hosts(LONG, "hypervisor-berlin-02")
    report = await answer(records, **own)
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines, 1 unknown"
    assert report.findings == ()
    (unknown,) = report.unanswered
    assert unknown.why == (
        "HYPERVISOR-BERL, where it is, may be another host than VMM's hypervisor-berlin-01: more than one bears such a name."
    )


async def test_a_whole_name_goes_before_a_cut_one(answer):
    records, own = with_hosts(LONG, "hypervisor-berlin-02", node=LONG.upper())
    report = await answer(records, **own)
    assert report.title == "vmm: VMM and hosts agree about 7 virtual machines"


async def test_hosts_of_one_name_in_two_domains_are_two(answer):
    records, own = with_hosts("hv09", node="HV09")
    own["vmm"]["vmm hosts"].append({"HostID": guid("host", "other"), "ComputerName": "hv09.other.example"})
    report = await answer(records, **own)
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines, 1 unknown"


async def test_a_node_that_is_silent_makes_nothing_missing(answer):
    records = [record("crm-01", "hv04", 220), record("crm-02", "hv05"), record("crm-03", "hv04")]
    report = await answer(records, silent={"hv05": "timed out"})
    assert report.findings == ()
    assert (report.asked, report.answered) == (6, 5)
    assert {one.target: one.kind for one in report.unanswered} == {
        "hv05": "timed out",
        "crm-01": "not known",
        "crm-03": "not known",
    }
    assert any("Not compared" in note and "crm-02" in note and "vm-hv05" in note for note in report.notes)
    assert report.title == "vmm: VMM and hosts agree about 5 virtual machines, 2 unknown"


async def test_a_cluster_that_is_silent_makes_nothing_missing(answer):
    silent = Unknown("prod", "timed out", "no answer in 20 s.")
    report = await answer([record("crm-01", "hv04", 220)], prod={"MSCluster_Node": silent})
    assert report.findings == ()
    assert {one.target for one in report.unanswered} == {"prod", "crm-01"}


async def test_on_no_host_although_all_answered(answer):
    report = await answer([record("crm-01", "hv04", 220)])
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.FAULT, "NOT FOUND")
    means, by_hand = dict(finding.lines)["Means"], dict(finding.lines)["By hand"]
    assert "a phantom. VMM's jobs about it may fail with error 12711; 0x1395 in it says" in means
    assert "the record alone" in by_hand
    assert f"-ID {guid('object', 'crm-01 0')} | Remove-SCVirtualMachine -Force" in by_hand


@pytest.mark.parametrize("state", [2, 3, 32769, 32768, 32770], ids=["running", "off", "saved", "paused", "starting"])
async def test_a_machine_that_two_hosts_list_is_not_known_to_be_on_either(answer, state):
    """Whoever lies, or is behind, can tell any state: where it runs by their word alone is no place to act on."""
    listed = on("vm-hv04", more=there("crm-01", state=state))
    report = await answer([record("crm-01", "hv04", 220)], hv04=listed, hv06=on("vm-hv06", "crm-01"))
    assert report.findings == ()
    why = report.unanswered[0].why
    assert "hv04 (" in why
    assert "hv06 (running) at once" in why


async def test_a_record_without_id_is_never_matched_by_name(answer):
    report = await answer([record("crm-01", "hv04", 220, vm_id="")], hv06=on("vm-hv06", "crm-01"))
    assert report.findings == ()
    assert "no virtual-machine id" in report.unanswered[0].why


async def test_an_id_in_braces_and_small_letters_is_the_same(answer):
    braced = f"{{{guid('vm', 'crm-01').lower()}}}"
    report = await answer([record("crm-01", "hv06", vm_id=braced)], hv06=on("vm-hv06", "crm-01"))
    assert report.findings == ()


@pytest.mark.parametrize("column", ["HostID", "ObjectState", "VMId", "VMInstanceId"])
async def test_an_unknown_schema_is_said_and_nothing_of_it_is_read(scripted, column):
    ask = scripted(world([], vmm={"vmm columns": columns(column)}))
    report = evaluate(ARGS, await collect(ARGS, ask))
    assert report.title == "vmm: the schema of VMM's database is unknown"
    (finding,) = report.findings
    assert finding.severity is Severity.WARNING
    assert column.casefold() in dict(finding.lines)["Because"]
    assert [question.what for question in ask.asked] == ["vmm columns"]


async def test_a_column_of_another_type_is_unknown_too(answer):
    wrong = [row | {"DATA_TYPE": "xml"} if row["COLUMN_NAME"] == "ObjectState" else row for row in columns()]
    assert "unknown" in (await answer([], vmm={"vmm columns": wrong})).title


async def test_no_columns_at_all_are_unknown(answer):
    assert "unknown" in (await answer([], vmm={"vmm columns": []})).title


@pytest.mark.parametrize(
    ("without", "release"),
    [
        ((), "2016 or later"),
        (OF_2012_R2, "2012 R2"),
        (OF_2012, "2012"),
        (OF_2008_R2, "2008 R2"),
    ],
)
async def test_the_release_is_told_by_its_columns(answer, without, release):
    report = await answer([], vmm={"vmm columns": columns(*without)})
    assert f"VMM {release}," in report.background[0]
    assert any("only the states" in note for note in report.notes) == (release == vmm.OLDEST)


async def test_jobs_are_asked_for_only_where_the_schema_has_them(scripted):
    ask = scripted(world([], vmm={"vmm columns": columns("TaskID")}))
    report = evaluate(ARGS, await collect(ARGS, ask))
    assert not [question for question in ask.asked if "jobs" in getattr(question, "what", "")]
    assert any("Failed jobs are not shown" in note for note in report.notes)


async def test_jobs_that_do_not_answer_spoil_nothing(answer):
    denied = Unknown("vmm", "login refused", "the login may not do that.")
    report = await answer([], vmm={"vmm failed jobs": denied, "vmm running jobs": denied})
    assert report.title == "vmm: VMM and hosts agree about 6 virtual machines"
    assert denied in report.unanswered


@pytest.mark.parametrize("what", ["vmm columns", "vmm hosts", "vmm virtual machines"])
async def test_a_database_that_does_not_answer_is_unknown(answer, what):
    why = Unknown("vmm", "unreachable", "no connection to its database.")
    report = await answer([], vmm={what: why})
    assert report.title == "vmm: VMM's database did not answer"
    assert (report.findings, report.unanswered, report.answered) == ((), (why,), 0)


async def test_the_schema_first_and_then_all_at_once(scripted):
    ask = scripted(world([]))
    await collect(ARGS, ask)
    assert ask.rounds == 3  # columns; records and nodes; virtual machines of every node


async def test_hostile_names_are_only_text(answer):
    name = "`; Remove-VM *; <@U1> \" '"
    report = await answer([record(name, "hv04", 220)], hv06=on("vm-hv06", name))
    (finding,) = report.findings
    assert finding.target == name
    assert name not in dict(finding.lines)["By hand"]  # commands are given by id


def test_every_code_of_the_state_has_its_word():
    assert [vmm.STATES[code] for code in (0, 1, 220)] == ["Running", "PowerOff", "Missing"]
    assert vmm.STATES.keys() >= vmm.BUSY
    assert vmm.MISSING not in vmm.BUSY
    assert set(vmm.CODES.values()) <= vmm.STATES.keys()


@pytest.mark.parametrize(
    ("host", "state", "where", "ways"),
    [
        ("hv04", 220, "hv06", ["", " --by migration", " --by database"]),
        ("hv06", 220, "hv06", [""]),
        ("hv04", 0, "hv06", []),
        ("hv06", 0, "hv06", []),
        ("hv06", 221, "hv06", []),
        ("hv06", 201, "hv06", []),
    ],
)
async def test_mending_is_offered_for_what_is_missing_and_was_found(answer, host, state, where, ways):
    report = await answer([record("crm-01", host, state)], **{where: on(f"vm-{where}", "crm-01")})
    lines = [one.line for one in report.remedies]
    assert lines == [f"/fix-missing-vm crm-01 --vmm vmm{way}" for way in ways]
    assert [one.primary for one in report.remedies] == [not way for way in ways]


@pytest.mark.parametrize("name", ["crm 01", "--by", "x'; DROP", guid("vm", "other"), "twice"])
async def test_a_name_that_could_be_misread_is_named_by_its_id(answer, name):
    others = [record("twice", "hv01", vm_id=guid("vm", "vm-hv01"), number=1)] if name == "twice" else []
    report = await answer(
        [record(name, "hv04", 220, vm_id=guid("vm", "crm-01")), *others], hv06=on("vm-hv06", "crm-01")
    )
    assert report.remedies[0].line == f"/fix-missing-vm {guid('object', f'{name} 0')} --vmm vmm"


def test_of_thousands_of_records_each_is_looked_up_among_the_machines_and_not_compared_with_all():
    many = 2_000
    records = [
        vmm.Machine(guid("object", str(at)), CountedName(f"CRM-{at}"), 220, "", guid("vm", str(at)))
        for at in range(many)
    ]
    guests = [Guest(guid("other", str(at)), CountedName(f"crm-{at}"), Power.RUNNING) for at in range(many)]
    CountedName.times = 0
    found = compare(records, {}, {"hv06": guests}, ())
    assert [one.namesakes.first[0].place.guest for one in found] == guests
    assert CountedName.times <= 3 * many


def test_of_thousands_of_records_and_machines_of_one_name_the_first_are_told_and_the_others_counted():
    many = 300
    records = [vmm.Machine(guid("object", str(at)), "web", 220, "", guid("old", str(at))) for at in range(many)]
    guests = [Guest(guid("new", str(at)), "WEB", Power.RUNNING) for at in range(many)]
    found = compare(records, {}, {"hv06": guests}, ())
    assert {(one.verdict, one.namesakes.count, len(one.namesakes.first)) for one in found} == {
        (RecordStatus.GONE, many, NAMED)
    }
    assert all(
        f"running on hv06, running on hv06, running on hv06 and {many - 3} more" in one.summary
        for one in findings(found, {})
    )
