from __future__ import annotations

import pytest

from remit.errors import ConfigurationError
from remit.triggers.settings import AirflowSettings

TOKEN = {"REMIT_AIRFLOW_TOKEN": "a-secret-token"}
USER = {"REMIT_AIRFLOW_USER": "remit-hook", "REMIT_AIRFLOW_PASSWORD": "correct horse"}
URL = {"REMIT_AIRFLOW_URL": "https://airflow.example"}


@pytest.mark.parametrize(
    "environment",
    [
        {**URL, **TOKEN},
        {**URL, **USER},
        {**URL, "REMIT_AIRFLOW_TOKEN_FILE": "/run/secrets/token"},
        {**TOKEN, "REMIT_AIRFLOW_URL": "http://127.0.0.1:8080"},
        {**TOKEN, "REMIT_AIRFLOW_URL": "http://localhost:8080/airflow/"},
        {**TOKEN, "REMIT_AIRFLOW_URL": "http://[::1]:8080"},
        {
            **TOKEN,
            "REMIT_AIRFLOW_URL": "http://airflow-apiserver:8080",
            "REMIT_AIRFLOW_ALLOW_HTTP": "true",
        },
    ],
)
def test_these_are_complete(environment: dict[str, str]) -> None:
    settings = AirflowSettings.from_environment(environment)
    assert settings.url == environment["REMIT_AIRFLOW_URL"]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (TOKEN, "REMIT_AIRFLOW_URL must be set"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "airflow.example"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "ftp://airflow.example"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "https://"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "https://a b.example"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "https://a:99999"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "https://[::1"}, "must be an http or https URL"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "https://a.example/?x=1"}, "end before"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "http://airflow.example"}, "REMIT_AIRFLOW_ALLOW_HTTP"),
        ({**TOKEN, "REMIT_AIRFLOW_URL": "http://127.0.0.1.example"}, "REMIT_AIRFLOW_ALLOW_HTTP"),
        (URL, "none of REMIT_AIRFLOW_TOKEN_FILE"),
        ({**URL, **TOKEN, **USER}, "more than one of REMIT_AIRFLOW_TOKEN_FILE"),
        ({**URL, "REMIT_AIRFLOW_USER": "u"}, "REMIT_AIRFLOW_PASSWORD must be set"),
        ({**URL, "REMIT_AIRFLOW_PASSWORD": "p"}, "REMIT_AIRFLOW_USER must be set"),
        ({**URL, "REMIT_AIRFLOW_TOKEN": "a\nb"}, "REMIT_AIRFLOW_TOKEN holds a character"),
        ({**URL, **TOKEN, "REMIT_AIRFLOW_ALLOW_HTTP": "yes"}, "must be true or false"),
        ({**URL, **TOKEN, "REMIT_AIRFLOW_CA_FILE": "/no/such.pem"}, "REMIT_AIRFLOW_CA_FILE"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AirflowSettings.from_environment(environment)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        AirflowSettings.from_environment(
            {**TOKEN, "REMIT_AIRFLOW_URL": "https://admin:hunter2@airflow.example"}
        )
    assert "REMIT_AIRFLOW_PASSWORD" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_representations_show_no_secret() -> None:
    for way in (TOKEN, USER):
        shown = repr(AirflowSettings.from_environment({**URL, **way}))
        assert "secret" not in shown
        assert "horse" not in shown
