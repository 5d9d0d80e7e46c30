"""Finds the records of CSV text (RFC 4180), whose quoted fields may contain line breaks, without parsing the values."""

import re
from bisect import bisect_left

# A quoted field starts after a comma or a line break. Elsewhere in a field a quote is a character like any other. The
# quote that ends a field is not the first of two: a field that is cut after `"""` is not an empty one and a quote. A
# field that is not closed takes the rest of the text, in which no other one is looked for.
_QUOTED = re.compile(rb'(?:\A|(?<=[,\r\n]))"(?:[^"]*(?:""[^"]*)*"(?!")|(?P<open>[\s\S]*))')


def end_of_records(text: bytes) -> int:
    """The end of the last complete record of a text that starts with a record; 0 if there is none."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    fields, limit = _quoted_fields(text)
    starts = [start for start, _ in fields]
    cut = text.rfind(b"\n", 0, limit)
    while cut >= 0:
        before = bisect_left(starts, cut) - 1
        if before < 0 or fields[before][1] <= cut:
            break
        cut = text.rfind(b"\n", 0, fields[before][0])
    return cut + 1


def end_of_first_record(text: bytes) -> int:
    """The end of the first complete record of a text; 0 if there is none."""
    fields, limit = _quoted_fields(text)
    end = text.find(b"\n", 0, limit)
    for start, stop in fields:
        if start < end < stop:
            end = text.find(b"\n", stop, limit)
    return end + 1


def split_records(text: bytes) -> "list[bytes]":
    """The records of a text, with their line breaks, without blank lines. Text after the last line break is one too."""
    lines = text.splitlines(keepends=True)
    if b'"' in text:
        fields, limit = _quoted_fields(text)
        lines = _joined(lines, fields, limit)
    return [line for line in lines if line.strip()]


def _joined(lines: "list[bytes]", fields: "list[tuple[int, int]]", limit: int) -> "list[bytes]":
    """Join the lines whose break is inside a quoted field."""
    records: list[bytes] = []
    record, position, number = b"", 0, 0
    for line in lines:
        record += line
        position += len(line)
        while number < len(fields) and fields[number][1] < position:
            number += 1
        inside = number < len(fields) and fields[number][0] < position <= fields[number][1] - 1
        if not inside and position <= limit:
            records.append(record)
            record = b""
    return [*records, record] if record else records


def _quoted_fields(text: bytes) -> "tuple[list[tuple[int, int]], int]":
    """Start and end of each quoted field, and the start of a last one that is not closed (else the text's length)."""
    fields: list[tuple[int, int]] = []
    for match in _QUOTED.finditer(text):
        if match.lastgroup is not None:
            return fields, match.start()
        fields.append(match.span())
    return fields, len(text)
