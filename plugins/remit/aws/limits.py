"""Limits of DynamoDB that values from outside may meet. Imported by DAG files: nothing heavy here.

One key beyond its limit makes DynamoDB refuse a whole batch of reads.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

from __future__ import annotations

MAX_KEY_BYTES = 2048
"""Of a hash key, of a table or an index."""

MAX_SORT_KEY_BYTES = 1024
"""Of a sort key."""
