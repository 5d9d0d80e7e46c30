"""
Creates an interpreter that answers uv's query for its properties and runs nothing else, so that uv cannot build.

uv's own `--no-build` still builds editable packages and workspace members, and a checkout can also name interpreters:
its `.venv`, or a path in `.python-version`. Every build starts the interpreter that uv was given, whatever the settings
are.
"""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from threading import get_ident

from ...command.lazy_pattern import lazy_pattern
from ...core.release.digests import sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..project.files import write_atomically
from ..system.process import Completed

REFUSAL = "mlflow-uv: nothing is built here"
# uv queries an interpreter by running its own program with `-I`; it starts a build backend without `-I`.
_ANSWERING = rf"""
import re, sys
own, *words = sys.argv[1:]
asked = r"import sys; sys\.path = \[[^;\n]*\] \+ sys\.path; "
asked += r"from python\.get_interpreter_info import main; main\(\)"
if words[:-1] != ["-I", "-B", "-c"] or not re.fullmatch(asked, words[-1]):
    sys.exit({REFUSAL!r})
sys.executable = sys._base_executable = own
sys.argv = ["-c"]
exec(words[-1])
"""
_BUILT = lazy_pattern(r"Failed to (?:build|generate package metadata for|download and build) `([^`\n]+)`")


@lazy_dataclass
class InertPython:
    """Creates such interpreters in a private folder; `default` is the real one behind them, unless uv needs another."""

    cache: Path
    default: Path

    def of(self, python: Path | None) -> Path:
        """An inert interpreter with the properties of `python`. Raises ToolFailed if it cannot be written."""
        real = str(python or self.default)
        text = f'#!/bin/sh\nexec {shlex.join((real, "-I", "-B", "-c", _ANSWERING))} "$0" "$@"\n'
        path = self.cache / "inert" / sha256(text.encode())[:16] / "python"
        if not os.access(path, os.X_OK):
            # Replaced atomically: another thread or process may create it at the same time.
            beside = path.with_name(f"{os.getpid()}-{get_ident()}")
            write_atomically(beside, text.encode())
            beside.chmod(0o755)
            beside.replace(path)
        return path

    def variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Variables that keep uv from any other interpreter, and from a cache that the checkout names."""
        home = Path(variables.get("XDG_CACHE_HOME") or Path(variables.get("HOME", ""), ".cache"))
        usual = home / "uv" if home.is_absolute() else self.cache / "uv-cache"
        return {
            "UV_CACHE_DIR": variables.get("UV_CACHE_DIR") or str(usual),
            "UV_PROJECT_ENVIRONMENT": str(self.cache / "inert" / "none"),
            "UV_PYTHON_DOWNLOADS": "never",
        }


def refused_build(done: Completed) -> str:
    """The package that uv would have to build, empty if it failed for another reason."""
    named = _BUILT.search(done.stderr) if done.code != 0 else None
    if named is None:
        return ""
    name = re.match(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", named[1])
    return name[0] if name else named[1]
