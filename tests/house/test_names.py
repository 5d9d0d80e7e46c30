"""Names and modules: class names are unique, and modules state what they do."""

import ast
from collections import defaultdict

from tests.house.files import ours, shown

# Every step declares its own.
OF_EACH_STEP = {"Inputs", "Outputs"}


def test_no_class_name_exists_twice() -> None:
    """
    Who searches for a class finds one definition; only the inputs and outputs of steps are called the same.
    """
    places = defaultdict(list)
    for path in ours(r"(src|hooks)/.*\.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{shown(path)}:{node.lineno}")

    twice = {name: found for name, found in places.items() if len(found) > 1 and name not in OF_EACH_STEP}

    assert {} == twice


def test_every_module_states_what_it_does() -> None:
    """
    The first paragraph of its docstring is a statement, not a question; tests and benchmarks are modules like others.
    """
    summaries = {
        shown(path): (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        for path in ours(r"(src|hooks|tests|benchmarks)/.*\.py")
    }

    undescribed = {name: summary for name, summary in summaries.items() if not summary or "?" in summary}

    assert {} == undescribed
