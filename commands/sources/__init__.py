"""What is asked of Windows, SQL Server and web services: one file per subject, query and reader as one value.

operating_system  which Windows a host runs, its clock, the code page of its programs
winrm           what a host's WinRM grants
cluster         nodes, locks, shared volumes, hosts without a cluster, runs of Cluster-Aware Updating
nodes           the state of each node and of its drain; isolated, in quarantine
quorum          how the quorum was configured, whether its witness votes now; is anti-affinity enforced
certificates    until when a certificate of a machine's store is valid
cluster_services  which Windows services a cluster owns
placement       how a guest would leave its node: live or saved and moved, and where to
migration       a guest as a resource that moves live: its state, how it is set to move
capacity        memory: what guests use, what nodes have free
guest_bonds     devices, disks, files and keys that bind a guest to its host
bugchecks       stops of guests                     guest_drivers   file versions of drivers inside a guest
scsi_disks      which guests have disks on SCSI controllers, on hosts of 2008 R2
integration     integration services of guests, as hosts see them; what hosts expect
guests          virtual machines of a host          kvp             what a guest says of itself
volumes         volumes inside a guest              guest_disks     which disks of a guest are dynamic
snapshots       shadow copies of a host, and which are mounted
vss_writers     VSS writers of a host               backup_state    does a backup run: signs on the hosts, and the products
event_log       what the logs name                  services        Windows services, and restarting one with waits
updates         builds, updates, reboot flags       audit_policy    what Object Access audits
packages        packages of updates: listed, and as files   restarts   restarting a host, and what proves it
clock           what time a machine believes it is  audit_log       a full Security log; who else sets auditing
commvault       backup jobs                         vmm             what SCVMM's database believes
web_server      the head of what a web server answers to one request
load_balancer   virtual services, health checks and real servers of a load balancer
identity        is this the machine we meant?       rules           the rule files, read and checked
firmware        UEFI or not, its version          boot_disks      disks and partitions of a host
replication     what a host replicates, with whom, how it went
drills          which drills of a service are done, by the ledger
ping            does one machine reach another      text_files      hosts files, addresses in configuration
slack_group     who is in a Slack group
host_names      is this the same host?          storage         Storage Spaces: jobs, and how virtual disks are
"""
