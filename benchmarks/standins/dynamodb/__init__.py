"""DynamoDB in memory: `Server(DynamoDb(Tables()).handle)`."""

from __future__ import annotations
