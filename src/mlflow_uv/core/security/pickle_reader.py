"""
Follows a pickle without running it, and lists what it imports.

It keeps the stack and the memo of CPython's unpickler, and stops only where that stops. Files of joblib have the bytes
of arrays between the opcodes. Whether joblib or pickle loads a file is not known, so what follows the description of an
array is read as opcodes, too.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar

from .pickle_imports import COMPUTED, PickleImport, import_of
from .pickle_opcodes import Incomplete, PickleOpcodes, Unscannable, memo_index, quoted_text
from .pickle_values import (
    ArrayDescription,
    ArrayType,
    ImportedGlobal,
    MadeValue,
    ValueKind,
    describe_type,
    is_no_text,
    reads_a_member,
)  # fmt: skip

_DESCRIBED = frozenset({"shape", "dtype", "numpy_array_alignment_bytes"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IMPORTING = frozenset({"GLOBAL", "INST"})  # which have two lines
_TAINTED = "?"
_LARGEST = 1 << 62


class PickleReader:
    """
    One pickle at the position of a stream, of which `most` opcodes are read.

    `called` tells whether it calls anything, `finished` whether it was read to its end.
    """

    def __init__(self, stream: BinaryIO, most: int, *, arrays: bool = True) -> None:
        self.called = self.finished = False
        self.left = most
        self._most, self._arrays, self._stream, self._opcodes = most, arrays, stream, PickleOpcodes(stream)
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._protocol = 0
        self._found: list[PickleImport] = []

    def imports(self) -> Iterator[PickleImport]:
        """
        Yield the imports, and leave the stream behind the pickle.

        Raises Incomplete after the imports of the part that can be read, and Unscannable.
        """
        while not self.finished:
            try:
                self._next()
            except (Incomplete, ValueError) as error:
                yield from self._found
                self._found.clear()
                if isinstance(error, Incomplete):
                    raise
                raise Incomplete("it has text that cannot be decoded") from error
            yield from self._found
            self._found.clear()

    def _next(self) -> None:
        if self.left <= 0:
            raise Unscannable(f"it has more than {self._most} opcodes")
        self.left -= 1
        opcode = self._opcodes.opcode()
        handler = self._handlers.get(opcode.name)
        if handler is not None:
            handler(self, self._opcodes.argument(opcode.arg) if opcode.name not in _IMPORTING else b"")
            return
        self._opcodes.argument(opcode.arg)
        if opcode.name in _TUPLES:
            self._push_tuple(self._popped(_TUPLES[opcode.name]))
        elif (
            opcode.stack_after and not opcode.stack_before
        ):  # the others that push are of one kind: a value without text
            self._stack.append(ValueKind.OTHER)

    # The stack

    def _pop(self) -> Any:
        self._require(1)
        return self._stack.pop()

    def _require(self, count: int) -> None:
        if len(self._stack) - count < (self._marks[-1] if self._marks else 0):
            raise Incomplete("it takes a value that is not there")

    def _popped(self, count: int) -> tuple[Any, ...]:
        self._require(count)
        start = len(self._stack) - count
        values = tuple(self._stack[start:])
        del self._stack[start:]
        return values

    def _marked(self) -> tuple[Any, ...]:
        if not self._marks:
            raise Incomplete("it takes a mark that is not there")
        start = self._marks.pop()
        values = tuple(self._stack[start:])
        del self._stack[start:]
        return values

    def _use(self, *values: Any) -> None:
        """Values go where they are not followed: what depends on how they are used is refused."""
        for value in values:
            if isinstance(value, ImportedGlobal) and value.is_getattr:
                self._found.append(value.found)
            elif (isinstance(value, ImportedGlobal) and value.is_array) or isinstance(value, ArrayDescription):
                self._refuse_array()
            elif isinstance(value, dict):
                value.update({_TAINTED: True} if self._arrays else {})

    def _refuse_array(self) -> None:
        if self._arrays:
            raise Unscannable("an array of joblib is not written as joblib writes it")

    # Opcodes

    def _proto(self, argument: bytes | None) -> None:
        self._protocol = (argument or b"\0")[0]

    def _stop(self, _: bytes | None) -> None:
        self._use(self._pop())
        self.finished = True

    def _mark(self, _: bytes | None) -> None:
        self._marks.append(len(self._stack))

    def _discard(self, _: bytes | None) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _discard_marked(self, _: bytes | None) -> None:
        self._marked()

    def _duplicate(self, _: bytes | None) -> None:
        self._require(1)
        self._fetched(self._stack[-1])

    def _text(self, argument: bytes | None, encoding: str = "utf-8") -> None:
        self._stack.append(ValueKind.UNKNOWN if argument is None else argument.decode(encoding, "surrogatepass"))

    def _line_of_text(self, argument: bytes | None) -> None:
        self._text(argument, "raw-unicode-escape")

    def _bytes_of_text(self, argument: bytes | None) -> None:
        self._text(argument, "latin1")

    def _quoted(self, argument: bytes | None) -> None:
        text = quoted_text(argument)
        self._stack.append(ValueKind.UNKNOWN if text is None else text)

    def _integer(self, argument: bytes | None) -> None:
        self._stack.append(int.from_bytes(argument or b"", "little", signed=len(argument or b"") > 2))  # noqa: PLR2004  # BININT

    def _long(self, argument: bytes | None) -> None:
        self._stack.append(ValueKind.OTHER if argument is None else int.from_bytes(argument, "little", signed=True))

    def _none(self, _: bytes | None) -> None:
        self._stack.append(None)

    def _unknown(self, _: bytes | None) -> None:
        self._stack.append(ValueKind.UNKNOWN)

    def _persistent(self, _: bytes | None) -> None:
        self._use(self._pop())
        self._stack.append(ValueKind.UNKNOWN)

    def _tuple(self, _: bytes | None) -> None:
        self._push_tuple(self._marked())

    def _push_tuple(self, values: tuple[Any, ...]) -> None:
        self._use(*values)
        self._stack.append(values)

    def _collection(self, _: bytes | None) -> None:
        self._use(*self._marked())
        self._stack.append(ValueKind.OTHER)

    def _append(self, _: bytes | None) -> None:
        self._use(self._pop())
        self._require(1)

    def _appends(self, _: bytes | None) -> None:
        self._use(*self._marked())
        self._require(1)

    def _empty_dict(self, _: bytes | None) -> None:
        self._stack.append({})

    def _dict(self, _: bytes | None) -> None:
        items = self._marked()
        self._stack.append({})
        self._set(items)

    def _setitem(self, _: bytes | None) -> None:
        self._set(self._popped(2))

    def _setitems(self, _: bytes | None) -> None:
        self._set(self._marked())

    def _set(self, items: tuple[Any, ...]) -> None:
        self._require(1)
        target = self._stack[-1]
        self._use(*items)
        for key, value in zip(items[::2], items[1::2], strict=False):
            if isinstance(target, dict) and self._arrays:
                if isinstance(key, str):
                    target.update({key: value} if key in _DESCRIBED else {})
                elif key is not None and key is not ValueKind.OTHER and not isinstance(key, int | tuple):
                    target[_TAINTED] = True

    def _put(self, argument: bytes | None, *, line: bool = True) -> None:
        self._require(1)
        self._memo[memo_index(argument, line=line)] = self._stack[-1]

    def _binput(self, argument: bytes | None) -> None:
        self._put(argument, line=False)

    def _memoize(self, _: bytes | None) -> None:
        self._require(1)
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, argument: bytes | None, *, line: bool = True) -> None:
        index = memo_index(argument, line=line)
        if index not in self._memo:
            raise Incomplete("it takes a value that is not in its memo")
        self._fetched(self._memo[index])

    def _binget(self, argument: bytes | None) -> None:
        self._get(argument, line=False)

    def _fetched(self, value: Any) -> None:
        """Push a value a second time: what describes an array must not have two names."""
        if isinstance(value, dict | ArrayDescription):
            self._use(value)
        self._stack.append(value)

    # Imports and calls

    def _import(self, module: str, name: str, position: int) -> ImportedGlobal:
        pickle_import = import_of(module, name, self._protocol, position)
        imported = ImportedGlobal(pickle_import)
        if not imported.is_getattr:
            self._found.append(pickle_import)
        return imported

    def _global(self, _: bytes | None) -> None:
        position = self._stream.tell() - 1
        self._stack.append(self._import(*self._opcodes.names(), position))

    def _inst(self, _: bytes | None) -> None:
        position = self._stream.tell() - 1
        imported = self._import(*self._opcodes.names(), position)
        self._use(imported, *self._marked())
        self._stack.append(self._call(imported))

    def _stack_global(self, _: bytes | None) -> None:
        position = self._stream.tell() - 1
        module, name = self._popped(2)
        if any(is_no_text(value, plain=not self._arrays) for value in (module, name)):
            raise Incomplete("an import has a name that is no text")
        known = isinstance(module, str) and isinstance(name, str)
        self._stack.append(self._import(module if known else COMPUTED, name if known else COMPUTED, position))

    def _extension(self, argument: bytes | None) -> None:
        position = self._stream.tell() - 1 - len(argument or b"")
        number = int.from_bytes(argument or b"", "little")
        self._stack.append(self._import(COMPUTED, f"copyreg extension {number}", position))

    def _call(self, of: object) -> MadeValue:
        self.called = True
        return MadeValue(of)

    def _reduce(self, _: bytes | None) -> None:
        function, arguments = self._popped(2)
        result = self._call(function)
        if isinstance(function, ImportedGlobal) and function.is_getattr:
            if not reads_a_member(arguments):
                self._found.append(function.found)
        else:
            self._use(function)
        self._use(arguments)
        if isinstance(function, ImportedGlobal) and (function.found.module, function.found.name) == ("numpy", "dtype"):
            code = arguments[0] if isinstance(arguments, tuple) and arguments else ""
            result = ArrayType(function, code if isinstance(code, str) else "")
        self._stack.append(result)

    def _newobj(self, _: bytes | None) -> None:
        of, arguments = self._popped(2)
        result = self._call(of)
        if isinstance(of, ImportedGlobal) and of.is_array and arguments == ():
            result = ArrayDescription(of)
        else:
            self._use(of, arguments)
        self._stack.append(result)

    def _newobj_ex(self, _: bytes | None) -> None:
        of, *arguments = self._popped(3)
        self._use(of, *arguments)
        self._stack.append(self._call(of))

    def _obj(self, _: bytes | None) -> None:
        values = self._marked()
        if not values:
            raise Incomplete("it calls nothing")
        self._use(*values)
        self._stack.append(self._call(values[0]))

    def _build(self, _: bytes | None) -> None:
        self._require(2)
        target, state = self._popped(2)
        self.called = True
        self._stack.append(target)
        if isinstance(target, ArrayDescription):
            if self._arrays:
                self._array(target, state)
            return
        self._use(target, state)
        if isinstance(target, ArrayType) and self._arrays:
            describe_type(target, state)

    # Arrays of joblib

    def _array(self, array: ArrayDescription, state: Any) -> None:
        if not isinstance(state, dict) or _TAINTED in state:
            self._refuse_array()
        array.description.update(state)
        self._read_plainly()
        self._stack[-1] = ValueKind.OTHER
        dtype, shape = (array.description.get(key) for key in ("dtype", "shape"))
        lengths = shape if isinstance(shape, tuple) else (-1,)
        if not isinstance(dtype, ArrayType) or any(type(length) is not int or length < 0 for length in lengths):
            raise Unscannable("an array of joblib has no size")
        if dtype.objects:
            self._nested(PickleReader(self._stream, self.left, arrays=False))
            return
        alignment = array.description.get("numpy_array_alignment_bytes")
        if alignment is not None:
            self._opcodes.content(self._opcodes.number(1))
        size = math.prod(lengths) * dtype.size
        if dtype.size < 0 or size > self._opcodes.end - self._stream.tell() or max(lengths, default=0) > _LARGEST:
            raise Unscannable("an array of joblib has no size, or is larger than the file")
        self._stream.seek(size, 1)

    def _read_plainly(self) -> None:
        """Read on as the unpickler does, for which there is no array here, and as one that begins here."""
        start = self._stream.tell()
        plain, fresh = (PickleReader(self._stream, self.left, arrays=False) for _ in range(2))
        plain._stack, plain._marks, plain._memo = [*self._stack], [*self._marks], {**self._memo}  # noqa: SLF001  # its own
        plain._protocol = self._protocol  # noqa: SLF001  # its own
        for reader in (plain, fresh):
            reader.left = self.left
            try:
                self._nested(reader)
            except Unscannable:
                raise
            except Incomplete:
                pass
            self._stream.seek(start)

    def _nested(self, reader: "PickleReader") -> None:
        try:
            self._found += reader.imports()
        finally:
            self.left = reader.left

    _handlers: ClassVar[dict[str, Callable[..., None]]] = {
        "PROTO": _proto, "STOP": _stop, "MARK": _mark, "POP": _discard, "POP_MARK": _discard_marked,
        "DUP": _duplicate, "SHORT_BINUNICODE": _text, "BINUNICODE": _text, "BINUNICODE8": _text,
        "UNICODE": _line_of_text, "STRING": _quoted, "BINSTRING": _bytes_of_text,
        "SHORT_BINSTRING": _bytes_of_text, "BININT": _integer, "BININT1": _integer, "BININT2": _integer,
        "LONG1": _long, "LONG4": _long, "NONE": _none, "PERSID": _unknown, "NEXT_BUFFER": _unknown,
        "BINPERSID": _persistent, "TUPLE": _tuple, "LIST": _collection, "FROZENSET": _collection,
        "APPEND": _append, "APPENDS": _appends, "ADDITEMS": _appends, "EMPTY_DICT": _empty_dict,
        "DICT": _dict, "SETITEM": _setitem, "SETITEMS": _setitems, "PUT": _put, "BINPUT": _binput,
        "LONG_BINPUT": _binput, "MEMOIZE": _memoize, "GET": _get, "BINGET": _binget, "LONG_BINGET": _binget,
        "GLOBAL": _global, "INST": _inst, "STACK_GLOBAL": _stack_global, "EXT1": _extension,
        "EXT2": _extension, "EXT4": _extension, "REDUCE": _reduce, "NEWOBJ": _newobj, "NEWOBJ_EX": _newobj_ex,
        "OBJ": _obj, "BUILD": _build,
    }  # fmt: skip
