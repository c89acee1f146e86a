from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.standins import StandIns, stand_ins


@pytest.fixture
def standins() -> Iterator[StandIns]:
    with stand_ins() as found:
        yield found
