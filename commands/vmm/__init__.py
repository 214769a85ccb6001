"""SCVMM's records of virtual machines.

compare         VMM's records against what the hosts run
resolve_record  which record is meant
gates           what must hold before a repair
repair          the repairs: refresh, migration, database
findings        differences as findings of a report
"""
