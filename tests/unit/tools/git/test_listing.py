"""The list of the files of a work tree."""

from mlflow_uv.tools.git.listing import names_in, not_ignored


def test_paths_outside_of_the_folder_are_left_out() -> None:
    """
    A forged index may name them; a name with two dots inside is none.
    """
    assert ("a/uv.lock", "b..c") == names_in("a/uv.lock\0../x\0a/../../y\0b..c\0")


def test_a_pattern_is_never_an_option() -> None:
    """
    It follows `--`.
    """
    assert ("--", "-x") == not_ignored("-x")[-2:]
