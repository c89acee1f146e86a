"""Renderers: a pandas frame in, bytes of one format out to a sink."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from remit.exports.render.base import Renderer
from remit.exports.render.compressed import ENCODINGS, CompressedSink, Encoding
from remit.exports.render.csv import CsvRenderer
from remit.exports.render.ndjson import NdjsonRenderer
from remit.exports.render.parquet import ParquetRenderer
from remit.exports.render.sink import Sink
from remit.exports.render.xlsx import XlsxRenderer

RENDERERS: Mapping[str, type[Renderer]] = MappingProxyType(
    {"csv": CsvRenderer, "json": NdjsonRenderer, "parquet": ParquetRenderer, "xlsx": XlsxRenderer}
)
"""Format to its renderer."""

__all__ = ["ENCODINGS", "RENDERERS", "CompressedSink", "Encoding", "Renderer", "Sink"]
