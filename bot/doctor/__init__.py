"""`hvops doctor`: look at everything the bot depends on, changing nothing.

local          settings, permissions, ledger, Kerberos, Slack
bots           the bots that share a ledger in a database: who does what, and what is not the same on them
audit_channel  can it be read, and is its newest head this ledger's?
clusters       each cluster, and what keeps guests from being asked
hosts          each cluster and host, as every diagnostic with `examines` finds it
windows        backup windows and freezes of the inventory: what never opens again, what contradicts itself
event_logs     do hvops' notes on the hosts know more than this ledger?
migration      with --migrate alone: which way of migrating live is proved on which cluster
sites          the queue to sites with workers, and each worker; or, on a worker's machine, the worker
vmm            each SCVMM server: its database, the columns hvops reads
commvault      the backup product: its login, and whether it lists its jobs
write_access   the policy, what the operator's login may do, and what stays in people's hands
approvers      in Slack: somebody to decide, and the channels to decide in
runner         all of it, in order
check          OK, WARN, FAIL, SKIP, and what to do
"""

from bot.doctor.runner import examine

__all__ = ["examine"]
