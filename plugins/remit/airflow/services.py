"""Services inside an Airflow process: AWS credentials and endpoints from the connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from remit.aws.redaction import redact_botocore
from remit.aws.session import FOR_TASKS, Aws, Patience, store_errors
from remit.services import Services
from remit.settings import Settings

_SERVICES = ("dynamodb", "kms", "s3")


def services(patience: Patience = FOR_TASKS) -> Services:
    """Settings from the environment, AWS from the connection `REMIT_AWS_CONN_ID`.

    The connection's `region_name`, `endpoint_url` and `service_config` extras are honoured, and
    so are its ways to assume a role; without the connection the default credentials chain is used.

    Raises:
        ConfigurationError: a setting is wrong.
        StoreUnavailable: the role could not be assumed now.
    """
    settings = Settings.from_environment()
    redact_botocore()  # the answer to who assumes a role has its keys
    with store_errors("connect to AWS"):
        return Services(settings, replace(_aws(settings), patience=patience))


def _aws(settings: Settings) -> Aws:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook  # slow to import

    hook: Any = AwsGenericHook(aws_conn_id=settings.aws_conn_id, client_type="dynamodb")
    session = hook.get_session()
    endpoints = {
        service: endpoint
        for service in _SERVICES
        if (endpoint := hook.conn_config.get_service_endpoint_url(service))
    }
    return Aws(session._session, session.region_name or settings.region, endpoints)  # noqa: SLF001
