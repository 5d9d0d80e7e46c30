"""Which calls set a literal tracking URI."""

import pytest


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('mlflow.set_tracking_uri("http://localhost:5000")\n', [1]),
        ("URI = 'sqlite:///mlflow.db'\nfrom mlflow import set_tracking_uri\nset_tracking_uri(URI)\n", [3]),
        ('mlflow.set_tracking_uri(\n    uri="file:./mlruns",\n)\n', [1]),
        ('MlflowClient(tracking_uri="http://a.test")\nMlflowClient("http://a.test")\n', [1, 2]),
        ('os.environ["MLFLOW_TRACKING_URI"] = "http://a.test"\n', [1]),
        ('mlflow.set_tracking_uri("databricks")\nMlflowClient()\n', []),
        ('mlflow.set_tracking_uri(os.getenv("MLFLOW_TRACKING_URI", "http://a.test"))\n', []),
        ('if not os.getenv("MLFLOW_TRACKING_URI"):\n    mlflow.set_tracking_uri("http://a.test")\n', []),
        ("mlflow.set_tracking_uri(uri)\nmlflow.set_tracking_uri(f'http://{host}')\n", []),
        ('# mlflow.set_tracking_uri("http://a.test")\n"""mlflow.set_tracking_uri("http://a.test")"""\n', []),
        ('mlflow.set_tracking_uri("http://a.test"\n', []),
        (f'{"(" * 9000}mlflow.set_tracking_uri("http://a.test"){")" * 9000}\n', []),
    ],
)
def test_a_literal_address_is_found(find, text: str, lines: list[int]) -> None:
    """
    Also through a constant; not a default, a profile, a comment, or a text that Python cannot parse.
    """
    assert lines == [line for _, line, _ in find("tracking-uri", {"train.py": text})]


def test_tests_choose_their_store(find) -> None:
    """
    A store of a test is temporary.
    """
    assert [] == find("tracking-uri", {"tests/test_a.py": 'mlflow.set_tracking_uri("sqlite:///a.db")\n'})
