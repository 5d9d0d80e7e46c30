"""Sets the two attributes of a Linux process for which Python has no function."""

import sys

_SET_DUMPABLE, _SET_CHILD_SUBREAPER = 4, 36


def make_undumpable() -> bool:
    """Close this process's memory and environment under /proc to others of the same user; False where that fails."""
    return _prctl(_SET_DUMPABLE, 0)


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends (a subreaper); False where there is no such thing."""
    return _prctl(_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    """Call prctl(2). What lies under ctypes takes 1 ms to import, ctypes itself 7 ms, and every hook would pay it."""
    if sys.platform != "linux":
        return False
    try:
        import _ctypes  # noqa: PLC0415  # some Pythons are built without it

        function = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None is this program
        return bool(_ctypes.call_function(function, (option, value, 0, 0, 0)) == 0)
    except (ImportError, OSError, AttributeError):
        return False
