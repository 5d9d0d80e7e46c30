"""Contract: what MLflow's schema enforcement takes, and in what it turns it, is what we call compatible."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.model.signature import Effect, signature_changes
from tests.contracts.mlflow_interpreter import MlflowInterpreter

# Makes data by the old list of columns, lets MLflow enforce the new one, and looks whether all of it came through, as
# what the new one says it is.
ORACLE = """\
import json, sys
import numpy, pandas
from mlflow.models.utils import _enforce_schema
from mlflow.types import Schema
from mlflow.types.utils import _infer_schema

SCALARS = {
    "boolean": numpy.array([True, False]), "integer": numpy.array([2, 3], "int32"),
    "long": numpy.array([2, 2**40]), "float": numpy.array([2.5, 3.5], "float32"),
    "double": numpy.array([2.5, 0.1]), "string": numpy.array(["2020-01-01", "2021-01-01"], object),
    "binary": numpy.array([b"1", b"2"], object),
    "datetime": numpy.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"),
}

def values(spec, whole):
    kind = spec["type"]
    if kind in SCALARS:
        return SCALARS[kind]
    if kind == "any":
        return SCALARS["string"]
    if kind == "tensor":
        shape = [(2 if whole else 5) if size == -1 else size for size in spec["tensor-spec"]["shape"]]
        return numpy.full(shape, 3, spec["tensor-spec"]["dtype"])
    if kind == "array":
        inner = values(spec["items"], whole)
        return [inner, inner]
    if kind == "map":
        return [{"k": one} for one in values(spec["values"], whole)]
    inner = {name: values(one, whole) for name, one in given(spec["properties"], whole).items()}
    return [{name: two[row] for name, two in inner.items()} for row in (0, 1)]

def given(specs, whole):
    return {name: spec for name, spec in specs.items() if whole or spec["required"]}

def frame(specs, whole):
    if specs[0]["type"] == "tensor":
        return values(specs[0], whole)
    named = given({spec.get("name", number): spec for number, spec in enumerate(specs)}, whole)
    return pandas.DataFrame({name: values(spec, whole) for name, spec in named.items()})

def same(one, other):
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, numpy.ndarray)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other or float(one) == float(other)

def verdict(old, new):
    for whole in (True, False):  # who sends everything, and who leaves out what is optional
        left = frame(old, whole)
        try:
            got = _enforce_schema(left.copy(), Schema.from_json(json.dumps(new)))
        except Exception:
            return "refused"
        if isinstance(left, numpy.ndarray):
            if not numpy.array_equal(left, got):
                return "changed"
            continue
        if set(got) != set(left):
            return "changed"
        wanted = {spec.get("name", number): spec for number, spec in enumerate(new)}
        for name in left:
            if "any" in json.dumps(wanted[name]):
                continue
            try:
                if not same(list(left[name]), list(got[name])):
                    return "changed"
            except (TypeError, ValueError):
                return "changed"
            (found,) = _infer_schema(got[[name]]).input_types()
            (input_type,) = Schema.from_json(json.dumps([wanted[name]])).input_types()
            optional = any(not one.required for one in getattr(input_type, "properties", ()))
            if not optional and found != input_type:  # what is inferred from data is required
                return "changed"
    return "taken"

json.dump([verdict(*pair) for pair in json.load(open(sys.argv[1]))], open(sys.argv[2], "w"))
"""
SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


def column(kind: Any, name: str | None = "x", **more: Any) -> dict[str, Any]:
    """A column as MLmodel describes it."""
    named = {} if name is None else {"name": name}
    return {**(kind if isinstance(kind, dict) else {"type": kind}), **named, "required": True, **more}


def array(items: Any) -> dict[str, Any]:
    """An array as MLmodel describes it."""
    return {"type": "array", "items": items if isinstance(items, dict) else {"type": items}}


def record(**properties: str) -> dict[str, Any]:
    """An object; a property whose name ends with an underscore is optional."""
    named = {name.rstrip("_"): {"type": kind, "required": name[-1] != "_"} for name, kind in properties.items()}
    return {"type": "object", "properties": named}


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    """A tensor as MLmodel describes it."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def pairs() -> list[tuple[list[Any], list[Any]]]:
    """Every two scalars, alone and inside of something, and what else may change."""
    two = list(itertools.product(SCALARS, repeat=2))
    found = [([column(one)], [column(other)]) for one, other in two]
    found += [([column(one, None)], [column(other, None)]) for one, other in two]
    found += [([column(array(one))], [column(array(other))]) for one, other in two if one not in ("string", "binary")]
    found += [([column(record(a=one))], [column(record(a=other))]) for one, other in two if "datetime" not in one]
    x, y, maybe = column("double"), column("double", "y"), column("double", "y", required=False)
    objects = (record(a="long"), record(a="long", b="long"), record(a="long", b_="long"))
    shapes = (tensor("float64", -1, 2), tensor("float64", -1, -1), tensor("float64", -1, 3), tensor("float64", -1))
    found += [([x, y], [y, x]), ([x, y], [x]), ([x], [x, y]), ([x], [x, maybe]), ([x, y], [x, maybe])]
    found += [([x, maybe], [x, y]), ([x, maybe], [x]), ([x], [column("any")]), ([x], [column(array("double"))])]
    found += [([column(one)], [column(other)]) for one, other in itertools.product(objects, repeat=2)]
    found += [([one], [other]) for one, other in itertools.product(shapes, repeat=2)]
    found += [([tensor("float32", -1)], [tensor("float64", -1)]), ([tensor("int64", -1)], [tensor("float64", -1)])]
    found += [([column({"type": "map", "values": {"type": "integer"}})], [column(array("integer"))])]
    return found


@pytest.fixture(scope="module")
def verdicts(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What MLflow does with each pair: taken, refused, or changed."""
    folder: Path = tmp_path_factory.mktemp("signatures")
    (folder / "pairs.json").write_text(json.dumps(pairs()))
    done = mlflow.run("-c", ORACLE, "pairs.json", "verdicts.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return list(json.loads((folder / "verdicts.json").read_text()))


def test_what_is_compatible_is_what_mlflow_takes_as_it_is_meant(verdicts: list[str]) -> None:
    """
    What MLflow refuses, drops, or lets through as something else is breaking, and nothing else is.
    """
    asked = pairs()

    ours = [
        all(
            change.effect is Effect.COMPATIBLE
            for change in signature_changes({"inputs": json.dumps(old)}, {"inputs": json.dumps(new)})
        )
        for old, new in asked
    ]

    wrong = [
        (pair, verdict, our)
        for pair, verdict, our in zip(asked, verdicts, ours, strict=True)
        if (verdict == "taken") != our
    ]
    assert [] == wrong
