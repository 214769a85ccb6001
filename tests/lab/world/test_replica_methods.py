"""Failover and reversal as Microsoft's pages and its sample have them: what each state allows, and what it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lab.windows.machine_protocol import Reference, WmiFailure
from lab.world import replica_methods as replica
from lab.world.replication import replicate

SPACE = "root/virtualization/v2"
BAD_STATE, BAD_PARAMETER, NOT_AVAILABLE, DENIED, NOT_SUPPORTED = 32775, 32773, 32777, 32769, 32770


@pytest.fixture
def pair(world):
    guest = world.guest("app-01")
    return guest, replicate(guest, world.node("br01"), last=world.now - timedelta(minutes=2))


@pytest.fixture
def call(world):
    def invoke(guest, method, by="operator", **params):
        """Call a method on the host of an end, and let what it began come to its end."""
        machine = world.machine(guest.node.name).acting_for(world.accounts[by].user)
        cls, keys = "Msvm_ComputerSystem", {"CreationClassName": "Msvm_ComputerSystem", "Name": guest.vm_id.upper()}
        if method == "InitiateShutdown":
            cls, keys = "Msvm_ShutdownComponent", {"SystemName": guest.vm_id.upper()}
        elif method not in ("RequestStateChange", "RequestReplicationStateChange"):
            params["ComputerSystem"] = Reference(SPACE, cls, keys)
            cls, keys = "Msvm_ReplicationService", {"CreationClassName": "Msvm_ReplicationService"}
        answer = machine.invoke(SPACE, cls, keys, method, params)
        world.skip(30)
        return answer["ReturnValue"]

    return invoke


def settings(point):
    inside = f'<PROPERTY NAME="RecoveryConnectionPoint" TYPE="string"><VALUE>{point}</VALUE></PROPERTY>'
    return f'<INSTANCE CLASSNAME="Msvm_ReplicationSettingData">{inside}</INSTANCE>'


def test_a_planned_failover_and_its_reversal(pair, call):
    guest, copy = pair
    assert call(guest, "InitiateShutdown", Force="false", Reason="x") == 0
    assert guest.state == "off"
    assert call(guest, "RequestReplicationStateChange", RequestedState="4") == 4096
    assert guest.replication.state == replica.PREPARED
    assert call(copy, "InitiateFailover", SnapshotSettingData=None) == 4096
    assert (copy.replication.state, copy.replication.failed_over) == (replica.RECOVERED, replica.PLANNED)
    assert call(copy, "RequestStateChange", RequestedState="2") == 4096
    assert copy.state == "running"
    assert call(copy, "ReverseReplicationRelationship", ReplicationSettingData=settings(guest.node.fqdn)) == 4096
    assert (copy.replication.mode, guest.replication.mode) == (1, 2)
    assert (copy.replication.state, copy.replication.health) == (3, 1)
    assert copy.replication.primary == copy.node.fqdn


def test_what_a_state_does_not_allow_is_refused(pair, call):
    guest, copy = pair
    assert call(guest, "RequestReplicationStateChange", RequestedState="4") == BAD_STATE  # it runs
    assert call(copy, "RequestStateChange", RequestedState="2") == BAD_STATE  # a replica that is not failed over
    assert call(copy, "RevertFailover") == BAD_STATE
    assert call(copy, "CommitFailover") == BAD_STATE
    assert call(copy, "ReverseReplicationRelationship", ReplicationSettingData=settings("x")) == BAD_STATE
    assert call(copy, "RequestReplicationStateChange", RequestedState="3") == BAD_STATE  # that is asked of the primary
    assert call(guest, "RequestReplicationStateChange", RequestedState="12") == BAD_PARAMETER
    assert call(guest, "InitiateFailover") == NOT_AVAILABLE  # a primary is no replica
    assert call(guest, "RequestStateChange", RequestedState="9") == NOT_SUPPORTED
    assert call(guest, "InitiateShutdown", by="reader", Force="false", Reason="x") == DENIED
    assert call(guest, "TestReplicaSystem") == NOT_SUPPORTED
    assert (guest.state, copy.state) == ("running", "off")


def test_a_failover_is_reverted_until_it_is_committed(pair, call):
    guest, copy = pair
    assert call(copy, "InitiateFailover") == 4096
    # Not planned: the primary had prepared nothing.
    assert (copy.replication.state, copy.replication.failed_over) == (
        5,
        1,
    )
    assert call(copy, "RevertFailover") == 4096
    assert copy.replication.state == 3
    call(copy, "InitiateFailover")
    assert call(copy, "CommitFailover") == 0
    assert call(copy, "RevertFailover") == BAD_STATE
    assert guest.replication.state == 3


def test_a_reversal_towards_a_machine_that_was_never_prepared_has_to_compare_it_first(pair, call):
    guest, copy = pair
    call(copy, "InitiateFailover")
    for wrong in (settings("nowhere"), "no XML", "<INSTANCE CLASSNAME='X'/>", ""):
        assert call(copy, "ReverseReplicationRelationship", ReplicationSettingData=wrong) == BAD_PARAMETER
    assert call(copy, "ReverseReplicationRelationship", ReplicationSettingData=settings(guest.node.fqdn)) == 4096
    assert (copy.replication.state, copy.replication.health) == (9, 2)


def test_a_guest_that_ignores_it_goes_on(pair, call):
    guest, _ = pair
    guest.ignores_shutdown = True
    assert call(guest, "InitiateShutdown", Force="false", Reason="x") == 0
    assert guest.state == "running"


def test_a_job_is_there_to_be_asked(world, pair, call):
    guest, _ = pair
    call(guest, "RequestStateChange", RequestedState="3")
    (job,) = world.machine(guest.node.name).instances(SPACE, "Msvm_ConcreteJob")
    assert (job["JobState"], job["PercentComplete"]) == (7, 100)


def test_a_parameter_that_the_method_does_not_have_is_refused(pair, call):
    with pytest.raises(WmiFailure):
        call(pair[0], "RequestStateChange", requestedstate="2")
