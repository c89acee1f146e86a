from __future__ import annotations

import pytest

from remit.metrics import NO_METRICS, LoggedMetrics


def test_logged_metrics_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    LoggedMetrics().count("remit.hook.trigger_failed", dag="export_payments")
    LoggedMetrics().timing("remit.hook.request", 0.25, status="2xx", route="/exports")
    assert caplog.messages == [
        "metric remit.hook.trigger_failed dag=export_payments",
        "metric remit.hook.request route=/exports status=2xx seconds=0.250000",
    ]


def test_no_metrics_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    NO_METRICS.count("a", dag="x")
    NO_METRICS.timing("b", 1.0)
    assert caplog.messages == []
