"""The unit tests mirror the source: the tests of a module are at its path below tests/unit."""

from pathlib import PurePosixPath

from tests.house.files import ours, shown

UNIT = "tests/unit/"
# What is tested by folders of tests/unit, beside the package; the first that fits counts.
SOURCES = {f"{UNIT}hooks/": "hooks/mlflow_uv_hooks/", f"{UNIT}benchmarks/": "benchmarks/", UNIT: "src/mlflow_uv/"}
PROGRAMS = {f"{UNIT}test_launcher.py": "bin/mlflow-uv"}
# Modules of the package that have no unit tests of their own: lower the number, never raise it.
WITHOUT_MIRROR = 79


def mirrored(test: str) -> set[str]:
    """The paths one of which a test module is about: a program, a module, or a package."""
    if test in PROGRAMS:
        return {PROGRAMS[test]}
    unit, source = next(pair for pair in SOURCES.items() if test.startswith(pair[0]))
    path = PurePosixPath(source + test.removeprefix(unit))
    name = path.stem.removeprefix("test_")
    return {f"{path.parent}/{name}.py", f"{path.parent}/{name}/__init__.py"}


def test_every_unit_test_is_at_the_path_of_its_subject() -> None:
    """
    Who opens a module finds its tests without a search, and a module that moves takes them along.
    """
    sources = set(map(shown, ours(r"(src|hooks|benchmarks|bin)/.*")))

    orphans = [test for test in map(shown, ours(rf"{UNIT}(.*/)?test_[^/]*\.py")) if not mirrored(test) & sources]

    assert [] == orphans


def test_the_modules_without_unit_tests_get_fewer() -> None:
    """
    A new module comes with unit tests; the number is lowered with each old one that gets them.
    """
    tested = {path for test in map(shown, ours(rf"{UNIT}(.*/)?test_[^/]*\.py")) for path in mirrored(test)}

    missing = sorted(set(map(shown, ours(r"src/mlflow_uv/(?!(.*/)?__\w+__\.py).*\.py"))) - tested)

    assert WITHOUT_MIRROR >= len(missing), missing
