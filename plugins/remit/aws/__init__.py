"""DynamoDB and S3, as the rest of Remit needs them."""

from __future__ import annotations
