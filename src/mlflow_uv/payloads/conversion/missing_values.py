"""Writes the branch that a missing number takes into converted trees of scikit-learn; skl2onnx 1.20 leaves it out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FUNCTION = "add_tree_to_attribute_pairs"  # of skl2onnx, which its converters import by name
_FLAGS = "nodes_missing_value_tracks_true"


@contextmanager
def missing_values_kept() -> "Iterator[None]":
    """
    Convert trees with the branch that a missing number takes at each threshold, while the block runs.

    scikit-learn has that branch also for trees that were trained without missing numbers (`missing_go_to_left`).
    Without it, a missing number takes the right branch in the graph.
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
