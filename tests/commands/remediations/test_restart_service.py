"""`/restart-service`: the plan whole, with and without services that depend on it, and every refusal with its reason."""

import itertools
from dataclasses import replace

import pytest

from bot.api.actions import InvokeMethod
from bot.api.arguments import Target
from bot.api.command import Risk, Role
from bot.api.facts import Unknown
from bot.api.plan import Check, CompareToBefore, Expect, Gate, GateOutcome, Group, Plan, Step
from bot.api.queries import Predicate, Wql
from bot.api.report import Remedy
from bot.tickets.plan_digest import digest
from commands.drain.steps import gate_no_locks, is_drained
from commands.remediations import restart_service
from commands.remediations.restart_service import COMMAND, ServiceName
from commands.sources.rules import writer_services
from commands.sources.services import CARRIES_US
from tests.support.counted import CountedList


def service(name, display="", state="Running", start="Auto", *, pid=700, accepts="TRUE"):
    return {
        "Name": name,
        "DisplayName": display or name,
        "State": state,
        "StartMode": start,
        "ProcessId": str(pid if state != "Stopped" else 0),
        "AcceptStop": accepts,
    }


SPOOLER = service("Spooler", "Print Spooler", pid=4120)
SERVICES = (
    SPOOLER,
    service("Fax", "Fax", pid=900),
    service("W32Time", "Windows Time", pid=1348),
    service("EventSystem", "COM+ Event System", pid=804),
    service("SENS", "System Event Notification Service", pid=812),
    service("COMSysApp", "COM+ System Application", pid=816),
    service("VSS", "Volume Shadow Copy", "Stopped", "Manual"),
    service("wuauserv", "Windows Update", "Stopped", "Manual"),
    service("RemoteRegistry", "Remote Registry", "Stopped", "Disabled"),
    service("CryptSvc", "Cryptographic Services", pid=668),
    service("vmms", "Hyper-V Virtual Machine Management", pid=1688),
    service("WinRM", "Windows Remote Management (WS-Management)", pid=1484),
    service("Winmgmt", "Windows Management Instrumentation", pid=1416),
    service("ClusSvc", "Cluster Service", pid=1620),
    service("RpcSs", "Remote Procedure Call (RPC)", pid=940, accepts="FALSE"),
)
PAIRS = (
    ("RpcSs", "Spooler"),
    ("http", "Spooler"),
    ("EventSystem", "SENS"),
    ("EVENTSYSTEM", "COMSysApp"),
    ("EventSystem", "VSS"),
    ("SENS", "ComSysApp"),
    ("Winmgmt", "vmms"),
)


def pair(needed, dependent):
    return {
        "Antecedent": {"__CLASS": "Win32_Service", "Name": needed},
        "Dependent": {"__CLASS": "Win32_Service", "Name": dependent},
    }


def script(make, *odd, pairs=PAIRS, host="hv03", **over):
    """The services of a host, those in `odd` in place of the ones of their name."""
    rows = {one["Name"]: one for one in (*SERVICES, *odd)}
    answers = {
        "Win32_Service": list(rows.values()),
        "Win32_DependentService": [pair(*one) for one in pairs],
    }
    return make.resettable(**(over | {host: answers | over.get(host, {})}))


def named(text):
    return tuple(map(ServiceName, text.split(" ")))


@pytest.fixture
def restart(planned, make):
    """The plan for a service of hv03: `await restart("Spooler", SERVICE_ROW, …)`."""

    async def run(name, *odd, **over):
        return await planned(COMMAND, script(make, *odd, **over), service=named(name))

    run.planned = planned
    return run


def state(on, name, word, within=0):
    found = Check(question(on, name), (Expect((Predicate("State", "=", word),)),), within=within, every=2)
    return found.described_as(f"the service {name} is {word.lower()} on {on}")


def question(on, name):
    return Wql(on, "root/cimv2", "Win32_Service", ("Name", "State", "ProcessId"), (Predicate("Name", "=", name),))


def method(on, name, called, other):
    return InvokeMethod(on, "root/cimv2", (("Name", name),), "Win32_Service", called, accept=(0, other))


def stop(name, guard=(), on="hv03"):
    return Step(
        f"stop-{name.lower()}",
        f"Stop the service {name} on {on}",
        method(on, name, "StopService", 6),
        guard=(state(on, name, "Running"), *guard),
        done=(state(on, name, "Stopped", 120),),
        before=question(on, name),
        undo=method(on, name, "StartService", 10),
        undone=(state(on, name, "Running", 120),),
        undo_says=f"Start the service {name} on {on} again",
    )


