"""S3 in memory: `Server(S3().handle)`, addressed by path."""

from __future__ import annotations
