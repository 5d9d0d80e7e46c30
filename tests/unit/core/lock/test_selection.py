"""The digest of a selection of package, extras and groups."""

from mlflow_uv.core.lock.selection import Selection


def test_order_and_repetition_do_not_change_the_digest() -> None:
    """
    `--extra a --extra b` selects what `--extra b --extra a` does.
    """
    one, other = Selection(extras=("a", "b"), groups=("g", "h")), Selection(extras=("b", "a", "b"), groups=("h", "g"))

    assert (one.sha256, 64) == (other.sha256, len(other.sha256))


def test_a_name_means_what_it_selects() -> None:
    """
    The same name as a package, an extra and a group is three selections.
    """
    selections = (Selection(), Selection(package="a"), Selection(extras=("a",)), Selection(groups=("a",)))

    assert 4 == len({selection.sha256 for selection in selections})
