"""Transact-SQL, as much of it as a closed list of statements needs.

lexer        text -> words
expressions  words -> expressions and conditions
parser       words -> statements
syntax       what comes out of it
binding      names -> columns, expressions -> functions over rows
columns      what an answer consists of
execute      a statement over the store
"""
