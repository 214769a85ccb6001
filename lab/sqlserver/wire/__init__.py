"""TDS 7.4 as bytes, from Microsoft's MS-TDS document. No SQL in here.

packets  headers, messages in pieces
reader   a reader that knows TDS's little shapes
tls      TLS inside of PRELOGIN packets, then around everything or around the login alone
login    PRELOGIN and LOGIN7
types    TYPE_INFO and values
requests SQL batches, remote procedure calls, transaction manager requests
tokens   what the server answers
"""
