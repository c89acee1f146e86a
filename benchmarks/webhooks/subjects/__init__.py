"""Who delivers, one process each: `python -m benchmarks.webhooks.subjects.NAME PARAMETERS`.

PARAMETERS is JSON, see `measuring.Parameters`. A subject imports what it needs, delivers, and
prints one line of JSON, see `measuring.Measured`. Imports are not counted, for none of them.
"""
