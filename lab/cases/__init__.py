"""Incidents as data: one TOML file each, played by the servers of the practice estate. docs/cases.md says how to write one.

    case          a file, from its text to a running estate and a verdict
    schema        what may stand in a file, and in which types
    values        TOML's values as WMI's and SQL Server's
    overrides     what a file says, put into a world
    websites      the web servers of a file
    load_balancers  its load balancers and their virtual services
    environment   the estate of a case: names, settings and listeners that are otherwise
    resolver      names that the resolver does not answer for
    expectations  whether an answer is right
    errors        what is wrong with a file

Whatever a file says is otherwise comes from the servers that also answer without it. What they cannot carry is an error of
the file, named by its key.
"""
