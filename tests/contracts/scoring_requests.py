"""
Generates scoring requests for a model: valid ones, edge values, and ones that are wrong in one way or in several.

All choices come from a `random.Random`, or from anything with its methods, such as hypothesis' `randoms()`. Needs the
standard library alone: interpreters with MLflow run it.
"""

import json
from random import Random
from typing import Any

JSON = "application/json"
Column = tuple[str, str]
BIG = (
    2**24 + 1,
    2**54 + 2**30 + 1,
    2**31 - 1,
    2**31,
    -(2**31),
    2**53 - 1,
    2**53 + 1,
    -(2**53) - 3,
    2**62,
    2**63 - 1,
    2**63,
    10**25,
)
FLOATS = (0.0, -0.0, 0.1, 1 / 3, 5e-324, 1.5e-45, 1e22, 1.7976931348623157e308, 16777217.0, float("inf"), float("nan"))
TEXTS = (
    "", "a", "none", "nan", "NaN", "None", "NA", "1", "1.5", "true", "2020-01-01", "é",
    "\U0001f600", "\ud800", "a\0b", "c\0",
    "x" * 70, "\n", '"', "[1]",
)  # fmt: skip
DATES = ("2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 12:34:56.123456789", "1600-01-01", "soon")
WRONG: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 1.5, "1", "1.5", "", "a", [], [1], {}, {"a": 1}, *BIG, *FLOATS,
)  # fmt: skip
ODD_COLUMNS: tuple[Any, ...] = ([], [1], 1, "a", None, [[1]], [None, None])
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
MEDIA = ("application/json; charset=utf-8", "application/json; charset=latin-1", "application/json; odd=1", "text/html")


def valid(random: Random, kind: str) -> Any:
    """A value that a column of an MLflow type takes; a missing one where the type has it."""
    if kind in {"double", "float"}:
        return random.choice(
            (round(random.gauss(0, 100), 3), random.random(), random.randint(-9, 9), random.choice(FLOATS))
        )
    if kind in {"integer", "long"}:
        return random.randint(-(2**31), 2**31 - 1) if kind == "integer" else random.randint(-(2**63), 2**63 - 1)
    if kind == "byte":
        return random.randint(0, 255)
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "string":
        return random.choice(TEXTS)
    if kind == "datetime":
        return random.choice(DATES)
    if kind == "binary":
        return random.choice(("YQ==", "", "aGVsbG8="))
    if kind == "array":
        return [random.randint(0, 9) for _ in range(random.randint(0, 3))]
    if kind == "object":
        return {"a": random.random(), "b": "x"}
    if kind == "map":
        return {random.choice("pq"): random.randint(0, 9)}
    return random.choice(WRONG)


def cell(random: Random, kind: str, wrong: float, missing: float = 0.02) -> Any:
    """A value; with the probability `wrong` one of any type, with `missing` none or a large one."""
    if random.random() < wrong:
        return random.choice(WRONG)
    if kind in {"double", "float", "string"} and random.random() < missing:
        return random.choice((None, None, random.choice(BIG))) if kind != "string" else None
    return valid(random, kind)


def table(random: Random, columns: "list[Column]") -> "tuple[list[str], list[list[Any]]]":
    """Names and rows, mostly those of the columns."""
    wrong, missing = random.choice((0, 0, 0, 0, 0.02, 0.3)), random.choice((0, 0, 0.05, 0.3))
    columns = list(columns)
    if random.random() < 0.3:
        random.shuffle(columns)
    if random.random() < 0.06:
        columns.append((random.choice(("extra", "", "a b", columns[0][0] if columns else "x")), "double"))
    if columns and random.random() < 0.06:
        columns.pop()
    count = random.choice((1, 1, 1, 2, 2, 3, 5, 0))
    homogeneous = [random.random() < 0.2 for _ in columns]
    first = [cell(random, kind, wrong, missing) for _, kind in columns]
    rows = [
        [
            value if same else cell(random, kind, wrong, missing)
            for (_, kind), same, value in zip(columns, homogeneous, first, strict=True)
        ]
        for _ in range(count)
    ]
    return [name for name, _ in columns], rows


def nested(random: Random, shape: "tuple[int, ...]", kind: str, wrong: float) -> Any:
    """Nested lists of a shape, in which -1 is any size; some ragged."""
    if not shape:
        return cell(random, kind, wrong)
    size = random.choice((1, 2, 3)) if shape[0] < 0 else shape[0]
    if random.random() < wrong / 4:
        size += random.choice((-1, 1))
    return [nested(random, shape[1:], kind, wrong) for _ in range(size)]


def by_name(names: "list[str]", rows: "list[list[Any]]") -> "list[dict[str, Any]]":
    """The rows as objects."""
    return [dict(zip(names, row, strict=True)) for row in rows]


