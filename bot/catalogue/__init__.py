"""Programs that may be run on a host: closed rows, each marked *reads* or *changes*.

rows        what a row is, and how its arguments are filled in
programs    the rows themselves
vssadmin    what `vssadmin list writers` prints, in any language of Windows
wevtutil    events as XML, and the list of channels
"""

from bot.catalogue.programs import PROGRAMS
from bot.catalogue.rows import BadOutput, Parameter, Program

__all__ = ["PROGRAMS", "BadOutput", "Parameter", "Program"]