def start(name, on="hv03"):
    """Without a guard: it may have come back by itself."""
    return Step(
        f"start-{name.lower()}",
        f"Start the service {name} on {on}",
        method(on, name, "StartService", 10),
        done=(state(on, name, "Running", 120),),
        before=question(on, name),
        repeatable=True,
        reverts=(f"stop-{name.lower()}",),
    )


def proof(name, on="hv03"):
    return Step(
        f"proof-{name.lower()}",
        f"Check that {name} is running on {on} in a new process",
        None,
        done=(
            Check(
                question(on, name),
                (
                    Expect((Predicate("State", "=", "Running"),)),
                    CompareToBefore(f"stop-{name.lower()}", ("ProcessId",), same=False),
                ),
                within=120,
                every=2,
            ).described_as(f"the service {name} is running on {on} in a new process"),
        ),
    )


SECONDS = "This usually takes seconds, at most 2 minutes for each stop and each start."


def rollback(names):
    return f"If a step fails, hvops tries to start every service it stopped: {names}. If you press Stop After Step, they stay stopped: press Undo… then. After a successful restart there is nothing to undo."


def passed(says, measured=""):
    worth = says.startswith("The process ID") or " is running on " in says
    return Gate(says, GateOutcome.PASSED, measured, guards="worth" if worth else "safety")


def held(plan):
    return [(gate.description, gate.outcome.value, gate.measured) for gate in plan.blocking_gates]


async def test_a_service_on_which_nothing_depends(restart):
    plan = await restart("Spooler")
    assert plan == Plan(
        title="Restart Print Spooler (Spooler) on hv03",
        reason="Someone asked for a restart of Print Spooler (Spooler), which is running on hv03.",
        impact=f"Print Spooler (Spooler) on hv03 stops and starts again. {SECONDS}",
        rollback=rollback("Spooler"),
        locks=("cluster:prod",),
        gates=(
            passed("Spooler is running on hv03", "Running"),
            passed("Spooler is not disabled on hv03", "Auto"),
            passed("Spooler on hv03 can be stopped"),
            passed("The process ID of Spooler on hv03 is known", "process 4120"),
            passed("The services that depend on Spooler are known", "none running"),
            passed("No cluster owns Spooler on hv03", "no cluster resource represents it"),
        ),
        groups=(Group("restart", (stop("Spooler"), start("Spooler"), proof("Spooler")), on_failure="undo"),),
        current_state="Running, process 4120",
        expected_state="Running, in a new process",
        self_reverting=True,
        afterwards=start("Spooler").done,
    )
    assert restart.planned.ask.rounds == 1
    assert (COMMAND.risk, COMMAND.role) == (Risk.HIGH, Role.OPERATOR)


async def test_what_depends_on_it_stops_first_and_starts_last(restart):
    plan = await restart("EventSystem")
    assert plan == Plan(
        title="Restart COM+ Event System (EventSystem) on hv03",
        reason="Someone asked for a restart of COM+ Event System (EventSystem), which is running on hv03.",
        impact=(
            "COM+ Event System (EventSystem) on hv03 stops and starts again, together with COM+ System Application"
            f" (COMSysApp), System Event Notification Service (SENS). {SECONDS}"
        ),
        rollback=rollback("EventSystem, SENS, COMSysApp"),
        locks=("cluster:prod",),
        gates=(
            passed("EventSystem is running on hv03", "Running"),
            passed("EventSystem is not disabled on hv03", "Auto"),
            passed("EventSystem on hv03 can be stopped"),
            passed("The process ID of EventSystem on hv03 is known", "process 804"),
            passed("The services that depend on EventSystem are known", "running: COMSysApp, SENS"),
            passed("Every service that depends on EventSystem can be stopped and started again"),
            passed("No cluster owns EventSystem, COMSysApp, SENS on hv03", "no cluster resource represents it"),
            Gate(
                "No backup is running on hv03",
                GateOutcome.PASSED,
                "asked: guests, shared volumes, shadow copies; backup products: none",
            ),
            passed("No backup job of hv03, its cluster or its guests is pending", "none among its active jobs"),
        ),
        groups=(
            Group(
                "restart",
                (
                    stop("COMSysApp"),
                    stop("SENS"),
                    stop("EventSystem"),
                    start("EventSystem"),
                    proof("EventSystem"),
                    start("SENS"),
                    start("COMSysApp"),
                ),
                on_failure="undo",
            ),
        ),
        current_state="Running, process 804",
        expected_state="Running, in a new process; COMSysApp, SENS Running",
        self_reverting=True,
        afterwards=tuple(start(name).done[0] for name in ("EventSystem", "COMSysApp", "SENS")),
    )


