"""SQL Server over ODBC: VMM's database.

odbc                           one pyodbc connection: one select, or one transaction
databases                      VMM servers' databases: threads and deadlines around it
connection_string, sql_errors  what drivers are told, and what they report   pure
"""
