"""Reads a file that the caller named for one run: a link and a pipe are fine, within a limit."""

from pathlib import Path

from ...command.errors import BadInput


def read_named(path: Path, *, limit: int) -> bytes:
    """
    Return the bytes of a file, link or pipe, such as `<(command)` of a shell. Raises BadInput for more than `limit`.

    No setting of a checkout may name it; `read_untrusted` is for those.
    """
    what, fix = f"`{path}` is not read", f"name a file of at most {limit} bytes"
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BadInput(what=what, why=error.strerror or str(error), fix=fix) from error
    if len(content) > limit:
        raise BadInput(what=what, why=f"it is larger than {limit} bytes", fix=fix)
    return content
