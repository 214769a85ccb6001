"""Win32_NTLogEvent: the classic logs only; channels of applications and services are for wevtutil [mem]."""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance
from lab.world.class_availability import instance
from lab.world.wmi_providers import Scene, View

# Providers whose events bear the name of a classic source, which is what this class shows [src: published events and scripts].
SOURCES = {"Microsoft-Windows-WER-SystemErrorReporting": "BugCheck"}
CLASSIC_LOGS = frozenset({"System", "Application"})
TYPES = {1: (1, "Error"), 2: (1, "Error"), 3: (2, "Warning"), 4: (3, "Information")}  # level -> EventType, Type


def events(scene: Scene) -> Iterator[Instance]:
    """Win32_NTLogEvent, newest first."""
    windows = scene.windows
    for event in reversed(windows.events):
        if event.log in CLASSIC_LOGS:
            kind, word = TYPES[event.level]
            yield instance(
                "Win32_NTLogEvent",
                windows.release,
                Logfile=event.log,
                RecordNumber=event.record,
                SourceName=SOURCES.get(event.provider, event.provider),
                EventCode=event.id,
                EventIdentifier=event.id,
                EventType=kind,
                Type=word,
                Category=0,
                ComputerName=windows.fqdn,
                InsertionStrings=tuple(value for _, value in event.data),
                Message=event.message,
                TimeGenerated=event.at,
                TimeWritten=event.at,
                User=None,
            )


VIEWS: dict[str, View] = {"Win32_NTLogEvent": events}
