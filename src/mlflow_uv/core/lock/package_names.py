"""Normalises the names of packages, extras and groups."""

import re


def canonicalize_name(name: str) -> str:
    """
    Normalise a name as the name specification (PEP 503) and uv do: lower case, one hyphen between the parts.

    It is `packaging.utils.canonicalize_name`, whose module a hook would import for this line alone, with `platform`,
    `logging` and the tags of wheels.
    """
    return re.sub(r"[-_.]+", "-", name).lower()
