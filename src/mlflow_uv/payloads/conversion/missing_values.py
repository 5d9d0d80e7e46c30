"""Lets trees of scikit-learn lead a missing number the way that they do, which skl2onnx 1.20 leaves out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FUNCTION = "add_tree_to_attribute_pairs"  # of skl2onnx, which its converters import by name
_FLAGS = "nodes_missing_value_tracks_true"


@contextmanager
def missing_values_kept() -> "Iterator[None]":
    """
    Write where a tree leads a missing number into the graphs that are converted while the block runs.

    A tree or a forest answers such a row also if it was trained without one: it has a way for it at each threshold.
    Without that, a graph leads it to the right.
    """
    modules = [module for name, module in list(sys.modules.items()) if _has_function(name, module)]
    originals = [getattr(module, _FUNCTION) for module in modules]
    for module, original in zip(modules, originals, strict=True):
        setattr(module, _FUNCTION, _with_missing(original))
    try:
        yield
    finally:
        for module, original in zip(modules, originals, strict=True):
            setattr(module, _FUNCTION, original)


def _has_function(name: str, module: Any) -> bool:
    return name.startswith("skl2onnx.operator_converters.") and hasattr(module, _FUNCTION)


def _with_missing(original: Any) -> Any:
    def add(pairs: Any, is_classifier: Any, tree: Any, *rest: Any, **options: Any) -> None:
        before = len(pairs[_FLAGS])
        original(pairs, is_classifier, tree, *rest, **options)
        to_left = getattr(tree, "missing_go_to_left", ())  # scikit-learn before 1.3 takes no missing numbers
        for node, goes_left in enumerate(to_left):
            pairs[_FLAGS][before + node] = int(goes_left and tree.children_left[node] >= 0)

    return add
