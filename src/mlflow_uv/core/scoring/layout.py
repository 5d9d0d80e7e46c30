"""Names the files of a scored table: which inputs have which format, and which part of the output holds which rows."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from pathlib import PurePosixPath

# Readers of folders, such as pyarrow and Spark, skip names that start with an underscore.
STATE = "_mlflow-uv"
REJECTS = "_rejects"
HIDDEN = ("_", ".")


class TableFormat(Enum):
    """The format of a file with a table."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


SUFFIXES = {
    ".parquet": TableFormat.PARQUET,
    ".pq": TableFormat.PARQUET,
    ".csv": TableFormat.CSV,
    ".jsonl": TableFormat.JSON_LINES,
    ".ndjson": TableFormat.JSON_LINES,
}


def format_of(name: str) -> TableFormat | None:
    """Return the format of a file by its suffix, None for any other file."""
    return SUFFIXES.get(PurePosixPath(name).suffix.lower())


def stems(inputs: Iterable[str]) -> dict[str, str]:
    """
    Return the start of the names of each input's parts, by the input's relative POSIX path.

    It is the path without the suffix; inputs that differ in their suffix only keep it.
    """
    paths = [PurePosixPath(name) for name in inputs]
    shared = Counter(path.with_suffix("") for path in paths)
    return {str(path): str(path if shared[path.with_suffix("")] > 1 else path.with_suffix("")) for path in paths}


def part_name(stem: str, number: int, output: TableFormat) -> str:
    """Return the relative path of a part; parts of an input are numbered from 0."""
    return f"{stem}-{number:05d}.{output.value}"


def rejects_name(part: str) -> str:
    """Return the relative path of the file with the rejected rows of a part."""
    return f"{REJECTS}/{PurePosixPath(part).with_suffix('.jsonl')}"
