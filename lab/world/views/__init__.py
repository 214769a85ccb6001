"""What WMI says about the model: one file per provider, each with `VIEWS`, class name -> function of a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from lab.windows.machine import Instance
from lab.world.model import Windows


@dataclass(frozen=True, slots=True)
class Scene:
    """The Windows that is asked, and when."""

    windows: Windows
    now: datetime


View = Callable[[Scene], Iterable[Instance]]
