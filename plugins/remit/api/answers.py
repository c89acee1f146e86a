"""Answers, as routes make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.responses import Response

NO_CONTENT = HTTPStatus.NO_CONTENT


@dataclass(frozen=True)
class Answer:
    """What is answered: plain data, so that it can be stored and given again."""

    status: int
    document: Mapping[str, Any] = field(repr=False)
    """A JSON object, which a 204 goes without. It may hold a secret."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it goes out."""
        if self.status == NO_CONTENT:
            return Response(status_code=self.status, headers=dict(self.headers))
        return Response(
            json.dumps(self.document, ensure_ascii=False).encode(),
            status_code=self.status,
            media_type="application/json",
            headers=dict(self.headers),
        )
