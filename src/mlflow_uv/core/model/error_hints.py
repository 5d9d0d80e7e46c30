"""Finds in a model's error what is missing: a variable, a module, a library, a trusted type or a column type."""

import re

from ...command.lazy_pattern import lazy_pattern

_VARIABLE = lazy_pattern(r"KeyError: '([A-Za-z_][A-Za-z0-9_]*)'")
_NAME = lazy_pattern(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_MODULE = lazy_pattern(r"No module named '([\w.]+)'")
_LIBRARY = lazy_pattern(r"([\w.+-]+\.so[\w.]*): cannot open shared object file")
_UNTRUSTED = lazy_pattern(r"[Uu]ntrusted types found in the file: (\[[^\]]*\])")
_UNSERIALIZABLE = lazy_pattern(r"Object of type (\w+) is not JSON serializable")
_CATEGORY = lazy_pattern(r"categor(?:y|ical|ies)", re.IGNORECASE)


def variables_in(text: str, reason: str) -> tuple[str, ...]:
    """Possible names of a missing variable: keys of KeyErrors, the last first, then names in capitals in the reason."""
    return tuple(dict.fromkeys((*reversed(_VARIABLE.findall(text)), *_NAME.findall(reason))))


def missing_module(text: str) -> str:
    """The top-level module that the last failed import names; empty without one."""
    return _last(_MODULE, text).partition(".")[0]


def missing_library(text: str) -> str:
    """The shared library that the last extension module could not open; empty without one."""
    return _last(_LIBRARY, text)


def untrusted_fix(text: str) -> str:
    """The argument that lets skops load the types that it refused; empty without such an error."""
    types = _last(_UNTRUSTED, text)
    return f"log_model(..., skops_trusted_types={types}), if you trust them" if types else ""


def category_fix(reason: str) -> str:
    """The fix for a model that needs categorical columns, which JSON cannot express; empty for another reason."""
    if _CATEGORY.search(reason) is None:
        return ""
    return "convert the columns with astype(...) in the model's predict: JSON has only text and numbers"


def answer_fix(reason: str) -> str:
    """The fix for a model that answers with a type that JSON lacks, such as a set; empty for another reason."""
    found = _UNSERIALIZABLE.search(reason)
    if found is None:
        return ""
    return (
        f"convert the {found[1]} in the model's predict, as by list(...), float(...) or str(...): JSON has no such type"
    )


def _last(pattern: "re.Pattern[str]", text: str) -> str:
    matches: list[str] = pattern.findall(text)
    return matches[-1] if matches else ""
