"""Stand-ins for DynamoDB and S3 in memory, for benchmarks: fast enough not to be what is measured.

They answer as AWS documents it, as far as Remit and its tests go; `tests/conformance` holds them to
it beside moto. Nothing is kept beyond the process, and signatures are not checked.
"""

from __future__ import annotations
