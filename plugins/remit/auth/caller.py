"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Whom a token speaks for."""

    merchant_id: str
    permissions: frozenset[str]
    email: str | None = None
    token_id: str | None = None

    def may(self, permission: str) -> bool:
        """Whether the token grants a permission; there are no wildcards."""
        return permission in self.permissions
