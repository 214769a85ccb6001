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


class Name(str):
    """A name that counts how often it is read."""

    __slots__ = ()
    times = 0

    def strip(self, *of):
        Name.times += 1
        return super().strip(*of)


def test_of_thousands_of_jobs_each_is_looked_up_and_not_compared_with_all_names():
    many = 2_000
    names = {Name(f"guest-{at}") for at in range(many)}
    jobs = [job(Name(f"GUEST-{at}.corp.example")) for at in range(many)]
    Name.times = 0
    assert jobs_of(names, jobs) == tuple(jobs)
    assert Name.times <= 2 * many