def content(random: Random, form: str, columns: "list[Column]") -> Any:
    """What stands under a form's name for a model with columns."""
    names, rows = table(random, columns)
    if form == "dataframe_split":
        value: dict[str, Any] = {"columns": names, "data": rows}
        if random.random() < 0.1:
            value["index"] = random.choice((None, list(range(len(rows))), [7] * len(rows), ["a"], 3))
        if random.random() < 0.05:
            value.pop(random.choice(list(value)))
        if random.random() < 0.03:
            value[random.choice(("data", "columns", "other"))] = random.choice((*WRONG, [[]], [[1], [2, 3]], [{}], [1]))
        return value
    if form == "dataframe_records":
        records = by_name(names, rows)
        if random.random() < 0.08:
            random.choice(records or [{}])[random.choice((*names, "more"))] = random.choice(WRONG)
        if records and names and random.random() < 0.06:
            random.choice(records).pop(random.choice(list(dict.fromkeys(names))), None)
        if records and random.random() < 0.1:
            records[-1] = dict(reversed(records[-1].items()))
        return records
    if form == "instances":
        return random.choice((by_name(names, rows), by_name(names, rows), by_name(names, rows), rows, [1, 2], ["a"], 1))
    by_column = {name: [row[number] for row in rows] for number, name in enumerate(names)}
    if by_column and random.random() < 0.06:
        by_column[random.choice(list(by_column))] = random.choice(ODD_COLUMNS)
    return random.choice((by_column, by_column, by_column, by_name(names, rows), rows, [1], "a", 1, {}))


def tensors(random: Random, form: str, specs: "list[tuple[str, str, tuple[int, ...]]]") -> Any:
    """What stands under a form's name for a model with tensors; the name of an unnamed one is empty."""
    wrong = random.choice((0, 0, 0, 0.05, 0.3))
    if random.random() < 0.05:
        return random.choice((*WRONG, [[]], [[1], [2, 3]], [{}], [{"a": 1}, 2], {"x": [1]}))
    if not specs[0][0]:
        return nested(random, specs[0][2], specs[0][1], wrong)
    count = random.choice((1, 2, 3))
    parts = {}
    for name, kind, shape in specs:
        if random.random() > wrong / 4:
            size = count if random.random() > wrong / 4 else count + 1
            parts[name] = [nested(random, shape[1:], kind, wrong) for _ in range(size)]
    if random.random() < wrong / 4:
        parts["more"] = [1, 2]
    if random.random() < 0.3:
        parts = dict(reversed(parts.items()))
    if form == "inputs":
        return parts if random.random() < 0.9 else next(iter(parts.values()), [])
    return [
        {name: part[number] for name, part in parts.items() if number < len(part)}
        for number in range(max(map(len, parts.values()), default=0))
    ]


def csv_of(random: Random, columns: "list[Column]") -> bytes:
    """A table as CSV."""
    names, rows = table(random, columns)
    lines = [names, *[["" if value is None else str(value) for value in row] for row in rows]]
    text = "\n".join(",".join('"' + value.replace('"', '""') + '"' for value in line) for line in lines)
    return text.encode("utf-8", "surrogatepass")


def request(random: Random, model: "dict[str, Any]") -> "tuple[bytes, str]":
    """
    Body and Content-Type of a request.

    `model` has `columns`, pairs of a name and an MLflow type, or `tensors`, triples of a name, a type and a shape; and
    `params`, names of parameters.
    """
    columns: list[Column] = model.get("columns", [("x", "double")])
    specs: Any = model.get("tensors")
    if random.random() < 0.03:
        return csv_of(random, columns), random.choice(("text/csv", "text/csv; charset=utf-8"))
    form = random.choice(FORMS if specs is None else (*FORMS, "inputs", "inputs", "instances", "instances"))
    plain = specs is None or form.startswith("dataframe")
    body: Any = {form: content(random, form, columns) if plain else tensors(random, form, specs)}
    if random.random() < 0.03:
        body[form] = random.choice((*WRONG, [], {}))
    if random.random() < 0.04:
        body[random.choice((*FORMS, "messages", "input", "other", "signature_name"))] = random.choice(WRONG)
    if random.random() < (0.5 if model.get("params") else 0.04):
        params = {
            name: random.choice((1, 2.5, "a", None)) for name in model.get("params", ("p",)) if random.random() < 0.7
        }
        body["params"] = random.choice((params, params, params, None, 1))
    if random.random() < 0.02:
        body = random.choice((*WRONG, [body], json.dumps(body)))
    text = json.dumps(body, ensure_ascii=random.random() < 0.9 or "\\ud800" in json.dumps(body)).encode()
    if random.random() < 0.02:
        text = random.choice((text[:-1], text + b"x", b"", b"\xff" + text, text.decode().encode("utf-16"), b"[" * 5000))
    return text, JSON if random.random() < 0.97 else random.choice(MEDIA)