async def test_neither_process_ids_nor_the_order_of_rows_void_a_plan(planned, make, restart):
    plan = await restart("EventSystem")
    other = script(make, *(row | {"ProcessId": "7"} for row in SERVICES if row["Name"] == "EventSystem"))
    other[("hv03", "Win32_Service")].reverse()
    other[("hv03", "Win32_DependentService")].reverse()
    again = await planned(COMMAND, other, service=named("eventsystem"))
    assert digest(plan, Risk.HIGH, "") == digest(again, Risk.HIGH, "")


@pytest.mark.parametrize("typed", ["spooler", "SPOOLER", "Print Spooler", "print  spooler"])
async def test_both_names_are_taken_whole(restart, typed):
    assert [step.key for step in (await restart(typed)).steps] == ["stop-spooler", "start-spooler", "proof-spooler"]


async def test_a_service_name_goes_before_a_display_name(restart):
    plan = await restart("Fax", service("Other", "Fax"))
    assert plan.reason == "Someone asked for a restart of Fax, which is running on hv03."
    plan = await restart("Twin", service("TwinA", "Twin"), service("TwinB", "Twin"))
    assert plan.reason == "No plan for hv03: it lists 2 services called “Twin”: TwinA, TwinB. Use the service name."


NOT_FOUND = {
    "Spool": " Similar names: Print Spooler (Spooler).",
    "Spoler": " Similar names: Print Spooler (Spooler).",
    "windows tme": " Similar names: Windows Time (W32Time), Windows Update (wuauserv).",
    "Acme": "",
}


@pytest.mark.parametrize("typed", NOT_FOUND)
async def test_not_found_names_what_is_close(restart, typed):
    plan = await restart(typed)
    assert (plan.reason, plan.groups) == (
        f"No plan for hv03: there is no service called “{typed}” on it.{NOT_FOUND[typed]}",
        (),
    )


NOT_RUNNING = {
    "RemoteRegistry": (
        (),
        (
            "Nothing to restart on hv03: Remote Registry (RemoteRegistry) is stopped and its startup type is Disabled. If it should"
            " run, enable and start it on the host."
        ),
    ),
    "wuauserv": (
        (),
        (
            "Nothing to restart on hv03: Windows Update (wuauserv) is stopped. /restart-service only restarts running services. If"
            " it should run, start it on the host."
        ),
    ),
    "Spooler": (
        (SPOOLER | {"State": "Stop Pending"},),
        (
            "No plan for Print Spooler (Spooler) on hv03: its state is “Stop Pending”, not Running. Check again in a minute. If the"
            " state is still the same, the service is hung: end its process on the host."
        ),
    ),
    "W32Time": (
        (service("W32Time", state="Paused"),),
        "No plan for W32Time on hv03: it is paused. Resume it on the host, then run this command again.",
    ),
}


@pytest.mark.parametrize("name", NOT_RUNNING)
async def test_what_does_not_run_is_not_restarted(restart, name):
    odd, reason = NOT_RUNNING[name]
    plan = await restart(name, *odd)
    assert (plan.reason, plan.groups, plan.remedies) == (reason, (), ())


SHARED = service("Fax", state="Stop Pending", pid=1416)
TOGETHER = {
    "with what keeps a host alive": (
        (SHARED, service("LanmanServer", pid=1416), service("Themes", pid=1416)),
        (
            "process 1416, which also hosts Winmgmt, LanmanServer, Themes. Never end that process on a running host: Winmgmt,"
            " LanmanServer would go with it. Drain hv03 and reboot it instead."
        ),
    ),
    "with others": (
        (SHARED | {"ProcessId": "77"}, service("Themes", pid=77)),
        (
            "process 77, which also hosts Themes. Ending that process also ends those services; start them again afterwards. First make sure that they can be down."
        ),
    ),
    "nobody told": ((SHARED | {"ProcessId": None},), "look on the host (tasklist /svc) before anybody ends one."),
}


@pytest.mark.parametrize("what", TOGETHER)
async def test_a_hung_service_is_told_with_all_that_shares_its_process(restart, what):
    odd, says = TOGETHER[what]
    plan = await restart("Fax", *odd)
    assert plan.reason.endswith(says)
    assert "hung: end its process" not in plan.reason


def resource(kind, name="one", owner="hv01", private=None, key="r-1"):
    bag = None if private is None else {"__CLASS": "MSCluster_Property"} | private
    return {"Name": name, "Id": key, "Type": kind, "OwnerGroup": "a role", "OwnerNode": owner, "PrivateProperties": bag}


