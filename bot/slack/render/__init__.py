"""Pure: reports, refusals, help and state in, messages and views out. Nothing here sends."""
