"""A backup product with CommVault's REST interface, fed by the jobs of the practice world.

`server` listens and routes, `tokens` knows who is logged in, `jobs` turns the world's jobs into replies, `responses` writes
them as XML or as JSON.
"""

from lab.commvault.server import FakeCommVault

__all__ = ["FakeCommVault"]
