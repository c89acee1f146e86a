"""Sealing all secrets with the first key, so that the keys before it can be taken away.

An endpoint's secrets that are sealed with it already are left alone, so whoever begins again goes
on where the last one stopped. A rotation at the same time wins: its secrets are read once more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from remit.aws.items import Item
from remit.aws.table import Pair, Table
from remit.errors import ConditionFailed, SecretUnreadable, StoreUnavailable
from remit.services import Services
from remit.stop import Stop

log = logging.getLogger(__name__)

_TRIES = 8


class Reseals(Protocol):
    """What resealing needs of `remit.vault.Vault`."""

    def reseal(self, sealed: str) -> str | None:
        """The same secret under the first key; None: it is sealed with that already."""


@dataclass
class Resealed:
    """How many endpoints were written and how many needed nothing, and those of which a secret
    could not be opened and stays as it is."""

    resealed: int = 0
    unchanged: int = 0
    unreadable: list[Pair] = field(default_factory=list)
    complete: bool = False


def reseal_secrets(services: Services, vault: Reseals, stop: Stop) -> Resealed:
    """Reseal the secrets of all endpoints, until done or asked to stop.

    Raises:
        ConfigurationError: there is no key to seal with.
        StoreUnavailable: it can be begun again.
    """
    done, table = Resealed(), services.tables.endpoints
    for record in table.scan(
        "attribute_exists(#secrets)", {}, attributes=("merchantID", "id", "secrets")
    ):
        if stop.requested:
            return done
        key = table.key_of(record)
        new = _reseal(table, vault, key, record["secrets"])
        done.resealed += new.changed
        done.unchanged += not new.changed
        if new.unreadable:
            done.unreadable.append(key)
    done.complete = True
    return done


@dataclass(frozen=True)
class _New:
    """The secrets of one endpoint, resealed; those that could not be opened are as they were."""

    secrets: list[Item] = field(repr=False)
    changed: bool
    unreadable: bool


def _reseal(table: Table[Pair], vault: Reseals, key: Pair, secrets: Sequence[Item]) -> _New:
    for _ in range(_TRIES):
        new = _resealed(vault, key, secrets)
        if not new.changed:
            return new
        try:
            table.update(
                key,
                set={"secrets": new.secrets},
                condition="#secrets = :seen",
                values={"seen": secrets},
            )
        except ConditionFailed:
            secrets = (table.get(key) or {}).get("secrets", [])
            continue
        return new
    raise StoreUnavailable(f"could not reseal endpoint {key[1]}: others change it all the time")


def _resealed(vault: Reseals, key: Pair, secrets: Sequence[Item]) -> _New:
    new, changed, unreadable = [], False, False
    for secret in secrets:
        try:
            sealed = vault.reseal(secret["sealed"])
        except SecretUnreadable as error:
            log.warning("endpoint %s of %s, secret %s: %s", key[1], key[0], secret["id"], error)
            sealed, unreadable = None, True
        changed |= sealed is not None
        new.append(secret if sealed is None else {**secret, "sealed": sealed})
    return _New(new, changed, unreadable)
