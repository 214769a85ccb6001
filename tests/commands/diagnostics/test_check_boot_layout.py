"""How hosts start: what is said for which answers, and what is never concluded."""

import pytest

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.report import Severity
from commands.diagnostics.check_boot_layout import Args, collect, evaluate

PROD = Args(Target("prod", "cluster", "prod"))
HOST = Args(Target("hv01", "host", "prod"))
ESP, MSR = "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}", "{e3c9e316-0b5c-4db8-817d-f92df00215ae}"
BASIC = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}"
MB = 2**20
FINDSTR = "findstr boot environment"


def disk(number="0", style="2", *, boot="true", system="true", **more):
    return {
        "Number": number,
        "PartitionStyle": style,
        "Size": "299439751168",
        "SerialNumber": "00d5a1",
        "BusType": "8",
        "IsBoot": boot,
        "IsSystem": system,
    } | more


def part(number, kind, disk="0", size=100 * MB, **more):
    return {"DiskNumber": disk, "PartitionNumber": str(number), "GptType": kind, "Size": str(size)} | more


UEFI = [part(1, ESP), part(2, MSR, size=16 * MB), part(3, BASIC)]


def host(
    name="hv01", *, firmware="2", disks=None, parts=None, build="9600", version="2.7.4", model="PowerEdge R810", **more
):
    answers = {
        "Win32_OperatingSystem": [{"WindowsDirectory": "C:\\Windows", "BuildNumber": build}],
        "Control": [{"PEFirmwareType": firmware}],
        "Win32_BIOS": [{"SMBIOSBIOSVersion": version}],
        "Win32_ComputerSystem": [{"Manufacturer": "Dell Inc.", "Model": model}],
        "MSFT_Disk": [disk()] if disks is None else disks,
        "MSFT_Partition": UEFI if parts is None else parts,
        "Win32_DiskPartition": [],
    }
    return {(name, what): rows for what, rows in (answers | more).items()}


@pytest.fixture
def asked(scripted):
    async def ask(*hosts, args=HOST):
        script = {key: rows for one in hosts for key, rows in one.items()}
        names = sorted({on for on, _ in script})
        nodes = [{"Name": name, "State": "0", "BuildNumber": "9600"} for name in names]
        client = scripted(script | {("prod", "MSCluster_Node"): nodes})
        return evaluate(args, await collect(args, client))

    return ask


async def test_uefi_with_all_that_belongs_to_it(asked):
    report = await asked(host())
    assert report.title == "hv01: UEFI and GPT with EFI and reserved partition"
    assert (report.findings, report.unanswered, report.notes) == ((), (), ())
    assert report.fine[0].targets == ("hv01",)
    assert report.table.rows == (("hv01", "UEFI, GPT", "278 GB", "100", "16", "2.7.4", "PowerEdge R810"),)
    assert [one.line for one in report.remedies] == ["/check-boot-layout prod"]


@pytest.mark.parametrize(
    "kind",
    [
        str.upper,
        str.lower,
        lambda word: word.strip("{}"),
        lambda word: word.strip("{}").upper(),
        lambda word: f" {word} ",
    ],
)
async def test_type_guids_in_every_form(asked, kind):
    report = await asked(host(parts=[{**one, "GptType": kind(one["GptType"])} for one in UEFI]))
    assert report.fine
    assert not report.has_findings


async def test_the_order_is_only_noted_and_goes_by_offset(asked):
    parts = [part(1, ESP, Offset="16777216"), part(2, MSR, Offset="17408"), part(3, BASIC, Offset="121634816")]
    report = await asked(host(parts=parts))
    assert not report.has_findings
    assert "does not matter" in report.notes[0]
    blind = [*parts[:2], part(3, BASIC)]  # one that does not tell: numbers count, of the whole disk
    assert not (await asked(host(parts=blind))).notes


async def test_bios_from_mbr_alone_is_a_note(asked):
    report = await asked(host(firmware="1", disks=[disk(style="1")], parts=[part(1, None)]))
    assert report.title == "hv01: BIOS mode, MBR"
    assert [(one.severity, one.status) for one in report.findings] == [(Severity.NOTE, "BIOS MODE")]
    assert not report.has_findings


async def test_nodes_that_start_in_different_ways(asked):
    bios = host("hv03", firmware="1", disks=[disk(style="1")], parts=[part(1, None)])
    report = await asked(host("hv01"), host("hv02"), bios, args=PROD)
    assert report.title == "prod: BIOS mode, MBR on hv03, 2 others UEFI"
    (finding,) = report.findings
    assert (finding.severity, finding.status) == (Severity.WARNING, "DIFFERS")
    assert "hv03 by BIOS from an MBR disk; hv01, hv02 by UEFI from a GPT disk" in finding.summary


async def test_firmware_versions_compare_within_one_model(asked):
    report = await asked(host("hv01", version="2.9.0"), host("hv02"), host("hv03", version="2.9.0"), args=PROD)
    (finding,) = report.findings
    assert (finding.severity, finding.target) == (Severity.NOTE, "hv02")
    assert "2.7.4 on hv02; 2.9.0 on hv01, hv03" in finding.summary
    other = await asked(host("hv01", version="1.0", model="PowerEdge R740"), host("hv02"), args=PROD)
    assert not other.findings
    silent = await asked(host("hv01", version=None), host("hv02"), args=PROD)
    assert not silent.findings


async def test_an_efi_partition_on_another_disk(asked):
    disks = [disk(system="false"), disk("1", boot="false")]
    report = await asked(host(disks=disks, parts=[part(1, MSR), part(2, BASIC), part(1, ESP, disk="1")]))
    (finding,) = report.findings
    assert (finding.status, finding.severity) == ("EFI ELSEWHERE", Severity.WARNING)
    assert "the EFI partition is on disk 1" in finding.summary


