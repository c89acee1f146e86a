"""Second places for the files of schedules: `s3://bucket/prefix/`, where the deployment lets them.

`REMIT_EXPORT_DESTINATIONS` lists what is allowed. A place is allowed if one of the list is how it
begins. `{merchant}` in the list stands for the merchant's own id, so that nobody writes among the
files of another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from remit.errors import ConfigurationError, FieldError, InvalidRequest

MERCHANT = "{merchant}"
MAX_DESTINATION = 500

_PLACE = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>([\w!.*'()=%{}-]+/)*)", re.ASCII
)
_RULE = "s3://bucket/ or s3://bucket/prefix/, with a slash at its end"


@dataclass(frozen=True)
class Destination:
    """A bucket, and what the keys in it begin with: nothing, or a text with a slash at its end."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def read_destination(text: str) -> Destination:
    """A destination from its text.

    Raises:
        ValueError: it is none.
    """
    match = _PLACE.fullmatch(text)
    if match is None or len(text) > MAX_DESTINATION:
        raise ValueError("not a bucket and a prefix")
    if not {".", ".."}.isdisjoint(match["prefix"].split("/")):
        raise ValueError("a prefix with a dot for a folder")
    return Destination(match["bucket"], match["prefix"])


def check_destination(text: str, merchant_id: str, allowed: str) -> Destination:
    """A destination that a merchant may have; `allowed` is the setting.

    Raises:
        InvalidRequest: it is no destination, or not one that the deployment allows.
        ConfigurationError: the setting is wrong.
    """
    places = [str(place) for place in _allowed(allowed, merchant_id)]
    if not places:
        message = "this deployment has no destinations beside the download"
        raise InvalidRequest(FieldError("destination", message, "none"))
    try:
        place = read_destination(text)
    except ValueError as error:
        raise InvalidRequest(FieldError("destination", str(error), _RULE)) from None
    if not any(str(place).startswith(known) for known in places):
        message = "this deployment does not allow it"
        rule = tuple(f"{known}…" for known in places)
        raise InvalidRequest(FieldError("destination", message, rule))
    return place


def _allowed(setting: str, merchant_id: str) -> list[Destination]:
    places = []
    for text in filter(None, (part.strip() for part in setting.split(","))):
        try:
            listed = read_destination(text)
        except ValueError as error:
            raise ConfigurationError(
                f"REMIT_EXPORT_DESTINATIONS: {text!r} is {error}, such as "
                f"s3://lake/remit/{MERCHANT}/; each has a slash at its end"
            ) from None
        own = quote(merchant_id, safe="").replace(".", "%2E")
        places.append(Destination(listed.bucket, listed.prefix.replace(MERCHANT, own)))
    return places
