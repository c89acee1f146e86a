"""Who is calling: tokens that the hook accepts."""

from __future__ import annotations

from remit.auth.tokens import Caller, TokenSettings, Verifier, mint

__all__ = ["Caller", "TokenSettings", "Verifier", "mint"]
