"""The trigger hook: a FastAPI app that checks a token, stores the work and starts the run."""

from __future__ import annotations