async def test_no_efi_partition_at_all(asked):
    report = await asked(host(parts=[part(1, MSR), part(2, BASIC)]))
    assert [(one.status, one.severity) for one in report.findings] == [("NO EFI PARTITION", Severity.FAULT)]
    assert dict(report.findings[0].lines)["Caution"].startswith("Don't restart hv01")


@pytest.mark.parametrize(("firmware", "style"), [("2", "1"), ("1", "2")])
async def test_firmware_and_partition_table_that_do_not_match(asked, firmware, style):
    report = await asked(host(firmware=firmware, disks=[disk(style=style)]))
    assert [one.status for one in report.findings] == ["DOES NOT MATCH"]


GONE = Unknown("hv01", "absent", "it has no such object, class or namespace.")


async def test_2008_r2_keeps_no_value_and_setups_log_is_a_guess(asked):
    old = host(
        firmware=None,
        build="7601",
        MSFT_Disk=GONE,
        MSFT_Partition=GONE,
        **{FINDSTR: [{"at": "2011-09-01 10:12:01", "environment": "EFI"}]},
    )
    report = await asked(old)
    (unknown,) = report.unanswered
    assert "EFI at installation" in unknown.why
    assert "Partitions: cannot tell" in unknown.why
    said = f"{report.title} {unknown.why} {unknown.remedy}"
    assert "BIOS" not in said
    assert "MBR" not in said
    assert (report.answered, report.findings, report.fine) == (0, (), ())


@pytest.mark.parametrize(
    "told",
    [
        [{"at": "2011-09-01 10:12:01", "environment": "PCAT"}],
        [{"at": "2011-09-01 10:12:01", "environment": "EFI"}, {"at": "2012-09-01 10:12:01", "environment": "BIOS"}],
        [],
        Unknown("hv01", "absent", "setup's own log is gone, or does not name the firmware."),
    ],
)
async def test_setups_log_that_does_not_tell(asked, told):
    report = await asked(host(firmware=None, build="7601", MSFT_Disk=GONE, MSFT_Partition=GONE, **{FINDSTR: told}))
    assert "what setup noted is not known" in report.unanswered[0].why
    assert not report.findings


async def test_a_dynamic_disk_is_unknown_whatever_else_is_listed(asked):
    words = [{"DiskIndex": "0", "Type": "GPT: System"}, {"DiskIndex": "0", "Type": "GPT: Logical Disk Manager Data"}]
    report = await asked(host(disks=[disk("1", "1", boot="false", system="false")], Win32_DiskPartition=words))
    assert "is a dynamic disk" in report.unanswered[0].why
    assert "GPT: System" in report.unanswered[0].why
    german = [{"DiskIndex": "0", "Type": "GPT: Logischer Datenträger-Manager"}]
    report = await asked(host(disks=[disk("1", "1", boot="false", system="false")], Win32_DiskPartition=german))
    assert "as it does with dynamic disks" in report.unanswered[0].why


@pytest.mark.parametrize(
    "more",
    [
        {"firmware": "3"},
        {"firmware": "two"},
        {"firmware": None},
        {"disks": []},
        {"disks": [disk(style="0")]},
        {"disks": [disk(style=None)]},
        {"disks": [disk(boot=None)]},
        {"disks": [disk(), disk("1")]},
        {"disks": [disk(), disk(boot="false", SerialNumber="00d5a1")]},
        {"disks": [disk(), disk("1", boot=None)]},
        {"disks": [disk(number=None)]},
        {"parts": []},
        {"parts": [part(1, "nonsense"), part(2, MSR)]},
        {"parts": [part(1, ESP), part(2, "")]},
        {"parts": [part(1, ESP, disk=None)]},
        {"MSFT_Partition": Unknown("hv01", "timed out", "no answer in 20 s.")},
        {"Control": Unknown("hv01", "refused", "access denied.")},
    ],
)  # fmt: skip
async def test_what_was_not_told_is_unknown(asked, more):
    report = await asked(host(**more, **{FINDSTR: GONE}))
    assert report.answered == 0
    assert [one.target for one in report.unanswered] == ["hv01"]
    assert (report.findings, report.fine) == ((), ())


async def test_a_partition_that_cannot_be_read_does_not_matter_once_both_are_there(asked):
    assert (await asked(host(parts=[*UEFI, part(4, "nonsense")]))).fine


async def test_a_silent_host_is_unknown_and_never_counted(asked):
    gone = Unknown("hv02", "timed out", "no answer in 20 s.")
    silent = {("hv02", what): gone for _, what in host("hv02")}
    report = await asked(host("hv01"), silent, args=PROD)
    assert report.title == "prod: UEFI and GPT with EFI and reserved partition on the one host that answered, 1 unknown"
    assert [one.target for one in report.unanswered] == ["hv02"]


async def test_many_old_hosts_are_one_sentence(asked):
    gone = Unknown("", "absent", "it has no such class.")
    olds = [
        host(name, firmware=None, build="7601", MSFT_Disk=gone, MSFT_Partition=gone, **{FINDSTR: gone})
        for name in ("hv01", "hv02", "hv03")
    ]
    report = await asked(*olds, args=PROD)
    assert [one.target for one in report.unanswered] == ["hv01, hv02, hv03"]
    assert "any host starts" in report.title


async def test_hostile_text_stays_within_bounds(asked):
    nasty = "<!channel> *" + "x" * 5_000
    report = await asked(host(version=nasty, model=nasty, disks=[disk(SerialNumber=nasty, FriendlyName=nasty)]))
    assert len(report.title) <= 150
