"""The way to DynamoDB is that of botocore's own clients: by their proxies, with their bundles."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remit.aws.query import RawQuery
from remit.errors import StoreUnavailable
from remit.stop import Stop
from tests.support.aws import aws_at

NOBODY = "http://127.0.0.1:9"
DYNAMODB = "http://dynamodb.us-east-1.amazonaws.com"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


class Handler(BaseHTTPRequestHandler):
    """Answers with an empty page, and notes what was asked for."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        content = json.dumps({"Items": [], "Count": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def server(tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Its address and what it is asked for."""
    asked: list[str] = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), type("Noting", (Handler,), {"asked": asked}))
    if tls is not None:
        made.socket = tls.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield f"127.0.0.1:{made.server_port}", asked
    made.shutdown()
    made.server_close()


def ask(endpoint: str) -> None:
    query = RawQuery(aws_at(endpoint), endpoint, Stop(), patience=timedelta())
    (page,) = query.pages({"TableName": "Payments"})
    assert page.count == 0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without a proxy or a bundle of this machine's."""
    for name in (*VARIABLES, *map(str.lower, VARIABLES), *BUNDLES, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_proxy_of_the_environment_is_asked(environment: pytest.MonkeyPatch) -> None:
    with server() as (proxy, asked):
        environment.setenv("HTTP_PROXY", f"http://{proxy}")
        ask(DYNAMODB)
        assert asked == [f"{DYNAMODB}/"]


def test_where_no_proxy_is_wanted_none_is_asked(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", NOBODY)
    environment.setenv("NO_PROXY", "127.0.0.1")
    with server() as (address, asked):
        ask(f"http://{address}")
        assert asked == ["/"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, signed by nobody else, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def endpoint(certificate: Path) -> Iterator[str]:
    """An endpoint whose certificate only those know who were told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(context) as (address, _):
        yield f"https://{address}"


@pytest.mark.parametrize("variable", BUNDLES)
def test_a_bundle_of_the_environment_is_trusted(
    environment: pytest.MonkeyPatch, endpoint: str, certificate: Path, variable: str
) -> None:
    environment.setenv(variable, str(certificate))
    ask(endpoint)


def test_a_bundle_of_the_profile_is_trusted(
    environment: pytest.MonkeyPatch, endpoint: str, certificate: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    file.write_text(f"[default]\nca_bundle = {certificate}\n")
    environment.setenv("AWS_CONFIG_FILE", str(file))
    ask(endpoint)


def test_who_is_not_in_the_bundle_is_not_trusted(endpoint: str) -> None:
    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        ask(endpoint)
