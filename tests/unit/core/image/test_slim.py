"""Which part of a lock serves a model without MLflow's own server."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.export.requirements import Requirements, parse_requirements
from mlflow_uv.core.image.slim import ANY_MODEL, imported_requirements, slim_requirements
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile
from mlflow_uv.core.lock.selection import Selection

SERVER = ("fastapi", "numpy", "pandas", "uvicorn")
EDGES = {
    "wine": ("mlflow",),
    "mlflow": ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops", "sqlalchemy", "pyarrow"),
    "mlflow-skinny": ("fastapi", "uvicorn", "pyyaml"),
    "fastapi": ("starlette",),
    "pandas": ("numpy",),
    "scikit-learn": ("scipy",),
    "skops": ("scikit-learn",),
}
NAMES = {*EDGES, *(edge for edges in EDGES.values() for edge in edges), "prometheus-client"} - {"wine"}
SKLEARN = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    code: null\n"
PYFUNC = "flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\nmodel_uuid: m\n"


def lock_of(edges: dict[str, tuple[str, ...]], *, mlflow: str = "3.17.2") -> Lockfile:
    """A lock in which these need those."""
    packages = ['version = 1\nrequires-python = ">=3.11"\n']
    for name in sorted({*edges, *(one for found in edges.values() for one in found)}):
        source = 'virtual = "."' if name == "wine" else 'registry = "https://packages.example/simple"'
        needs = ", ".join(f'{{ name = "{one}" }}' for one in edges.get(name, ()))
        version = mlflow if name.startswith("mlflow") else "1"
        packages.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\ndependencies = [{needs}]\n'
        )
    return read_lockfile("\n".join(packages).encode())


def listed(edges: dict[str, tuple[str, ...]]) -> Requirements:
    """What is exported of such a lock, with hashes."""
    names = ({*edges, *(one for found in edges.values() for one in found)}) - {"wine"}
    return parse_requirements("".join(f"{name}==1 --hash=sha256:{name}\n" for name in names))


def slimmed(edges: dict[str, tuple[str, ...]], mlmodel: str, *, mlflow: str = "3.17.2") -> set[str]:
    """The names that are left."""
    lock = lock_of(edges, mlflow=mlflow)
    return {pin.name for pin in slim_requirements(listed(edges), lock, Selection(), name="wine", mlmodel=mlmodel).pins}


def test_mlflow_becomes_its_small_sister_and_what_scoring_needs() -> None:
    """
    What only MLflow's own server needs is left out, and MLflow with it.
    """
    assert {*SERVER, "mlflow-skinny", "pyyaml", "starlette"} == slimmed(EDGES, PYFUNC)


def test_versions_markers_and_hashes_stay_those_of_the_lock() -> None:
    """
    Every line that is left is a line of the whole list.
    """
    whole = listed(EDGES)

    part = slim_requirements(whole, lock_of(EDGES), Selection(), name="wine", mlmodel=PYFUNC)

    assert part.pins == tuple(pin for pin in whole.pins if pin in part.pins)
    assert part.hashed


def test_what_loads_the_flavor_stays() -> None:
    """
    A model of scikit-learn is loaded with it, also where only MLflow brought it.
    """
    kept = slimmed(EDGES, SKLEARN) - slimmed(EDGES, PYFUNC)

    assert {"scikit-learn", "scipy", "skops"} == kept


def test_a_classifier_of_lightgbm_is_read_as_mlflow_writes_it() -> None:
    """
    MLflow writes LightGBM's models in the interface of scikit-learn with skops, unless it is told otherwise.
    """
    kept = slimmed(EDGES, SKLEARN.replace("sklearn", "lightgbm"))

    assert "skops" in kept


def test_a_model_of_any_flavor_is_loaded_with_what_loads_each() -> None:
    """
    What stays then is needed by some model, and the rest by none.
    """
    assert slimmed(EDGES, SKLEARN) == slimmed(EDGES, ANY_MODEL)


def test_what_the_project_asks_for_itself_stays() -> None:
    """
    A dependency of the project is served, whoever else needs it.
    """
    edges = {**EDGES, "wine": ("mlflow", "sqlalchemy")}

    assert {"sqlalchemy"} == slimmed(edges, PYFUNC) - slimmed(EDGES, PYFUNC)


def test_an_old_mlflow_scores_with_flask() -> None:
    """
    The scoring server of MLflow 2 is an application of Flask under gunicorn.
    """
    edges = {**EDGES, "mlflow": (*EDGES["mlflow"], "flask", "gunicorn")}

    assert {"flask", "gunicorn"} == slimmed(edges, PYFUNC, mlflow="2.22.1") - slimmed(edges, PYFUNC)


def test_a_lock_without_what_scoring_needs_is_named() -> None:
    """
    Nothing is resolved anew for an image: what the lock lacks cannot be installed from it.
    """
    edges = {**EDGES, "mlflow-skinny": ("uvicorn", "pyyaml"), "fastapi": ()}
    whole = parse_requirements("".join(f"{pin.line}\n" for pin in listed(edges).pins if pin.name != "fastapi"))

    with pytest.raises(BadInput) as caught:
        slim_requirements(whole, lock_of(edges), Selection(), name="wine", mlmodel=PYFUNC)

    assert "the lock has no fastapi" == caught.value.what


def test_a_project_that_is_slim_already_stays_as_it_is() -> None:
    """
    Who depends on mlflow-skinny has nothing to leave out.
    """
    edges = {**EDGES, "wine": ("mlflow-skinny", "pandas")}
    del edges["mlflow"]

    whole = listed(edges)

    assert whole == slim_requirements(whole, lock_of(edges), Selection(), name="wine", mlmodel=PYFUNC)


def test_what_a_server_imports_for_no_model_needs_no_bytecode() -> None:
    """
    Clients of Databricks and git, with what only they require; what something else requires too stays.
    """
    edges = {
        **EDGES,
        "mlflow-skinny": (*EDGES["mlflow-skinny"], "databricks-sdk", "gitpython"),
        "databricks-sdk": ("google-auth", "requests"),
        "gitpython": ("gitdb",),
        "fastapi": ("starlette", "requests"),
    }

    def imported(edges: dict[str, tuple[str, ...]]) -> set[str]:
        return {pin.name for pin in imported_requirements(listed(edges), lock_of(edges), Selection(), name="wine").pins}

    flavors = {"scikit-learn", "scipy", "skops"}
    assert {*SERVER, *flavors, "mlflow-skinny", "pyyaml", "starlette", "requests", "pyarrow"} == imported(edges)
    assert {"databricks-sdk", "google-auth"} <= imported({**edges, "wine": ("mlflow", "databricks-sdk")})
    assert {"gitpython", "gitdb"} <= imported({**edges, "scipy": ("gitpython",)})


def test_pyarrow_has_bytecode_because_pandas_imports_it_where_it_is() -> None:
    """
    A server would compile it at each start.
    """
    lock = {"wine": ("mlflow",), "mlflow": ("mlflow-skinny", "pandas", "numpy", "fastapi", "uvicorn", "pyarrow")}

    pins = imported_requirements(listed(lock), lock_of(lock), Selection(), name="wine").pins

    assert "pyarrow" in {pin.name for pin in pins}
    assert "mlflow" not in {pin.name for pin in pins}
