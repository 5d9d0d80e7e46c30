"""Sets the two attributes of a Linux process for which Python has no function."""

import sys

_SET_DUMPABLE, _SET_CHILD_SUBREAPER = 4, 36


def make_undumpable() -> bool:
    """Deny other processes of the user access to this one's memory and environment in /proc; False on failure."""
    return _prctl(_SET_DUMPABLE, 0)


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent ends (a subreaper); False if that is not supported."""
    return _prctl(_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    """Call prctl(2) through `_ctypes`, which takes 1 ms to import; `ctypes` takes 7 ms, in every hook."""
    if sys.platform != "linux":
        return False
    try:
        import _ctypes  # noqa: PLC0415  # some Pythons are built without it

        function = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None is this program
        return bool(_ctypes.call_function(function, (option, value, 0, 0, 0)) == 0)
    except (ImportError, OSError, AttributeError):
        return False
