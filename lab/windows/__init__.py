"""A WS-Management server as Windows runs it: authentication, WMI, command shells, quotas and faults.

It knows nothing of clusters or guests: it serves whatever `machine.Machine` it is given. In an event loop of your own:

    server = WinRMServer(port=free_port())
    await server.add("127.0.1.1", machine)                    # HTTP; tls=context adds HTTPS on server.tls_port
    server.url("127.0.1.1")                                   # "http://127.0.1.1:<port>/wsman"
    await server.stop()

or on a thread with its own loop, from anywhere:

    with BackgroundServer({"127.0.1.1": machine}, tls={"127.0.1.1": authority.server_context("hv01.corp.example")}) as up:
        up.url("127.0.1.1", secure=True)
        machine.trouble.hang = True                           # troubles take effect at once
"""

from lab.windows.certificates import CertificateAuthority
from lab.windows.server import BackgroundServer, WinRMServer, free_port

__all__ = ["BackgroundServer", "CertificateAuthority", "WinRMServer", "free_port"]
