"""Finds in the error of a model what it lacks: a variable, a module, a library, a trusted type or a kind of input."""

import re

_VARIABLE = re.compile(r"KeyError: '([A-Za-z_][A-Za-z0-9_]*)'")
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_MODULE = re.compile(r"No module named '([\w.]+)'")
_LIBRARY = re.compile(r"([\w.+-]+\.so[\w.]*): cannot open shared object file")
_UNTRUSTED = re.compile(r"[Uu]ntrusted types found in the file: (\[[^\]]*\])")
_CATEGORY = re.compile(r"categor(?:y|ical|ies)", re.IGNORECASE)


def variables_in(text: str, reason: str) -> tuple[str, ...]:
    """What may be the name of a missing variable: the key of a KeyError, then names in capitals in the reason."""
    return tuple(dict.fromkeys((*reversed(_VARIABLE.findall(text)), *_NAME.findall(reason))))


def missing_module(text: str) -> str:
    """The module that the last import missed, without what is inside of it."""
    return _last(_MODULE, text).partition(".")[0]


def missing_library(text: str) -> str:
    """The file of the system that the last extension module missed."""
    return _last(_LIBRARY, text)


def untrusted_fix(text: str) -> str:
    """What lets skops load the types that it refuses; nothing where it refuses none."""
    types = _last(_UNTRUSTED, text)
    return f"log_model(..., skops_trusted_types={types}), if you trust them" if types else ""


def category_fix(reason: str) -> str:
    """What helps a model that wants categories, which no request holds; nothing where it does not speak of them."""
    if _CATEGORY.search(reason) is None:
        return ""
    return "let its predict make the columns categories, by astype(...): JSON has text and numbers alone"


def _last(pattern: "re.Pattern[str]", text: str) -> str:
    found: list[str] = pattern.findall(text)
    return found[-1] if found else ""
