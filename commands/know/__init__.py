"""What the commands know about Windows: questions, their parsers, the facts that come of them, and what they mean.

Facts, shared by commands:

    vss        VSS writers of a host               events     what the logs name
    cluster    nodes, locks, shared volumes        hosts      a host that no cluster describes
    guests     virtual machines of a host          kvp        what a guest says of itself
    volumes    volumes inside a guest              snapshots  snapshot volumes mounted on a host
    updates    builds, updates, pending reboots    rules      the rule files, read and checked
    identity   is this the machine we meant?       wording    sizes, times and lists in words
    silence    who did not answer, in few lines    vmm        what SCVMM's database believes

For changes: what must be so before, and the steps:

    drain_facts -> drain_gates    what a drain needs      node_states, node_memory, moves,
                                                          cluster_updating    its parts
    drain        pausing, draining, resuming a node       services    restarting one, with waits
    plans        a refusal, and why                       behind_locks    why a node will not drain
    reset_facts -> reset_gates -> reset_steps    resetting a writer        commvault    backup jobs
    vmm_choose -> vmm_gates -> vmm_repair    which record of VMM's is meant, and mending it in three ways
    audit_policy    what Object Access audits, toggled and set back

Judgements, in the order in which a command uses them:

    /check-writers      writer_facts -> backup, victims, callback_error, writer_state -> node_writers
                        -> writer_words, writer_evidence, writer_silence
    /find-full-guests   guest_space -> volumes -> space_words
    /verify-kb-drift    updates -> kb_compare
    /find-missing-vms   vmm -> vmm_compare -> vmm_words
"""
