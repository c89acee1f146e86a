"""The edge to Airflow: connections, triggering, retry policies.

What is not Airflow's public interface stays in this package, pinned by tests.
"""

from __future__ import annotations
