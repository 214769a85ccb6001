"""SQL Server over ODBC: VMM's database.

odbc                           one pyodbc connection: one select, or one transaction
driver_process, driver_call    the process it runs in, and the end of it that the bot holds
databases                      VMM servers' databases: turns and deadlines around it
connection_string, sql_errors  what drivers are told, and what they report   pure
"""
