"""What the suite runs against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Backend:
    """Clients of one DynamoDB and one S3."""

    name: str
    dynamodb: Any
    s3: Any
