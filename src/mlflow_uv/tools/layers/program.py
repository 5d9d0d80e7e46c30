"""Identifies the code of this program, on which the bytes of a composed image depend."""

from functools import cache
from pathlib import Path

from ... import __version__
from ...core.release.digests import canonical, sha256
from ..engines.build_context import locked_line
from ..system.content import digests_in

_PACKAGE = Path(__file__).parents[2]
# Of an installed package: its own pyproject.toml and uv.lock.
_NOT_CODE = frozenset({"__pycache__", "ours"})


@cache
def program_identity(ours: Path) -> str:
    """
    The version of this program, and a digest of its code and of the libraries that write an image or are in one.

    Equal identities give equal images; others may. `ours` is the folder with this program's uv.lock.
    """
    from importlib.metadata import version  # noqa: PLC0415  # imports `email`

    files = [(str(path), digest) for path, digest in digests_in(_PACKAGE, _NOT_CODE)]
    libraries = [locked_line(ours, "prometheus-client"), version("zlib-ng"), version("zstandard")]
    return f"{__version__}+{sha256(canonical([files, libraries]))[:16]}"
