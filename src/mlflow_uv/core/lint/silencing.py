"""Finds the comments that silence a rule: `mlflow-uv: ignore[tracking-uri]`, in a line or alone in the line above."""

import re
from collections.abc import Sequence

from ...command.lazy_pattern import lazy_pattern

_COMMENT = lazy_pattern(r"mlflow-uv:\s*ignore\[([^\]\n]*)\]")
_ALONE = lazy_pattern(r"""\s*(#|//|--|;|<!--|"\s*#).*""")


def silences(rows: Sequence[str], line: int, rule: str) -> bool:
    """Whether a comment silences a rule in a 1-based line of a file."""
    texts = [rows[line - 1]] if 0 < line <= len(rows) else []
    if 1 < line <= len(rows) + 1 and _ALONE.fullmatch(rows[line - 2].rstrip("\r")):
        texts.append(rows[line - 2])
    return any(rule in re.split(r"[\s,]+", names.strip()) for text in texts for names in _COMMENT.findall(text))
