"""Declares regular expressions of which a process uses few: each is compiled on first use."""

import re
from functools import cached_property
from typing import Any, AnyStr, cast


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """
    Return what `re.compile` returns, except that it is compiled once a method or an attribute of it is needed.

    A mistake in a pattern is raised on first use; functions of `re` do not accept it.
    """
    return cast("re.Pattern[AnyStr]", LazyPattern(text, flags))


class LazyPattern:
    """Stands for a compiled pattern."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[Any]:
        return re.compile(self._text, self._flags)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the pattern, and keep it, so that it is found without this method from then on."""
        value = getattr(self._compiled, name)
        vars(self)[name] = value
        return value
