"""What may be run on a host, or asked of a database or a web service: closed rows, each marked *reads* or *changes*.

definitions  what a row is, and how its arguments are filled in
programs     the rows themselves
eventcreate the note in a host's own log that names ticket, requester and approver
vssadmin     what `vssadmin list writers` prints, in any language of Windows
wevtutil     events as XML, and the list of channels
addresses    names in a hosts file, and addresses in files that configure programs
dism         packages of Windows: which there are, one added, one removed
findstr      what Windows Setup's own log says of the firmware
auditpol     the audit policy of Object Access, by GUID
web          calls of CommVault's web service and of load balancers
loadmaster   what a LoadMaster tells of its virtual services, and which fields of one are changed
web_probe    one HEAD or GET of a web server, whose body nobody reads
reading_methods  methods of WMI that only read
sql          selects over SCVMM's database, and the columns of it that may be changed
"""

from bot.transport.allowlist.definitions import BadOutput, Parameter, Program
from bot.transport.allowlist.programs import PROGRAMS

__all__ = ["PROGRAMS", "BadOutput", "Parameter", "Program"]
