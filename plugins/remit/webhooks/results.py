"""What a try of a delivery task can make of a webhook."""

from __future__ import annotations

from enum import StrEnum


class Result(StrEnum):
    """What became of one webhook in one try of the task; the keys of its summary."""

    CLAIMED = "claimed"
    """Not an end: it is being delivered."""
    DELIVERED = "delivered"
    KEPT = "kept"
    """Tried again by the next try of this task."""
    RELEASED = "released"
    """Tried again by whoever polls after its next attempt is due."""
    DEFERRED = "deferred"
    """Not attempted, and due later: its endpoint is not to be asked now."""
    PUT_BACK = "put_back"
    """Not attempted, and due again: asked to stop, or the lease would not have lasted."""
    EXPIRED = "expired"
    SET_ASIDE = "set_aside"
    """No attempt can help; the record says why."""
    LOST = "lost"
    """Another deliverer holds it; nothing was changed."""
    UNRECORDED = "unrecorded"
    """The store did not take the write; the webhook comes due when its lease ends."""
    ERROR = "error"
    """Something unexpected, which the log has; the webhook comes due when its lease ends."""
