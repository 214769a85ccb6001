"""What WMI says about the model: one file per provider, each with `VIEWS`, class name -> function of a scene.

cluster    root/MSCluster; cluster_links: its associations; cluster_update: whether a run of updates works on it
hyper_v    root/virtualization/v2; hyper_v_v1: root/virtualization, of 2008 R2; hyper_v_settings: what guests are made of
ping       Win32_PingStatus, which is made of what is asked
replica    Hyper-V Replica: relationships, settings, statistics
storage    volumes and partitions, in root/cimv2 and root/Microsoft/Windows/Storage
system     root/cimv2 about the machine itself
event_log  Win32_NTLogEvent

A documented class that is in no `VIEWS` answers no instances, as an empty one would: add a view before a command takes its
silence for "none".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from lab.windows.machine_protocol import Instance
from lab.world.model import Windows


@dataclass(frozen=True, slots=True)
class Scene:
    """The Windows that is asked, and when."""

    windows: Windows
    now: datetime


View = Callable[[Scene], Iterable[Instance]]
