"""Names of packages in their normal form, here and in packaging."""

from hypothesis import given
from hypothesis import strategies as st
from packaging import utils

from mlflow_uv.core.lock.package_names import canonicalize_name


@given(st.text(st.sampled_from("aZ09-_. İß") | st.characters(), max_size=20))
def test_a_name_is_normalised_as_packaging_does(name: str) -> None:
    """
    Valid names and any other text: a manifest may hold both.
    """
    assert utils.canonicalize_name(name) == canonicalize_name(name)
