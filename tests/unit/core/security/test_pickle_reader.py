"""The reader of pickles reads whatever CPython's unpicklers read: each of their imports is reported."""

import io
import pickle
import pickletools
import random
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mlflow_uv.core.security.pickle_opcodes import Incomplete, Unscannable
from mlflow_uv.core.security.pickle_reader import PickleReader

STREAMS = 400
LINES = (
    b"0x10", b"1", b" 2 ", b"0", b"1_0", b"01", b"1.5", b"nan", b"5L", b"'posix'", b'"system"', b"'po\\x73ix'",
    b"posix", b"system", b"p\\u006fsix", b"", b"1\0x", b"\xc3\xa9", b"-1", b"''", b"'\\q'",
)  # fmt: skip
# Pieces that import the mark, or that other readers stop at.
PIECES = (b"\x8c\x05posix\x8c\x06system\x93", b"\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93", b"I0x10\n0")
WIDTHS = {-2: 1, -3: 4, -4: 4, -5: 8}
PUSH = [opcode for opcode in pickletools.opcodes if opcode.stack_after and not opcode.stack_before]


class InC(pickle.Unpickler):
    """The unpickler in C, which imports nothing but notes what it would."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.seen: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        """See pickle."""
        self.seen.append(f"{module}.{name}")
        return dict


class InPython(pickle._Unpickler):
    """The same in Python, of which joblib's is a subclass."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.seen: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        """See pickle."""
        self.seen.append(f"{module}.{name}")
        return dict


def argument(opcode: pickletools.OpcodeInfo, chance: random.Random) -> bytes:
    """A plausible argument of an opcode, and at times a wrong one."""
    if opcode.arg is None:
        return b""
    if opcode.name in {"GLOBAL", "INST"}:
        return chance.choice((b"posix\nsystem\n", chance.choice(LINES) + b"\n" + chance.choice(LINES) + b"\n"))
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return chance.choice(LINES) + b"\n"
    if opcode.arg.n >= 0:
        return chance.choice((b"", b"\1", b"\2", b"\4")).ljust(opcode.arg.n, b"\0")
    content = chance.choice((b"posix", b"system", b"\xff", b""))
    size = len(content) if chance.random() < 0.95 else chance.choice((len(content) + 1, 200))
    return size.to_bytes(WIDTHS[opcode.arg.n], "little") + content


def stream(chance: random.Random) -> bytes:
    """Opcodes of which about a third of the streams import something."""
    parts = [chance.choice((b"", b"\x80\x04", b"\x80\x02", b"\x80\x03"))]
    for _ in range(chance.randrange(1, 14)):
        opcode = chance.choice(PUSH if chance.random() < 0.5 else pickletools.opcodes)
        written = opcode.code.encode("latin1") + argument(opcode, chance)
        parts.append(chance.choice(PIECES) if chance.random() < 0.25 else written)
    return b"".join(parts) + chance.choice((b".", b".", b""))


def reported(content: bytes) -> tuple[list[str], bool]:
    """The imports that are reported, and whether the pickle was read to its end."""
    reader = PickleReader(io.BytesIO(content), 10_000)
    found: list[str] = []
    with suppress(Incomplete):
        found.extend(item.shown for item in reader.imports())
    return found, reader.finished


@pytest.mark.parametrize("unpickler", [InC, InPython])
@pytest.mark.parametrize("seed", range(3))
def test_what_an_unpickler_imports_is_reported(unpickler: Callable[[io.BytesIO], Any], seed: int) -> None:
    """
    Of random streams; and what it reads to the end is read to the end.
    """
    chance = random.Random(seed)
    importing = 0
    for _ in range(STREAMS):
        content = stream(chance)
        loader, loaded = unpickler(io.BytesIO(content)), False
        with warnings.catch_warnings(), suppress(Exception):
            warnings.simplefilter("ignore")
            loader.load()
            loaded = True
        found, finished = reported(content)

        importing += bool(loader.seen)
        assert "?.?" in found or set(loader.seen) <= set(found), content
        assert finished or not loaded, content
    assert importing > STREAMS / 10


def described(shape: bytes, code: bytes = b"f8", more: bytes = b"") -> bytes:
    """The description of an array, as joblib writes it before the bytes."""
    text = lambda value: b"\x8c" + bytes([len(value)]) + value  # noqa: E731
    wrapper = text(b"joblib.numpy_pickle") + text(b"NumpyArrayWrapper") + b"\x93)\x81}("
    dtype = text(b"numpy") + text(b"dtype") + b"\x93" + text(code) + b"\x89\x88\x87R"
    return b"\x80\x04" + wrapper + text(b"shape") + shape + text(b"dtype") + dtype + more + b"ub"


EVIL = b"\x8c\x05posix\x8c\x06system\x93\x8c\x01a\x85R"
ALIGNED = b"\x8c\x1bnumpy_array_alignment_bytesK\x10"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (described(b"K\x02K\x03\x86") + b"\xff" * 48 + b".", False),
        (described(b"K\x02\x85", more=ALIGNED) + b"\x03\xff\xff\xff" + b"\xff" * 16 + b".", False),
        (described(b"K\x02\x85") + b"\xff" * 16 + EVIL + b".", True),
        (described(b"K\x05\x85") + EVIL.ljust(40, b"\xff") + b".", True),
        (described(b"K\x01\x85", b"O8") + b"\x80\x02N." + b".", False),
        (described(b"K\x01\x85", b"O8") + EVIL + b"." + b".", True),
    ],
    ids=["matrix", "aligned", "behind an array", "instead of an array", "objects", "in objects"],
)
def test_the_bytes_of_arrays_are_skipped_and_read(content: bytes, found: bool) -> None:
    """
    As joblib skips them, and as pickle reads them.
    """
    assert ("posix.system" in reported(content)[0], True) == (found, reported(content)[1])


@pytest.mark.parametrize(
    "content",
    [
        described(b"K\x09\x85") + b"\xff" * 16 + b".",
        described(b"K\x02\x85", b"Z9") + b"\xff" * 16 + b".",
        described(b"N") + b"\xff" * 16 + b".",
        b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)R}b.",
        b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81\x85.",
        described(b"K\x02\x85", more=b"\x8c\x01xh\x00").replace(b")\x81}(", b")\x81}\x94(") + b"\xff" * 16 + b".",
    ],
    ids=["too large", "type", "shape", "called", "passed on", "two names"],
)
def test_arrays_that_joblib_does_not_write_so_are_refused(content: bytes) -> None:
    """
    Their size for joblib may be another.
    """
    with pytest.raises(Unscannable):
        list(PickleReader(io.BytesIO(content), 10_000).imports())
