"""Commands of `python -m remit` that have a module of their own.

A module has `HELP`, `add_arguments(parser)`, which imports nothing that is slow, and
`run(options)`, which does the work and prints what came of it, one JSON object per line.
"""