OWNED = {
    "generic": ("Acme", resource("Generic Service", private={"ServiceName": "acme"})),
    "another vendor's type": ("Acme", resource("Acme Failover", private={"servicename": "Acme"})),
    "default instance": ("MSSQLSERVER", resource("SQL Server", private={"InstanceName": "MSSQLSERVER"})),
    "named instance": ("MSSQL$CRM", resource("SQL Server", private={"InstanceName": "CRM"})),
    "agent": ("SQLSERVERAGENT", resource("SQL Server Agent", private={"InstanceName": "MSSQLSERVER"})),
    "agent of a named instance": ("SQLAgent$CRM", resource("SQL Server Agent", private={"InstanceName": "crm"})),
    "by its type": ("DHCPServer", resource("DHCP Service")),
    "by its name": ("MSMQ$Q1", resource("MSMQ", name="Q1")),
    "by its id": ("MSDTC$6f0c", resource("Distributed Transaction Coordinator", key="6F0C")),
}


@pytest.mark.parametrize("state", ["Running", "Stopped", "Stop Pending"])
@pytest.mark.parametrize("what", OWNED)
async def test_a_service_of_the_cluster_is_left_to_the_cluster(restart, make, what, state):
    name, owner = OWNED[what]
    plan = await restart(name, service(name, state=state), prod={"MSCluster_Resource": [*make.resource_rows(), owner]})
    assert plan.groups == ()
    assert (
        f"{name} is a resource of the cluster prod: “{owner['Name']}” of the role “a role”, on hv01 now." in plan.reason
    )
    assert "Stop-ClusterResource" in plan.reason


async def test_a_service_on_which_one_of_the_cluster_depends_is_left_too(restart, make):
    owner = resource("Generic Service", private={"ServiceName": "SENS"})
    plan = await restart("EventSystem", prod={"MSCluster_Resource": [*make.resource_rows(), owner]})
    assert (plan.groups, "SENS depends on it, and SENS is a resource of the cluster prod" in plan.reason) == ((), True)


async def test_the_hive_tells_what_private_properties_do_not(restart, make):
    rows = [*make.resource_rows(), resource("Generic Service")]
    hive = {"Parameters": [{"ServiceName": "Spooler", "InstanceName": None}]}
    script_of = {"prod": {"MSCluster_Resource": rows}, "hv03": hive}
    plan = await restart("Spooler", **script_of)
    assert (plan.groups, "Spooler is a resource of the cluster prod" in plan.reason) == ((), True)
    assert (await restart("Fax", **script_of)).groups
    asked = [one for one in restart.planned.ask.asked if getattr(one, "cls", "") == "MSCluster_Resource"]
    assert [one.columns for one in asked] == [
        ("Name", "Id", "Type", "OwnerGroup", "OwnerNode"),
        ("Id", "PrivateProperties"),
    ]
    assert [term.value for term in asked[1].where] == [("Generic Service",)]


@pytest.mark.parametrize("hive", [Unknown("hv03", "refused", "access is denied."), [{"ServiceName": None}]])
async def test_a_resource_that_tells_no_service_may_stand_for_any(restart, make, hive):
    rows = [*make.resource_rows(), resource("Generic Service")]
    plan = await restart("Spooler", prod={"MSCluster_Resource": rows}, hv03={"Parameters": hive})
    (gate,) = plan.blocking_gates
    assert (gate.outcome.value, [one.what for one in gate.unknowns]) == (
        "not known",
        ["which service one of the cluster prod represents"],
    )


async def test_a_resource_of_sql_server_that_tells_no_instance_stands_for_no_other_service(restart, make):
    rows = {"MSCluster_Resource": [*make.resource_rows(), resource("SQL Server")]}
    told = {"prod": rows, "hv03": {"Parameters": [{"InstanceName": None}]}}
    assert (await restart("Spooler", **told)).groups
    plan = await restart("MSSQL$CRM", service("MSSQL$CRM"), **told)
    assert [gate.outcome.value for gate in plan.blocking_gates] == ["not known"]


@pytest.mark.parametrize("kind", [None, ""])
@pytest.mark.parametrize("name", ["MSSQLSERVER", "SQLSERVERAGENT", "Spooler"])
async def test_an_instance_whose_resource_tells_no_type_may_be_its_agent(restart, make, name, kind):
    rows = [*make.resource_rows(), resource(kind, private={"InstanceName": "MSSQLSERVER"})]
    plan = await restart(name, service(name), prod={"MSCluster_Resource": rows})
    assert [gate.outcome.value for gate in plan.blocking_gates] == ["not known"]


async def test_a_cluster_that_does_not_answer_may_own_any_service(restart):
    plan = await restart("Spooler", prod={"MSCluster_Resource": Unknown("prod", "timed out", "no answer in 20 s.")})
    assert held(plan) == [("No cluster owns Spooler on hv03", "not known", "not known: no answer in 20 s")]


