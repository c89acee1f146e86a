from __future__ import annotations

import logging

import pytest

from remit.airflow import services as edge
from remit.aws.session import Aws
from remit.settings import Settings
from tests.support.aws import aws_at


def test_botocore_logs_no_bodies_by_the_time_a_role_is_assumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = logging.getLogger("botocore.parsers")
    monkeypatch.setattr(log, "filters", [])
    by_then: list[object] = []

    def assumed(_: Settings) -> Aws:
        by_then.extend(log.filters)
        return aws_at("http://127.0.0.1:9")

    monkeypatch.setattr(edge, "_aws", assumed)
    edge.services()
    assert len(by_then) == 1
