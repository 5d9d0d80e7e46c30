"""
Compares how the server and the standard library read and write floats: `python -I float_texts.py SERVING SEED COUNT`.

The result is written as JSON to standard output: the version of pydantic-core, whether the server uses it, how many
texts were read and how many floats written, and the first differences.
"""

import importlib
import json
import math
import runpy
import struct
import sys
from collections.abc import Iterator
from decimal import Decimal, getcontext
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pydantic_core

FOLDER = Path(sys.argv[1])
runpy.run_path(str(FOLDER / "__main__.py"))["load_package"](FOLDER)
fast_writing: Any = importlib.import_module("mlflow_uv_serving.protocols.fast_writing")
json_text: Any = importlib.import_module("mlflow_uv_serving.protocols.json_text")

AT_ONCE = 10_000
# Texts that parsers of JSON disagree about: for each the standard library decides.
ODD = (
    "1e400", "-1e400", "-0", "-0.0", "1E5", "1e-400", "NaN", "-NaN", "-Infinity", "Infinity", "01", "1.", "[1,]", "1e",
    "+1", "nan", "inf", ".5", "-", "1_0", "9" * 30, "9" * 4300, "9" * 4301, "9223372036854775808", "[1]x", " 1 ",
    "\ufeff1", "\x0b1", "1\u00a0", "1e99999999999999999999", "0e999999999999", "2.2250738585072011e-308",
    "1.7976931348623159e308", "2.4703282292062327e-324", "2.4703282292062328e-324", '{"a": 1, "b": 2, "a": 3}',
    '"\\ud800"', '"\\ud83d\\ude00"', '"\x01"', '"\\x"', '"\0"', "[" * 150 + "]" * 150, "[" * 500 + "]" * 500, "", "tru",
    "[1 2]", "{1: 2}", "{'a': 1}", "// 1", "1 // 1", "\u2028 1", '"\u2028"', '"\\/"', "truefalse", '{"a" 1}', '{"":0,}',
)  # fmt: skip
BYTES = (b"\xff1", b"\xef\xbb\xbf1", "1".encode("utf-16"), "[1]".encode("utf-16-le"), "1".encode("utf-32"),
         b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b'"\xc3"', b"1\0", b"\0" + b"1")  # fmt: skip


def digits(random: Random, most: int) -> str:
    """Up to this many random digits."""
    return "".join(random.choice("0123456789") for _ in range(random.randint(1, most)))


def any_double(random: Random) -> float:
    """A finite float of any magnitude."""
    value = math.nan
    while not math.isfinite(value):
        (value,) = struct.unpack("<d", struct.pack("<Q", random.getrandbits(64)))
    return float(value)


def near_tie(random: Random) -> str:
    """A number halfway between two floats, or beside it."""
    low = random.random() * 10.0 ** random.randint(-280, 280)
    middle = (Decimal(low) + Decimal(math.nextafter(low, math.inf))) / 2
    return format(middle + random.choice((-1, 0, 0, 1)) * middle.scaleb(-random.choice((20, 40, 100))), "e")


def float_text(random: Random) -> str:
    """The text of a float as a client may write it."""
    match random.randrange(7):
        case 0:
            return repr(any_double(random))
        case 1:
            return f"{any_double(random):.{random.randint(0, 40)}e}"
        case 2:
            return repr(random.random() * 10 ** random.randint(-6, 18))
        case 3:
            return f"{random.uniform(-1e6, 1e6):.{random.randint(1, 30)}f}"
        case 4:
            exponent = random.choice(("", f"e{random.randint(-350, 350)}", f"E+{random.randint(0, 350)}"))
            return f"{random.randint(1, 9)}{digits(random, 60)}.{digits(random, 60)}{exponent}"
        case 5:
            exponent = random.choice(("", f"e{random.randint(-50, 350)}"))
            return f"-0.{'0' * random.randint(0, 30)}{digits(random, 40)}{exponent}"
        case _:
            return near_tie(random)


def plain_float(random: Random) -> float:
    """A float, mostly one that Python writes without an exponent."""
    match random.randrange(5):
        case 0:
            return random.uniform(-1, 1) * 10.0 ** random.randint(-4, 16)
        case 1:
            return random.random()
        case 2:
            return float(random.randint(-(10 ** random.randint(1, 16)), 10 ** random.randint(1, 16)))
        case 3:
            return round(random.uniform(-1e4, 1e4), random.randint(0, 8))
        case _:
            return math.nextafter(10.0 ** random.randint(-4, 16), random.choice((-math.inf, math.inf)))


def result(read: Any, text: "str | bytes") -> str:
    """What a reader makes of a text: the value, or that it is refused."""
    try:
        return repr(read(text))
    except (ValueError, RecursionError):
        return "refused"


def differences(random: Random, count: int) -> "Iterator[list[str]]":
    """Texts and floats of which the server makes something else."""
    texts: list[str | bytes] = [*ODD, *(text.encode("utf-8", "surrogatepass") for text in ODD), *BYTES]
    for odd in texts:
        if result(json.loads, odd) != result(json_text.loads, odd):
            yield [repr(odd[:80]), result(json.loads, odd), result(json_text.loads, odd)]
    for _ in range(0, count, AT_ONCE):
        floats_read = [float_text(random) for _ in range(AT_ONCE)]
        together = f"[{', '.join(floats_read)}]"
        for text, own, fast in zip(floats_read, json.loads(together), json_text.loads(together), strict=True):
            if struct.pack("<d", own) != struct.pack("<d", fast):
                yield [text, repr(own), repr(fast)]
        floats = [plain_float(random) for _ in range(AT_ONCE)]
        together = (fast_writing.numbers_text(np.array(floats)) or json.dumps(floats))[1:-1]
        for value, own, fast in zip(floats, map(json.dumps, floats), together.split(", "), strict=True):
            if own != fast:
                yield [repr(value), own, fast]


def main() -> None:
    """Compare and print the result."""
    getcontext().prec = 800
    seed, count = map(int, sys.argv[2:])
    shown = [difference for difference, _ in zip(differences(Random(seed), count), range(5), strict=False)]
    version, used = pydantic_core.__version__, json_text.core is not None
    print(json.dumps({"version": version, "used": used, "count": count, "differences": shown}))


if __name__ == "__main__":
    main()
