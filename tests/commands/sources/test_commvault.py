"""Which backup jobs are of a machine, however the product writes its name."""

import pytest

from commands.sources.commvault import BackupJob, jobs_of


def job(client, status="Pending"):
    return BackupJob(7, status, "Backup", client, "", "", None, None)


@pytest.mark.parametrize(
    ("client", "name", "found"),
    [
        ("HV03.corp.example", "hv03", True),
        ("hypervisor-bern-02.corp.example", "HYPERVISOR-BERN", True),
        ("HYPERVISOR-BERN", "hypervisor-bern-02", True),
        ("hv04", "hv03", False),
        ("", "hv03", False),
    ],
)
def test_jobs_of_a_machine(client, name, found):
    assert bool(jobs_of({name}, [job(client)])) is found
    assert jobs_of({name}, [job(client, "Completed")]) == ()
