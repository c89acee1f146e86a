"""Who is calling: tokens that the hook accepts."""

from __future__ import annotations

from remit.auth.caller import Caller
from remit.auth.settings import TokenSettings
from remit.auth.tokens import Verifier, mint

__all__ = ["Caller", "TokenSettings", "Verifier", "mint"]
