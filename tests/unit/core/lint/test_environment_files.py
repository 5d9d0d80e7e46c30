"""Lists of dependencies in YAML are read as conda and MLflow write them."""

from mlflow_uv.core.lint.environment_files import environment_items


def test_items_have_ranges_of_pip_and_their_place() -> None:
    """
    Items of other lists, and those without a version, are none.
    """
    text = (
        "channels:\n- a=1\ndependencies:\n- python=3.11=h_0\n- 'b>=1'  # c\n- pip:\n    - D_e[f]==2\n    - -e .\n- g\n"
    )

    found = [(item.name, item.ranges, item.line, text[item.start : item.end]) for item in environment_items(text)]

    assert [
        ("python", "==3.11.*", 4, "=3.11=h_0"),
        ("b", ">=1", 5, ">=1"),
        ("d-e", "==2", 7, "==2"),
    ] == found