async def test_an_availability_group_is_failed_over_first(restart, make):
    here = resource("SQL Server Availability Group", name="AG1", owner="HV03")
    rows = {"MSCluster_Resource": [*make.resource_rows(), here]}
    plan = await restart("MSSQLSERVER", service("MSSQLSERVER"), prod=rows)
    assert (plan.groups, "MSSQLSERVER holds AG1 of the cluster prod, an availability group" in plan.reason) == (
        (),
        True,
    )
    plan = await restart("MSSQLSERVER", service("MSSQLSERVER"), service("MSSQL$B"), prod=rows)
    assert [gate.outcome.value for gate in plan.blocking_gates] == ["not known"]
    away = {"MSCluster_Resource": [*make.resource_rows(), here | {"OwnerNode": "hv01"}]}
    assert (await restart("MSSQLSERVER", service("MSSQLSERVER"), prod=away)).groups
    assert (await restart("Spooler", prod=rows)).groups


HELD = {
    "disabled": (
        (SPOOLER | {"StartMode": "Disabled"},),
        ("Spooler is not disabled on hv03", "blocked", "Disabled"),
    ),
    "accepts no stop": (
        (SPOOLER | {"AcceptStop": "FALSE"},),
        ("Spooler on hv03 can be stopped", "blocked", "it does not accept a stop right now"),
    ),
    "no process": (
        (SPOOLER | {"ProcessId": None},),
        ("The process ID of Spooler on hv03 is known", "not known", "not known"),
    ),
    "process 0": (
        (SPOOLER | {"ProcessId": "0"},),
        ("The process ID of Spooler on hv03 is known", "not known", "not known"),
    ),
}


@pytest.mark.parametrize("case", HELD)
async def test_gates_that_hold_it(restart, case):
    odd, gate = HELD[case]
    plan = await restart("Spooler", *odd)
    assert (plan.groups, held(plan)) == ((), [gate])


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ({"StartMode": None}, "start mode of Spooler on hv03"),
        ({"AcceptStop": None}, "whether Spooler on hv03 accepts a stop"),
    ],
)
async def test_what_its_row_does_not_tell_is_asked_of_the_approver(restart, cells, what):
    plan = await restart("Spooler", SPOOLER | cells)
    assert len(plan.groups) == 1
    assert [one.what for one in plan.open_questions] == [what]


ALL = "Every service that depends on Spooler can be stopped and started again"
DEPENDENT_HELD = {
    "disabled": (
        service("Fax", start="Disabled"),
        ("blocked", "Fax: it is disabled, so it could not be started again"),
    ),
    "accepts no stop": (service("Fax", accepts="FALSE"), ("blocked", "Fax: it does not accept a stop right now")),
    "hangs": (service("Fax", state="Stop Pending"), ("blocked", "Fax: it is “Stop Pending”")),
}


async def test_a_dependent_that_does_not_tell_is_asked_of_the_approver(restart):
    plan = await restart("Spooler", service("Fax", accepts=None), pairs=[*PAIRS, ("Spooler", "Fax")])
    assert [(one.is_open, one.measured) for one in plan.blocking_gates] == [
        (True, "Fax: not known whether it can be stopped and started")
    ]
    assert [one.what for one in plan.open_questions] == ["whether Fax can be stopped and started"]


@pytest.mark.parametrize("case", DEPENDENT_HELD)
async def test_a_dependent_that_could_not_be_brought_back_holds_it(restart, case):
    odd, gate = DEPENDENT_HELD[case]
    plan = await restart("Spooler", odd, pairs=[*PAIRS, ("Spooler", "Fax")])
    assert (plan.groups, held(plan)) == ((), [(ALL, *gate)])


@pytest.mark.parametrize("name", ["WinRM", "ClusSvc", "RpcSs"])
async def test_a_dependent_that_is_never_stopped_holds_it(restart, name):
    plan = await restart("Spooler", pairs=[("Spooler", "Fax"), ("Fax", name)])
    assert plan.groups == ()
    (gate,) = held(plan)
    assert gate[:2] == (ALL, "blocked")
    assert gate[2].startswith(f"{name}: ")


async def test_what_depends_on_it_is_not_known(restart):
    says = "The services that depend on Spooler are known"
    plan = await restart("Spooler", pairs=[("Spooler", "AcmeFilter")])
    missing = "not known: AcmeFilter depends on Spooler, but hv03 does not list it as a service"
    assert (plan.groups, held(plan)) == ((), [(says, "not known", missing)])
    plan = await restart("Spooler", pairs=())
    none = "not known: hv03 returned no service dependencies. Every Windows has some, so the answer is incomplete"
    assert (plan.groups, held(plan)) == ((), [(says, "not known", none)])


async def test_a_circle_is_no_plan(restart):
    plan = await restart("Spooler", pairs=[("Spooler", "Fax"), ("Fax", "W32Time"), ("W32Time", "Fax")])
    assert (plan.reason, plan.groups) == (
        "No plan for Spooler on hv03: its dependent services depend on each other, so there is no order to stop them in.",
        (),
    )
    plan = await restart("Spooler", pairs=[("Spooler", "Spooler")])
    assert plan.groups == ()


