"""What the reader of pickles knows of a value: a global, what was made of it, or the array that joblib describes."""

import re
from enum import Enum
from typing import Any

from .pickle_imports import PickleImport, is_harmless_member

_CODE = re.compile(r"([fiubcmMSUVO])(\d{1,9})")
_STATE = 8  # items of the state of a type of NumPy, at least
_FIELDS_AT, _SIZE_AT = 4, 5
_SIZED = frozenset({"S", "U", "V"})  # types whose state has the size


class ValueKind(Enum):
    """Values of which nothing else is known."""

    OTHER = "a value that is no text"
    UNKNOWN = "a value that may be text"


class ImportedGlobal:
    """What an import gave."""

    def __init__(self, found: PickleImport) -> None:
        self.found = found

    @property
    def is_array(self) -> bool:
        """Whether it is the class of joblib's descriptions."""
        return (self.found.module, self.found.name) == ("joblib.numpy_pickle", "NumpyArrayWrapper")

    @property
    def is_getattr(self) -> bool:
        """Whether it reads attributes."""
        return (self.found.module, self.found.name) == ("builtins", "getattr")


class MadeValue:
    """What a call gave, and what was called."""

    def __init__(self, of: object) -> None:
        self.of = of


class ArrayDescription(MadeValue):
    """The description of an array, after which joblib has its bytes."""

    def __init__(self, of: object) -> None:
        super().__init__(of)
        self.description: dict[str, Any] = {}


class ArrayType(MadeValue):
    """A type of NumPy: the size of an item in bytes, negative if it is not known, and whether items are objects."""

    def __init__(self, of: object, code: str) -> None:
        super().__init__(of)
        match = _CODE.fullmatch(code)
        self.code = match[1] if match else ""
        self.size = int(match[2]) * (4 if self.code == "U" else 1) if match else -1
        self.objects = self.code == "O"


def reads_a_member(arguments: Any) -> bool:
    """Whether the arguments of getattr are a class or an object that was made of one, and a harmless name."""
    if not isinstance(arguments, tuple) or len(arguments) != 2:  # noqa: PLR2004  # an object and a name
        return False
    target, name = arguments
    of = target.of if isinstance(target, MadeValue) else target
    made_of_class = isinstance(of, ImportedGlobal) and of.found.names_class
    return made_of_class and isinstance(name, str) and is_harmless_member(name)


def describe_type(dtype: ArrayType, state: Any) -> None:
    """Take the size and the fields of a type's state; a state that is not one of NumPy leaves no size."""
    if not isinstance(state, tuple) or len(state) < _STATE or type(state[_SIZE_AT]) is not int:
        dtype.size = -1
        return
    if state[_FIELDS_AT] is not None:  # fields, which may be of objects, are in a dictionary that is not followed
        dtype.objects = False
        dtype.size = state[_SIZE_AT] if dtype.code == "V" else -1
    elif state[_SIZE_AT] != -1:
        dtype.size = state[_SIZE_AT] if dtype.code in _SIZED else -1


def is_no_text(value: Any, *, plain: bool) -> bool:
    """
    Whether the unpickler refuses a value as a name, which must be of the type str itself.

    What follows an array is read `plain` with the values before it, among which objects of classes are no text.
    """
    if (
        value is None
        or value is ValueKind.OTHER
        or isinstance(value, int | tuple | dict | ArrayDescription | ArrayType)
    ):
        return True
    of = value.of if isinstance(value, MadeValue) else None
    object_of_class = isinstance(of, ImportedGlobal) and of.found.names_class and of.found.module != "builtins"
    return plain and (object_of_class or (isinstance(value, ImportedGlobal) and value.is_array))
