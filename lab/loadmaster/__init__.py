"""A load balancer with the REST interface of Kemp's LoadMaster, version 1 (XML) and 2 (JSON), that checks real servers.

`model` is what is set there, `checks` asks the real servers as it is set, `replies` writes what is asked for in either
language, `server` listens and routes.
"""

from lab.loadmaster.model import Appliance, RealServer, VirtualService
from lab.loadmaster.server import FakeLoadMaster

__all__ = ["Appliance", "FakeLoadMaster", "RealServer", "VirtualService"]