async def test_a_long_chain_is_followed_to_its_end(restart):
    names = [f"S{number}" for number in range(2000)]
    chain = [("Spooler", names[0]), *itertools.pairwise(names)]
    plan = await restart("Spooler", *(service(name) for name in names), pairs=chain)
    assert [step.key for step in plan.steps[:2000]] == [f"stop-s{number}" for number in reversed(range(2000))]


async def test_a_shared_process_stays_and_proves_nothing(restart):
    plan = await restart("Spooler", service("Fax", pid=4120))
    assert plan.gates[3] == passed("The process ID of Spooler on hv03 is known", "process 4120, shared with Fax")
    assert plan.groups == (Group("restart", (stop("Spooler"), start("Spooler")), on_failure="undo"),)
    assert (
        plan.impact
        == f"Print Spooler (Spooler) on hv03 stops and starts again. {SECONDS} The process of Spooler keeps running, because it"
        " also hosts Fax. A new process ID cannot confirm this restart."
    )
    assert plan.expected_state == "Running"


async def test_a_process_shared_only_with_what_stops_too_ends(restart):
    plan = await restart("Spooler", service("Fax", pid=4120), pairs=[("Spooler", "Fax")])
    assert [step.key for step in plan.steps] == [
        "stop-fax",
        "stop-spooler",
        "start-spooler",
        "proof-spooler",
        "start-fax",
    ]


async def test_a_service_in_which_a_writer_can_live_says_so(restart):
    plan = await restart("CryptSvc")
    assert plan.impact == (
        f"Cryptographic Services (CryptSvc) on hv03 stops and starts again. {SECONDS} These services can host VSS writers"
        " (System Writer): a backup in progress can fail."
    )
    assert plan.remedies == (Remedy("Check Writers", "/check-writers hv03"),)


NEVER = {
    "ClusSvc": (
        (
            "No plan for Cluster Service (ClusSvc) on hv03: hvops never restarts it. Stopping it takes the node out of its"
            " cluster. Drain hv03 first, then restart the Cluster service on the host."
        ),
        ["/drain-node hv03"],
    ),
    "WinRM": (
        (
            "No plan for Windows Remote Management (WS-Management) (WinRM) on hv03: hvops never restarts it. hvops itself"
            " works through WinRM. Restart it on the host."
        ),
        [],
    ),
    "RpcSs": (
        (
            "No plan for Remote Procedure Call (RPC) (RpcSs) on hv03: hvops never restarts it. Windows depends on it."
            " Reboot the host instead."
        ),
        [],
    ),
}


@pytest.mark.parametrize("name", NEVER)
async def test_what_is_never_restarted_this_way(restart, name):
    plan = await restart(name)
    assert (plan.reason, [one.line for one in plan.remedies], plan.groups) == (*NEVER[name], ())


async def test_every_service_that_the_rules_never_restart_is_refused(restart):
    never = {rule.service for rule in writer_services() if rule.restart == "never"} | {"DcomLaunch", "LSM", "BFE"}
    for name in (*never, *CARRIES_US):
        listed = any(row["Name"].casefold() == name.casefold() for row in SERVICES)
        plan = await restart(name, *(() if listed else (service(name),)))
        assert plan.groups == ()
        assert "hvops never restarts it." in plan.reason
        assert restart.planned.ask.rounds == 1  # no guest is asked for a service that is refused anyway


DRAINED = "hv03 is drained, with no guests on it or moving to it"


EMPTY = {"Msvm_ComputerSystem": [{"Name": "HV03", "ElementName": "HV03", "EnabledState": "2"}]}


def emptied(make):
    return {
        "MSCluster_Node": [make.node_row("hv01"), make.node_row("hv02"), make.node_row("hv03", state=2, drain=2)],
        "MSCluster_ResourceGroup": make.role_rows(owner="hv01"),
        "MSCluster_Resource": make.resource_rows(owner="hv01"),
    }


async def test_vmms_waits_until_its_node_is_empty(restart):
    plan = await restart("vmms")
    assert (plan.groups, held(plan)) == ((), [(DRAINED, "blocked", "hv03 is not drained: 3 guests on it")])
    assert [one.line for one in plan.remedies] == ["/drain-node hv03"]


async def test_vmms_of_a_drained_node(restart, make):
    plan = await restart("vmms", prod=emptied(make), hv03=EMPTY)
    guard = (*is_drained("prod", "hv03"), *gate_no_locks("prod", "hv03"))
    assert plan.groups == (Group("restart", (stop("vmms", guard), start("vmms"), proof("vmms")), on_failure="undo"),)
    assert [gate.description for gate in plan.gates[6:]] == [
        DRAINED,
        "No guest on hv03 is locked",
        "No backup is running on hv03 or on a shared volume",
        "No backup job of hv03, its cluster or its guests is pending",
        "Cluster-Aware Updating is not running on prod",
    ]
    assert "Hyper-V on hv03 cannot be managed until the service is running again." in plan.impact


