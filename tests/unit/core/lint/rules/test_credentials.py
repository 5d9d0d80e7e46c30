"""Which texts contain credentials."""

import pytest

# Put together, so that no scanner takes this file for a leak.
TOKENS = ["AKIA" + "A1B2C3D4E5F6G7H8", "ghp_" + "a1B2" * 9, "hf_" + "aB3" * 12, "dapi" + "0a1b2c3d" * 4]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("postgresql://mlflow:kolibri7@db.corp.test/mlflow", True),
        ("mysql+pymysql://root:kolibri7@localhost/mlflow", True),
        ("postgresql://postgres:postgres@db:5432/mlflow", False),
        ("postgresql://mlflow:mlflow@127.0.0.1/mlflow", False),
        ("postgresql://mlflow:${PASSWORD}@db.corp.test/mlflow", False),
        ("postgresql://user:password@host.test/mlflow", False),
        ("f'postgresql://{user}:{password}@host.test/mlflow'", False),
        ("https://a.test:443/x@y", False),
        ("MLFLOW_TRACKING_PASSWORD=kolibri7-kolibri7", True),
        ("os.environ['AWS_SECRET_ACCESS_KEY'] = 'kolibri7kolibri7'", True),
        ("AWS_SECRET_ACCESS_KEY: minioadmin", False),
        ("MINIO_ROOT_PASSWORD: ${AWS_SECRET_ACCESS_KEY:-minioadmin}", False),
        ("MINIO_ROOT_PASSWORD: ${AWS_SECRET_ACCESS_KEY:-Kd83hJq02nVbA71x}", True),
        ("env: {AWS_SECRET_ACCESS_KEY: Kd83hJq02nVbA71x}", True),
        ("AWS_SECRET_ACCESS_KEY: ${SECRET_OF_AWS}", False),
        ("AWS_SECRET_ACCESS_KEY: ${{ secrets.KEY }}", False),
        ("RAY_AUTH_TOKEN: kolibri7-kolibri7", True),
        ("MLFLOW_UV_SIGNING_PIN=kolibri7", True),
        ("MLFLOW_TRACKING_TOKEN=MLFLOW_TRACKING_TOKEN:latest", False),
        ("-----BEGIN RSA PRIVATE KEY-----", True),
        *((f"token = '{token}'", True) for token in TOKENS),
        ("AKIAIOSFODNN7EXAMPLE", False),
        ("hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", False),
    ],
)
def test_a_secret_is_found_and_never_shown(find, line: str, found: bool) -> None:
    """
    By its form; placeholders and defaults that everybody knows are none.
    """
    broken = find("credentials", {"config.yaml": f"a: 1\nb: {line}\n"})

    assert [("config.yaml", 2)] * found == [(path, number) for path, number, _ in broken]
    assert not any(part in what for _, _, what in broken for part in ("kolibri7", *TOKENS))


@pytest.mark.parametrize("name", [".env.example", "tests/config.yaml", "config.sample.yaml"])
def test_examples_and_tests_are_left_alone(find, name: str) -> None:
    """
    What stands there is made up.
    """
    assert [] == find("credentials", {name: "a: postgresql://mlflow:kolibri7@db.corp.test/mlflow\n"})
