"""A WS-Management server as Windows runs it: authentication, WMI, command shells, quotas and faults.

It knows nothing of clusters or guests: it serves whatever `machine_protocol.Machine` it is given. In an event loop of your own:

    server = WinRMServer(port=free_port())
    await server.add("127.0.1.1", machine)                    # HTTP; tls=context adds HTTPS on server.tls_port
    server.url("127.0.1.1")                                   # "http://127.0.1.1:<port>/wsman"
    await server.stop()

or on a thread with its own loop, from anywhere:

    with BackgroundServer({"127.0.1.1": machine}, tls={"127.0.1.1": authority.server_context("hv01.corp.example")}) as up:
        up.url("127.0.1.1", secure=True)
        machine.trouble.hang = True                           # troubles take effect at once

From the port to the machine:

    server            many machines, each at an address of its own
    listener_http     one machine's sockets; listener: opened and closed at once; certificates: for TLS
    authentication    who is at the other end; accounts: however a client spells it; ntlm_credentials: passwords for NTLM
    kerberos_context  the accepting side of Kerberos
    encryption        sealed messages
    service           what is done with a request; identify: before any login
    envelope          SOAP in and out; wsman_constants: namespaces and actions
    faults            what is said when it fails; fault_xml: as XML; fault_messages: in a machine's language
    enumeration       Enumerate, Pull and Release
    query             questions about instances; wql, wql_values, wql_relations: the language they are asked in
    wmi               Get and Invoke; cim_xml: as XML; schema: the classes there are
    registry          StdRegProv; configuration: winrm/config
    shells            command shells; command_line: its words; console_output: its bytes
    old_tls           a Windows that offers no TLS after 1.0
    machine_protocol  what all of this wants of a machine
"""

from lab.windows.certificates import CertificateAuthority
from lab.windows.server import BackgroundServer, WinRMServer, free_port

__all__ = ["BackgroundServer", "CertificateAuthority", "WinRMServer", "free_port"]
