"""Single records, read on the event loop: what a merchant asks for time and again, such as how far
an export is, costs neither a thread nor botocore's half millisecond."""

from __future__ import annotations

import asyncio

from remit.aws.items import Item, decode_item
from remit.aws.session import FOR_REQUESTS
from remit.aws.table import K, Table
from remit.aws.wire import Wire
from remit.services import Services


class Reader:
    """Reads on whichever event loop asks; `services` is there by then, or made on a thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wire: Wire | None = None

    async def get(self, services: Services, table: Table[K], key: K) -> Item | None:
        """The record, or None; strongly consistent.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        wire = await self._opened(services)
        request = {"TableName": table.name, "Key": table.key_values(key), "ConsistentRead": True}
        item = (await wire.call("GetItem", request)).get("Item")
        return None if item is None else decode_item(item)

    async def close(self) -> None:
        """Close the connections, if there are any on this event loop."""
        wire, self._wire = self._wire, None
        if wire is not None and self._loop is asyncio.get_running_loop():
            await wire.__aexit__(None, None, None)

    async def _opened(self, services: Services) -> Wire:
        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            wire = Wire(
                services.aws,
                services.tables.client.meta.endpoint_url,
                tries=FOR_REQUESTS.attempts,
                timeout=FOR_REQUESTS.dynamodb,
            )
            self._wire, self._loop = await wire.__aenter__(), loop
        return self._wire
