"""winrm/config of a host: its quotas, and which logins it takes. Read only.

The resource URI and the shape are those of a captured Get of winrm/config [cap].
"""

from __future__ import annotations

from bot.api.rows import Row
from bot.transport.windows import wsman
from bot.transport.windows.winrm import Connection, Deadline

CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"


def read(connection: Connection, deadline: Deadline) -> Row:
    """The whole configuration as nested rows: {"MaxEnvelopeSizekb": …, "Service": {…}, "Winrs": {…}}."""
    reply, message_id = connection.ask(wsman.Message(f"{wsman.TRANSFER}/Get", CONFIG, ""), deadline)
    return wsman.read_instance(reply, message_id)
