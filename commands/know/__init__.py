"""What the commands know about Windows: a question, its parser, and the fact that comes of it.

vss        VSS writers of a host            events     what the logs name
cluster    nodes, locks, shared volumes     guests     virtual machines, and what they say of themselves
volumes    volumes inside a guest           updates    builds, updates, pending reboots
rules      the rule files                   identity   is this the machine we meant?
wording    sizes, times and lists in words

backup     does a backup run?               writer_state   what one writer's state means
node_writers  one node's verdict            writer_words   its finding, in words
guest_space   which volumes are full        kb_compare     which node lacks what
"""
