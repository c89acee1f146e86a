"""Schedules: exports that a merchant wants of every hour, day, week or month.

`periods` has the arithmetic, `schedule` what one schedule is, `schedule_request` what it may be,
`store` the records, and `beats` the index by which a run finds those that it has work for.
"""
