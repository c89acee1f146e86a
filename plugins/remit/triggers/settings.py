"""Where Airflow's public REST API is, and as whom it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from remit.environment import read, secret, setting
from remit.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Way = Literal["token", "token file", "user"]


@dataclass(frozen=True)
class AirflowSettings:
    """What `RestTrigger` has to know. One of three ways to prove who is calling has to be set."""

    url: str = setting(
        "REMIT_AIRFLOW_URL",
        "",
        "base URL of Airflow's API server, for `python -m remit serve`; https, or http on loopback",
    )
    user: str = setting(
        "REMIT_AIRFLOW_USER", "", "user of Airflow that may start runs and create asset events"
    )
    password: str = secret(
        "REMIT_AIRFLOW_PASSWORD", "that user's password, exchanged at `/auth/token` for tokens"
    )
    token: str = secret("REMIT_AIRFLOW_TOKEN", "a bearer token in place of user and password")
    token_file: str = setting(
        "REMIT_AIRFLOW_TOKEN_FILE", "", "file that holds such a token; read again when it changes"
    )
    ca_file: str = setting(
        "REMIT_AIRFLOW_CA_FILE",
        "",
        "PEM file of the authorities that vouch for that server; empty: the public ones",
    )
    allow_http: bool = setting(
        "REMIT_AIRFLOW_ALLOW_HTTP",
        False,
        "http to another host, in a network that nobody listens to",
    )

    def __post_init__(self) -> None:
        _check_url(self.url, allow_http=self.allow_http)
        for variable, text in (
            ("REMIT_AIRFLOW_USER", self.user),
            ("REMIT_AIRFLOW_PASSWORD", self.password),
            ("REMIT_AIRFLOW_TOKEN", self.token),
        ):
            if not text.isprintable():
                raise ConfigurationError(f"{variable} holds a character that is not printable")
        _ = self.way
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ConfigurationError(
                f"REMIT_AIRFLOW_CA_FILE is {self.ca_file!r}: there is no such file"
            )

    @property
    def way(self) -> Way:
        """How the caller proves who it is.

        Raises:
            ConfigurationError: none of the ways is set, or more than one, or half of one.
        """
        if bool(self.user) != bool(self.password):
            missing = "REMIT_AIRFLOW_PASSWORD" if self.user else "REMIT_AIRFLOW_USER"
            raise ConfigurationError(f"{missing} must be set, too: a user has a password")
        ways: dict[Way, str] = {
            "token": self.token,
            "token file": self.token_file,
            "user": self.user,
        }
        found = [way for way, text in ways.items() if text]
        if len(found) != 1:
            raise ConfigurationError(
                f"{'none' if not found else 'more than one'} of REMIT_AIRFLOW_TOKEN_FILE, "
                "REMIT_AIRFLOW_TOKEN, and REMIT_AIRFLOW_USER with REMIT_AIRFLOW_PASSWORD is set: "
                "set one, by which Airflow knows who is calling"
            )
        return found[0]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> AirflowSettings:
        """Read the settings.

        Raises:
            ConfigurationError: one is missing or wrong. The message shows no secret.
        """
        return read(cls, environment)


def _check_url(url: str, *, allow_http: bool) -> None:
    if not url:
        raise ConfigurationError(
            "REMIT_AIRFLOW_URL must be set: where Airflow's API server is, such as "
            "https://airflow.internal.example"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    # No message shows the URL before it is known to hold no password.
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "REMIT_AIRFLOW_URL holds a user or a password: they belong into REMIT_AIRFLOW_USER and "
            "REMIT_AIRFLOW_PASSWORD"
        )
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"REMIT_AIRFLOW_URL is {url!r}: it must be an http or https URL, such as "
            "https://airflow.internal.example"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"REMIT_AIRFLOW_URL is {url!r}: it must end before '?' and '#', with the path under "
            "which Airflow is served if there is one"
        )
    if parts.scheme == "http" and host not in LOOPBACK and not allow_http:
        raise ConfigurationError(
            f"REMIT_AIRFLOW_URL is {url!r}: http would send a password or a token through the "
            "network as it is; use https, or set REMIT_AIRFLOW_ALLOW_HTTP=true in a network that "
            "nobody listens to"
        )
