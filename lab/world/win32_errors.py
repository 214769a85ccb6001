"""Win32 errors of the cluster service, and how its WMI provider reports them.

Numbers and sentences: Microsoft's list of system errors, 4000 to 5999 and 0 to 499 [doc]. That the provider fails with the
HRESULT made of the error: [inf], no capture exists.
"""

from __future__ import annotations

from lab.windows.machine_protocol import WmiFailure

INVALID_FUNCTION, ACCESS_DENIED, SHARING_PAUSED, INVALID_PARAMETER, BUSY, IO_PENDING = 1, 5, 70, 87, 170, 997
INVALID_STATE = 5023
HOST_NODE_NOT_AVAILABLE, GROUP_MOVING, NODE_NOT_FOUND, NODE_DOWN, NODE_NOT_PAUSED = 5005, 5908, 5042, 5050, 5058
NOT_ENOUGH_ON_DESTINATION, LOCKED_STATUS, DRAIN_IN_PROGRESS, CANCELLED = 5957, 5960, 5962, 1223

SENTENCES = {
    INVALID_FUNCTION: "Incorrect function. ",
    INVALID_PARAMETER: "The parameter is incorrect. ",
    BUSY: "The requested resource is in use. ",
    IO_PENDING: "Overlapped I/O operation is in progress. ",
    INVALID_STATE: "The group or resource is not in the correct state to perform the requested operation. ",
    ACCESS_DENIED: "Access is denied. ",
    SHARING_PAUSED: "The remote server has been paused or is in the process of being started. ",
    CANCELLED: "The operation was canceled by the user. ",
    HOST_NODE_NOT_AVAILABLE: "A cluster node is not available for this operation. ",
    NODE_NOT_FOUND: "The cluster node was not found. ",
    NODE_DOWN: "The cluster node is down. ",
    NODE_NOT_PAUSED: "The cluster node is not paused. ",
    GROUP_MOVING: "The group is unable to accept the request since it is moving to another node. ",
    NOT_ENOUGH_ON_DESTINATION: "A resource vetoed a move between two nodes because the destination currently does not "
    "have enough resources to complete the operation. ",
    LOCKED_STATUS: "The requested operation can not be completed because a resource has locked status. ",
    DRAIN_IN_PROGRESS: "A node drain is already in progress. ",
}


def failure(code: int) -> WmiFailure:
    """The failure of a provider that met this error: HRESULT_FROM_WIN32."""
    return WmiFailure(0x80070000 | code, SENTENCES[code])
