"""
Splits a pickle into opcodes and arguments by the lengths that CPython's unpickler gives them, and accepts any content.

So what cannot be read here, the unpickler cannot read either, and nothing behind it runs. `pickletools.genops` is
stricter (`I0x10` is an integer for the unpickler), so only its table of opcodes is used. The lengths are those of
`Modules/_pickle.c`, in which every length is unsigned.
"""

import codecs
import pickletools
from typing import BinaryIO
from warnings import catch_warnings, simplefilter

from .pickle_imports import COMPUTED

OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_WIDTHS = {-2: 1, -3: 4, -4: 4, -5: 8}  # of the length before an argument, by the codes of pickletools
_TEXT = 1 << 16  # bytes of an argument that are read; no name of a module is longer


class Incomplete(Exception):  # it is a state of a pickle
    """A pickle that ends, or that the unpickler cannot read further, before its last opcode."""


class Unscannable(Incomplete):
    """A pickle that a loader may read further, and this reader does not."""


class PickleOpcodes:
    """The opcodes from the position of a stream on."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        at = stream.tell()
        self.end = stream.seek(0, 2)
        stream.seek(at)

    def opcode(self) -> pickletools.OpcodeInfo:
        """The next opcode. Raises Incomplete at the end, and for a byte that is none."""
        code = self.stream.read(1)
        if not code:
            raise Incomplete("it ends before its last opcode")
        if code[0] not in OPCODES:
            raise Incomplete(f"byte {self.stream.tell() - 1} is no opcode")
        return OPCODES[code[0]]

    def argument(self, argument: pickletools.ArgumentDescriptor | None) -> bytes | None:
        """The bytes of an argument; None for one that is too long to be of use."""
        if argument is None:
            return b""
        if argument.n == pickletools.UP_TO_NEWLINE:
            return self.line()
        return self.content(argument.n if argument.n >= 0 else self.number(_WIDTHS[argument.n]))

    def number(self, width: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.content(width) or b"", "little")

    def content(self, size: int) -> bytes | None:
        """So many bytes; None if they are too many to be of use."""
        if size > _TEXT:
            if size > self.end - self.stream.tell():
                raise Incomplete("an argument is longer than the file")
            self.stream.seek(size, 1)
            return None
        content = self.stream.read(size)
        if len(content) < size:
            raise Incomplete("it ends within an argument")
        return content

    def line(self) -> bytes | None:
        """A line without its end; None if it is too long to be of use."""
        line = piece = self.stream.readline(_TEXT)
        if not line:
            raise Incomplete("it ends within an argument")
        while not piece.endswith(b"\n") and (piece := self.stream.readline(_TEXT)):
            line = b""
        return line[:-1] if line else None  # without a line feed, the unpickler drops the last byte, too

    def names(self) -> tuple[str, str]:
        """The names of a module and of its member, on two lines."""
        module, name = self.line(), self.line()
        if module is None or name is None:
            return COMPUTED, COMPUTED
        return module.decode(errors="backslashreplace"), name.decode(errors="backslashreplace")


def quoted_text(argument: bytes | None) -> str | None:
    """The text in the quotes of STRING; None if there are none. Raises ValueError for an escape that cannot be read."""
    if argument is None or len(argument) < 2 or argument[:1] != argument[-1:]:  # noqa: PLR2004  # two quotes
        return None
    with catch_warnings():
        simplefilter("ignore")  # for escapes that Python does not know
        content: bytes = codecs.escape_decode(argument[1:-1])[0]
    return content.decode("latin1")


def memo_index(argument: bytes | None, *, line: bool) -> int:
    """The number of an entry of the memo, in a `line` or as bytes. Raises Incomplete for a line without a number."""
    if not line:
        return int.from_bytes(argument or b"", "little")
    try:
        return int((argument or b"").partition(b"\0")[0])  # C's text ends there
    except ValueError as error:
        raise Incomplete("an entry of its memo has no number") from error
