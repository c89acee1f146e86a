"""What is measured, one process each: `python -m benchmarks.export.subjects.NAME PARAMETERS`.

PARAMETERS is JSON, see `Parameters`. A subject imports what it needs, does the export, and prints
one line of JSON, see `measuring.Measured`. Imports are not counted, for none of them.
"""
