"""XML of the S3 API: written from plain values, read into elements without namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from benchmarks.standins.s3.errors import S3Error

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'

Value = str | int | bool | None | Mapping[str, "Value"] | Sequence["Value"]


def document(name: str, content: Mapping[str, Value], *, namespace: bool = True) -> bytes:
    """A document: mappings are elements, sequences are elements of the same name, None is none."""
    attribute = f' xmlns="{_NAMESPACE}"' if namespace else ""
    return f"{_PROLOGUE}<{name}{attribute}>{_inner(content)}</{name}>".encode()


def _inner(content: Mapping[str, Value]) -> str:
    return "".join(_element(name, value) for name, value in content.items())


def _element(name: str, value: Value) -> str:
    match value:
        case None:
            return ""
        case Mapping():
            return f"<{name}>{_inner(value)}</{name}>"
        case bool():
            return f"<{name}>{str(value).lower()}</{name}>"
        case str() | int():
            return f"<{name}>{escape(str(value), {chr(13): '&#13;'})}</{name}>"
        case _:
            return "".join(_element(name, each) for each in value)


def parse(body: memoryview) -> ET.Element:
    """The root of a document.

    Raises:
        S3Error: MalformedXML.
    """
    try:
        root = ET.fromstring(bytes(body))  # noqa: S314 - it comes from our own clients
    except ET.ParseError:
        raise S3Error(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published"
            " schema",
        ) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def texts(elements: Iterable[ET.Element]) -> dict[str, str]:
    """The text of elements by their names."""
    return {element.tag: (element.text or "").strip() for element in elements}