async def test_vmms_is_held_by_a_job_an_update_run_and_silence(restart, make):
    plan = await restart("vmms", prod=emptied(make), hv03=EMPTY, commvault={"commvault active jobs": [make.job()]})
    assert held(plan) == [
        (
            "No backup job of hv03, its cluster or its guests is pending",
            "blocked",
            "job 48211 has been Pending since 22:14 UTC [91:9]",
        )
    ]
    silent = Unknown("prod", "timed out", "no answer in 20 s.")
    plan = await restart("vmms", prod=emptied(make) | {"MSCluster_ResourceGroup": silent}, hv03=EMPTY)
    assert (DRAINED, "not known", "not known: prod: no answer in 20 s") in held(plan)


async def test_vmms_waits_for_guests_that_are_in_no_role_and_for_a_host_that_does_not_tell(restart, make):
    """What the cluster has drained is what the cluster knows; the host itself says what is left."""
    there = {"Msvm_ComputerSystem": [*EMPTY["Msvm_ComputerSystem"], *make.guest_rows("hv03")[1:2]]}
    plan = await restart("vmms", prod=emptied(make), hv03=there)
    assert (plan.groups, held(plan)) == ((), [(DRAINED, "blocked", "hv03 is drained, with 1 guest on it")])
    silent = {"Msvm_ComputerSystem": Unknown("hv03", "timed out", "no answer in 20 s.")}
    plan = await restart("vmms", prod=emptied(make), hv03=silent)
    assert (DRAINED, "not known", "not known: hv03: no answer in 20 s") in held(plan)


@pytest.mark.parametrize("name", ["MSiSCSI", "Netlogon", "PolicyAgent", "IKEEXT", "EventLog", "hns", "VMMService"])
async def test_what_takes_storage_logins_network_or_vmms_jobs_away_is_refused(restart, name):
    plan = await restart(name, service(name))
    assert plan.groups == ()
    assert "hvops never restarts it." in plan.reason


async def test_names_that_differ_in_more_than_case_are_two_services(restart):
    odd = [service(name) for name in ("Base", "Mass", "Maß")]
    plan = await restart("Base", *odd, pairs=[("Base", "Maß")])
    assert "Mass" not in str(plan.groups)
    assert [step.act.path for step in plan.steps[:2]] == [(("Name", "Maß"),), (("Name", "Base"),)]


async def test_a_writer_that_is_stuck_is_reset_instead(planned, make):
    answers = script(make)
    answers["hv03", "vssadmin list writers"] = make.writer_rows(
        make.writer_row("Microsoft Hyper-V VSS Writer", 5, "Unexpected error")
    )
    plan = await planned(COMMAND, answers, service=named("vmms"))
    assert plan.groups == ()
    assert plan.reason == (
        "No plan for Hyper-V Virtual Machine Management (vmms) on hv03: Microsoft Hyper-V VSS Writer is [5] Waiting for"
        " completion · Unexpected error. Use /reset-writer hv03 instead: it drains the node, restarts vmms and checks that the"
        " writer is healthy."
    )
    assert [one.line for one in plan.remedies] == ["/reset-writer hv03"]


async def test_a_service_on_which_vmms_depends_waits_for_an_empty_node_too(restart):
    plan = await restart("Fax", pairs=[("Fax", "vmms")])
    assert (plan.groups, held(plan)) == ((), [(DRAINED, "blocked", "hv03 is not drained: 3 guests on it")])


async def test_a_host_that_stands_alone(planned, make, alone):
    answers = script(make, host="backup01")
    plan = await planned(COMMAND, answers, alone, service=named("Spooler"))
    assert plan.locks == ("host:backup01",)
    assert plan.groups == (
        Group(
            "restart",
            (stop("Spooler", on="backup01"), start("Spooler", on="backup01"), proof("Spooler", on="backup01")),
            on_failure="undo",
        ),
    )
    plan = await planned(COMMAND, answers, alone, service=named("vmms"))
    assert plan.groups == ()
    assert "hvops cannot move guests off backup01, because it is not in a cluster." in plan.reason


