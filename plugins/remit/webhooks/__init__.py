"""Webhooks: events, the outbox, signatures, delivery and its retries.

A receiver in Python verifies what it gets with `remit.webhooks.verify`.
"""

from __future__ import annotations

from remit.webhooks.event import Event
from remit.webhooks.verification import SignatureInvalid, verify, verify_plain

__all__ = ["Event", "SignatureInvalid", "verify", "verify_plain"]
