"""What did a program start that is not in its session any more, as what runs in a container?"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def end_other_sessions(pid: int) -> None:
    """End what a program started, and what that started, in sessions other than its own."""
    for one in _descendants(pid):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(one) != pid:
                os.kill(one, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ended in this moment
            for child in path.read_text(encoding="ascii").split():
                yield int(child)
                yield from _descendants(int(child))
