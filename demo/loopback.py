"""An HTTP client for the loopback address."""

from __future__ import annotations

import requests


def loopback() -> requests.Session:
    """A client that neither a proxy nor a `.netrc` of the caller comes in between."""
    session = requests.Session()
    session.trust_env = False
    return session
