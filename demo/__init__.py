"""The local stack: Airflow, a local AWS, a webhook receiver, and a walk through all of it.

`make demo` runs the walk and stops everything, `make up` and `make down` keep the stack running.
This is for a developer's machine. Nothing in it is needed, or fit, for production.
"""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# Airflow puts plugins/ on sys.path, and so does pytest; `python -m demo` has to do it by itself.
if str(REPOSITORY / "plugins") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "plugins"))