# Requests that a fast path answered differently at some time, or that only one wrong reading answers differently: the
# model, a turn of its answer (see fast_path_corpus), and the body.
KEPT: "list[tuple[str, int, Any]]" = [
    ("one column of text", 20, {"inputs": {"x": ["c\0", "a\0b"]}}),
    ("columns of string", 20, {"instances": [{"string0": "c\0", "string1": ""}]}),
    ("one column of text", 20, {"dataframe_split": {"columns": ["x"], "data": [[None], ["a"]]}}),
    ("one column of text", 20, {"dataframe_split": {"columns": ["x"], "data": [[None]]}}),
    ("one column of text", 20, {"dataframe_records": [{"x": "2020-01-01"}, {"x": "1"}]}),
    ("columns of boolean", 1, {"dataframe_records": [{"boolean1": True, "boolean0": False}]}),
    ("columns of boolean", 20, {"dataframe_records": [{"boolean0": None, "boolean1": 2}]}),
    ("columns of integer", 20, {"inputs": {"integer0": [1], "integer1": [2**31]}}),
    ("columns of integer", 20, {"dataframe_records": [{"integer0": 1, "integer1": 2**31}]}),
    ("columns of long", 20, {"dataframe_records": [{"long0": 1.5, "long1": 2**53 + 1}]}),
    ("columns of long", 20, {"dataframe_records": [{"long0": 2.5, "long1": 1}, {"long0": None, "long1": 1}]}),
    ("columns of long", 20, {"dataframe_split": {"columns": ["long1", "long0"], "data": [[1, 2**53 + 1], [1, 1.5]]}}),
    ("columns of long", 0, {"dataframe_split": {"columns": ["long1", "long0"], "data": [[1, 2]]}}),
    ("columns of float", 20, {"dataframe_split": {"columns": ["float0", "float1"], "data": [[2**54 + 2**30 + 1, 1]]}}),
    ("columns of float", 20, {"dataframe_records": [{"float0": 0.1, "float1": -0.0}, {"float0": None, "float1": 1e9}]}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double1"], "data": [[None, 1], [2, None]]}}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double1"], "data": [[10**30, 2**64]]}}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double0"], "data": [[1, 2]]}}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double1"], "data": [[1, 2, 3]]}}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double1"], "data": [[1, 2], [3]]}}),
    ("columns of double", 20, {"dataframe_split": {"columns": ["double0", "double1"], "index": [7], "data": [[1, 2]]}}),
    ("columns of double", 20, {"dataframe_records": [{"double0": 1, "double1": 2}, {"double1": 3, "more": 4}]}),
    ("columns of double", 20, {"dataframe_records": [{"double0": True, "double1": "1"}, {"double0": 1, "double1": 2}]}),
    ("columns of double", 20, {"inputs": {"double0": [1], "double1": [1, 2]}}),
    ("columns of double", 20, {"inputs": {"double0": [[1, 2], [3], [4, 5, 6]], "double1": [[1], [2], [3]]}}),
    ("columns of double", 20, {"inputs": {"double0": [[1], [2]], "double1": [[3], [4]]}}),
    ("columns of double", 9, {"inputs": {"double0": [1e16, 0.0001, -0.0], "double1": [1 / 3, 1e-5, 5]}}),
    ("columns of double", 20, {"instances": [{"double0": 1, "double1": 2}], "inputs": []}),
    ("columns of double", 20, {"instances": [{"double1": 1, "double0": 2.5}], "messages": []}),
    ("columns of double", 4, {"instances": [{"double1": 0.1, "double0": 1 / 3}]}),
    ("columns of double", 7, {"instances": [{"double1": 0.1, "double0": 1 / 3}]}),
    ("mixed", 20, {"dataframe_records": [
        {"float": 0.1, "boolean": True, "double": None, "string": "a", "long": 2**62, "integer": -5}]}),
    ("optional", 1, {"instances": [
        {"boolean": False, "integer": 1, "long": 2, "float": 0.5, "double": 0.1, "string": "c\0"}]}),
    ("many", 20, {"dataframe_split": {"columns": [f"double{n}" for n in range(5)], "data": [[1, 2, 3, 4, 5.5]] * 3}}),
    ("parameters", 20, {"dataframe_records": [{"double0": 1.5, "double1": 2}], "params": {"p": 2.5}}),
    ("tensor of integers", 20, {"inputs": [1, 2.5, True]}),
    ("tensor of doubles", 20, {"instances": [[1, 2], [3, "4"]]}),
    ("tensor of doubles", 20, {"inputs": []}),
    ("named tensors", 20, {"instances": [{"b": 1, "a": [1, 2]}, {"a": [3, None], "b": 2}]}),
    ("one named tensor", 20, {"inputs": [[1, 2], [3, 4]]}),
]  # fmt: skip
