"""`python -m remit serve`: the trigger hook as a service of its own, beside Airflow."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from ipaddress import ip_network

from remit.errors import ConfigurationError
from remit.log_lines import LOGGING

HELP = "serve the hook beside Airflow, which it calls through its public REST API"

MOST_HEADER_BYTES = 32 << 10
"""Of a request's line and headers together: a token has 8 KiB at the most."""

ADDRESSES = "addresses or networks, separated by commas, such as 10.0.3.7,10.1.0.0/16"


@dataclass(frozen=True)
class _Range:
    """An argument that is a whole number within limits."""

    name: str
    default: int
    least: int
    most: int
    meaning: str

    def check(self, value: int) -> None:
        if not self.least <= value <= self.most:
            raise ConfigurationError(
                f"{self.name} is {value}: it must be between {self.least} and {self.most}"
            )


NUMBERS = {
    "port": _Range("--port", 8081, 0, 65535, "where it listens"),
    "workers": _Range("--workers", 1, 1, 64, "processes, one per core"),
    "connections": _Range(
        "--connections", 512, 1, 65536, "of each process at once; more are answered 503"
    ),
    "keep_alive": _Range(
        "--keep-alive", 15, 1, 3600, "seconds that an idle connection is kept; longer than a proxy"
    ),
    "grace": _Range("--grace", 10, 1, 600, "seconds that requests have to end after SIGTERM"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="the address that it listens on")
    for number in NUMBERS.values():
        parser.add_argument(
            number.name,
            type=int,
            default=number.default,
            metavar="N",
            help=f"{number.meaning} ({number.default})",
        )
    parser.add_argument(
        "--forwarded-allow-ips",
        default="",
        metavar="IPS",
        help=f"proxies whose X-Forwarded-For and -Proto are believed: {ADDRESSES}; none by default",
    )


def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: an argument or a setting is wrong; nothing was served.
    """
    for name, number in NUMBERS.items():
        number.check(getattr(options, name))
    proxies = trusted(options.forwarded_allow_ips)
    import uvicorn

    from remit.service import service
    from remit.serving import HookProtocol

    service()  # a wrong setting is told here, in one line, and not by each process in many
    uvicorn.run(
        "remit.service:service",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        # The parser that bounds a request's headers, and with it the time that they have.
        http=HookProtocol,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        ws="none",
        lifespan="on",
        log_config=dict(LOGGING),
        access_log=False,  # the app has its own, with what a merchant's request is known by
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        limit_concurrency=options.connections,
        timeout_keep_alive=options.keep_alive,
        timeout_graceful_shutdown=options.grace,
    )


def trusted(text: str) -> list[str]:
    """The proxies that an argument names.

    Raises:
        ConfigurationError: one is no address and no network, or is everybody.
    """
    networks = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ip_network(one)
        except ValueError:
            raise ConfigurationError(
                f"--forwarded-allow-ips has {one!r}: it must be {ADDRESSES}"
            ) from None
        if network.prefixlen == 0:
            raise ConfigurationError(
                f"--forwarded-allow-ips has {one!r}, which is everybody: anyone could then say "
                f"where a request comes from; it must be {ADDRESSES}"
            )
        networks.append(str(network) if "/" in one else one)
    return networks
