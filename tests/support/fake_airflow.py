"""As much of Airflow's REST API as the trigger calls, answering as a test says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.standins.http import Response, Server
from benchmarks.standins.reading import Request

USER, PASSWORD = "remit-hook", "correct horse"
WELL = {"is_stale": False, "has_import_errors": False, "is_paused": False}


def jwt_like(number: int, seconds: float = 3600) -> str:
    """A token as Airflow makes them, for the eye of the trigger: nobody checks its signature."""
    claims = {"sub": USER, "iat": 1000, "exp": 1000 + seconds, "number": number}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.signature"


class Seen:
    """One request."""

    def __init__(self, request: Request) -> None:
        self.method = request.method
        self.target = request.target
        self.token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.body: Any = json.loads(bytes(request.body)) if request.body else None

    def __repr__(self) -> str:
        return f"{self.method} {self.target}"


class FakeAirflow:
    """Everything is well until a test says otherwise."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.dags: dict[str, dict[str, bool]] = {"export_payments": dict(WELL)}
        self.assets = {"remit_outbox": 7}
        self.runs: set[str] = set()
        self.lifetime = 3600.0
        self.refusal = 401
        self.issued: list[str] = []
        self.valid: set[str] = set()
        self.instead: list[Response] = []
        """Answers to the next requests, in place of what they ask for."""

    def calls(self) -> list[str]:
        """Method and target of every request."""
        return [repr(one) for one in self.seen]

    def issue(self) -> str:
        """A token that is valid from now on."""
        token = jwt_like(len(self.issued), self.lifetime)
        self.issued.append(token)
        self.valid.add(token)
        return token

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        seen = Seen(request)
        self.seen.append(seen)
        if self.instead:
            return self.instead.pop(0)
        if seen.target == "/auth/token":
            right = seen.body == {"username": USER, "password": PASSWORD}
            told = f"Invalid credentials {seen.body}"  # an auth manager may repeat what it was told
            return said(201, access_token=self.issue()) if right else said(401, detail=told)
        if seen.token not in self.valid:
            return said(self.refusal, detail="Invalid JWT token")
        match seen.method, seen.target.partition("?")[0].split("/")[3:]:
            case "GET", ["dags", dag]:
                found = self.dags.get(dag)
                return said(404, detail="no such DAG") if found is None else said(200, **found)
            case "POST", ["dags", _, "dagRuns"]:
                known = seen.body["dag_run_id"] in self.runs
                self.runs.add(seen.body["dag_run_id"])
                return said(409, detail="exists") if known else said(200, **seen.body)
            case "GET", ["assets"]:
                # As the pattern does: `_` stands for any character.
                listed = [{"name": "remit-outbox", "id": 3}]
                listed += [{"name": name, "id": number} for name, number in self.assets.items()]
                return said(200, assets=listed)
            case "POST", ["assets", "events"]:
                known = seen.body["asset_id"] in self.assets.values()
                return said(200, id=1) if known else said(404, detail="no such asset")
        return said(405, detail="what is that?")


def said(status: int, **document: Any) -> Response:
    """An answer in JSON."""
    return Response(status, {"Content-Type": "application/json"}, [json.dumps(document).encode()])


@contextmanager
def fake_airflow() -> Iterator[tuple[FakeAirflow, str]]:
    """One, and its URL, for the length of the block."""
    fake = FakeAirflow()
    with Server(fake.handle, name="fake airflow") as server:
        yield fake, server.url
