"""No action goes by a name, an index or a path that may be another thing's by then: every plan of this folder is looked at."""

from pathlib import Path

import pytest

from bot.api.actions import InstanceReference, InvokeMethod, RowTransaction, RunProgram, Update
from bot.api.plan import Group, Plan, Step, exists
from bot.api.queries import Predicate, RunReader, Wql, make_params
from commands import remediations
from commands.sources.identity import is_machine

HERE = Path(__file__).parent
VM, ROW = "11743591-F14D-5833-B66A-C1ECB5E81B39", "6CF71D31-4C83-5BD2-914A-57B235A6E6D6"
NAMED = make_params(Name="crm")
MACHINE = make_params(CreationClassName="Msvm_ComputerSystem", Name=VM)


def cluster(cls):
    return InvokeMethod("hv01", "root/MSCluster", NAMED, cls, "Act")


def hyper_v(cls, path, *references):
    return InvokeMethod("hv01", "root/virtualization/v2", path, cls, "Act", references=references)


def guarded(cls, *terms, name="crm"):
    return exists(Wql("prod", "root/MSCluster", cls, ("Name",), (Predicate("Name", "=", name),)), *terms)


def read(what, *terms, **params):
    return exists(RunReader("hv01", what, make_params(**params)), *terms)


OWNED = Predicate("OwnerGroup", "=", "crm")
WHOSE = is_machine("PrivateProperties.VmId", VM)
CHECK = RunProgram("hv01", "loadmaster set check", make_params(vs=3, host="shop.lab"))
TOLD = tuple(Predicate(name, "=", "x") for name in ("name", "address", "port", "protocol"))
ADD = RunProgram("hv01", "dism add package", make_params(path="C:\\a.cab"))
RESUME = RunProgram("hv01", "commvault resume job", make_params(job=7))
CHANGE = RowTransaction("hv01", "vmm", (Update("t", make_params(ObjectId=ROW), (), ()),))


def plan(act, *guard, undo=False):
    looks = exists(Wql("hv01", "root/cimv2", "Win32_Service", ("Name",)))
    step = Step("act", "Act", None, (looks,), before=looks.question)
    changed = {"undo": act, "undo_guard": guard} if undo else {"act": act, "guard": guard}
    whole = Step(**{name: getattr(step, name) for name in step.__slots__} | changed)
    return Plan("", "", "", ("cluster:prod",), (), (Group("all", (whole,)),))


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize(
    ("act", "enough", "too_little"),
    [
        (cluster("MSCluster_Resource"), (guarded("MSCluster_Resource", WHOSE),), guarded("MSCluster_Resource", WHOSE, name="sql")),
        (cluster("MSCluster_Resource"), (guarded("MSCluster_Resource", WHOSE),), guarded("MSCluster_Resource", OWNED)),
        (cluster("MSCluster_ResourceGroup"), (guarded("MSCluster_Resource", WHOSE, OWNED),), guarded("MSCluster_Resource", WHOSE)),
        (cluster("MSCluster_ResourceGroup"), (guarded("MSCluster_Resource", WHOSE, OWNED),), guarded("MSCluster_ResourceGroup", WHOSE)),
        (CHECK, (read("loadmaster virtual service", Predicate("index", "=", 3), *TOLD, vs=3),), read("loadmaster virtual service", *TOLD, vs=3)),
        (CHECK, (read("loadmaster virtual service", Predicate("index", "=", 3), *TOLD, vs=3),), read("loadmaster virtual service", Predicate("index", "=", 3), vs=3)),
        (ADD, (read("dism package file", Predicate("identity", "=", "a"), path="C:\\a.cab"),), read("dism package file", path="C:\\a.cab")),
        (ADD, (read("dism package file", Predicate("identity", "=", "a"), path="C:\\a.cab"),), read("dism package file", Predicate("identity", "=", "a"), path="C:\\b.cab")),
        (RESUME, (read("commvault job", Predicate("job", "=", 7), job=7),), read("commvault job", job=7)),
        (CHANGE, (read("vmm virtual machine", is_machine("VMId", VM), object=ROW),), read("vmm virtual machine", object=ROW)),
    ],
)  # fmt: skip
def test_what_goes_by_another_key_has_its_identity_compared_just_before(act, enough, too_little, undo):
    assert plan(act, *enough, undo=undo)
    with pytest.raises(AssertionError, match="act"):
        plan(act, too_little, undo=undo)
    with pytest.raises(AssertionError, match="act"):
        plan(act, undo=undo)


def test_what_goes_by_an_id_needs_no_more():
    assert plan(hyper_v("Msvm_ComputerSystem", MACHINE))
    assert plan(hyper_v("Msvm_ReplicationService", (), InstanceReference("System", "Msvm_ComputerSystem", MACHINE)))
    with pytest.raises(AssertionError, match="by no id"):
        plan(hyper_v("Msvm_ComputerSystem", NAMED))


@pytest.mark.parametrize("act", [cluster("MSCluster_Disk"), RunProgram("hv01", "format", make_params(drive="D:"))])
def test_a_kind_of_action_that_nobody_has_judged_is_refused(act):
    with pytest.raises(AssertionError, match="it is not said how"):
        plan(act)


def test_the_plans_of_every_remediation_are_made_in_this_folder():
    commands = {path.stem for path in Path(remediations.__path__[0]).glob("*.py")} - {"__init__"}
    assert commands <= {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