@pytest.mark.parametrize("kind", ["timed out", "refused", "login refused"])
async def test_silence_and_refusals_are_no_plan(planned, make, kind):
    unknown = Unknown("hv03", kind, "access is denied." if kind == "refused" else "no answer in 20 s.")
    plan = await planned(
        COMMAND, script(make, hv03={"Win32_Service": unknown, "Win32_DependentService": []}), service=named("Spooler")
    )
    assert (plan.reason, plan.groups) == (f"No plan for hv03: its services are not known. {unknown.why}", ())
    answers = script(make)
    answers["hv03", "Win32_DependentService"] = unknown
    plan = await planned(COMMAND, answers, service=named("Spooler"))
    gate = ("The services that depend on Spooler are known", "not known", f"not known: {unknown.why.rstrip('.')}")
    assert (plan.groups, held(plan)) == ((), [gate])


HOSTILE = [
    "'; Restart-Computer",
    "Spooler' OR Name LIKE '%",
    "Spooler & shutdown /r",
    "<!channel>",
    "x" * 500,
    "%",
    '"',
]


@pytest.mark.parametrize("typed", HOSTILE)
async def test_a_hostile_name_reaches_no_query(restart, typed):
    plan = await restart(typed)
    assert plan.groups == ()
    assert plan.reason.startswith(f"No plan for hv03: there is no service called “{typed[:80]}” on it.")
    compared = [term.value for asked in restart.planned.ask.asked for term in getattr(asked, "where", ())]
    assert compared == ["Virtual Machine", "Virtual Machine Configuration"]


async def test_a_service_that_calls_itself_something_hostile_is_only_a_name(restart):
    name = "Acme'; DROP"
    plan = await restart(name, service(name, "<!channel> *now*"))
    assert plan.steps[0].act == method("hv03", name, "StopService", 6)
    assert [step.key for step in plan.steps] == ["stop-acme---drop", "start-acme---drop", "proof-acme---drop"]
    long = await restart("x" * 256, service("x" * 256))
    assert len(long.steps) == 3


async def test_names_that_give_the_same_steps_are_no_plan(restart):
    plan = await restart("A$B", service("A$B", pid=1), service("A-B", pid=2), pairs=[("A$B", "A-B")])
    assert (plan.reason, plan.groups) == (
        "No plan for A$B on hv03: some of these service names are too similar: A-B, A$B. Restart the service on the host.",
        (),
    )


@pytest.mark.parametrize("name", ["EventSystem", "VSS", "swprv"])
async def test_a_service_that_writers_live_in_is_not_stopped_under_a_backup(restart, name):
    """A shadow copy that lasts only as long as its program: some agent saves the host at this moment."""
    copy = {
        "ID": "{4B26569A-3C94-4DB3-A161-445AFDB0A719}",
        "InstallDate": "2026-11-22T22:16:00Z",
        **dict.fromkeys(("Persistent", "NoAutoRelease", "ClientAccessible"), "false"),
    }
    plan = await restart(name, service("VSS"), service("swprv"), hv03={"Win32_ShadowCopy": [copy]})
    assert plan.groups == ()
    assert [gate.description for gate in plan.gates if gate.outcome is GateOutcome.BLOCKED] == [
        "No backup is running on hv03"
    ]


async def test_of_thousands_of_services_each_is_looked_up_and_not_compared_with_all(scripted, make):
    """A host that listed four thousand that depend on one held the loop for a minute."""
    many = [service(f"svc{number:04}") for number in range(300)]
    told = script(make, *many, pairs=[*PAIRS, *(("Spooler", one["Name"]) for one in many[:99])])
    args = COMMAND.args(Target("hv03", "host", "prod", backup=()), service=named("Spooler"))
    facts = await COMMAND.collect(args, scripted(told))
    few, CountedList.times = replace(facts, services=CountedList(facts.services)), 0
    made = COMMAND.plan(args, few)
    assert len(made.steps) == 201
    assert CountedList.times < 20


async def test_a_typed_name_is_not_compared_with_tens_of_thousands(restart, monkeypatch):
    monkeypatch.setattr(restart_service.difflib, "get_close_matches", lambda *_, **__: pytest.fail("it took long"))
    many = [service(f"svc{number:05}") for number in range(3_000)]
    made = await restart("svcx", *many)
    assert made.reason.startswith("No plan for hv03: there is no service called “svcx” on it.")


@pytest.mark.parametrize("listed", [(), (service("one", "Spooler"), service("two", "Spooler"))])
async def test_a_service_that_is_not_listed_once_is_not_taken_for_one_that_can_be_started(scripted, make, listed):
    args = COMMAND.args(Target("hv03", "host", "prod"), named("Spooler"))
    facts = await COMMAND.collect(args, scripted(script(make)))
    rows = await COMMAND.collect(args, scripted(script(make, hv03={"Win32_Service": list(listed)})))
    assert [gate.blocks_plan for gate in COMMAND.undo_gates(args, facts, None)] == [False]
    assert [gate.outcome for gate in COMMAND.undo_gates(args, rows, None)] == [GateOutcome.NOT_KNOWN]
