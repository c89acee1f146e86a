"""The Airflow plugin: mounts the trigger hook at /remit of Airflow's API server. Nothing else."""

from __future__ import annotations

from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin


class _FastApiApps:
    """The app, built when the API server asks for it: every task loads the plugins, too, and must
    not pay for a web framework."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        from remit.airflow.hook import hook

        return [{"app": hook(), "url_prefix": "/remit", "name": "Remit"}]


class RemitPlugin(AirflowPlugin):
    """Payment exports and signed webhooks."""

    name = "remit"
    fastapi_apps = _FastApiApps()
