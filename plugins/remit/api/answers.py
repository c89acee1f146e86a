"""Answers, as routes make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import Response


@dataclass(frozen=True)
class Answer:
    """What is answered: plain data, so that it can be stored and given again."""

    status: int
    document: Mapping[str, Any] = field(repr=False)
    """A JSON object. It may hold a secret that is shown once."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it goes out."""
        return Response(
            json.dumps(self.document, ensure_ascii=False).encode(),
            status_code=self.status,
            media_type="application/json",
            headers=dict(self.headers),
        )
