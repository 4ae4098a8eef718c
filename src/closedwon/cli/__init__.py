"""The command line: one file per noun.

Reading order: main (the table of commands and what their errors exit with), options (what commands share), output
(tables, JSON, errors), init, connections, run, records, story, review, sandbox, reference.
"""
