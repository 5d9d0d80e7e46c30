"""Unit: at which locations a tracking server may keep artifacts."""

from pathlib import Path

import pytest

from mlflow_uv.payloads.stores.locations import Trust, check, leaves, trust_of

SERVER = "https://mlflow.example.test"
ALONE = Trust(servers=(SERVER,))


def verdict(location: str, trust: Trust = ALONE) -> str | None:
    problem = check(location, trust)
    return None if problem is None else problem.kind.value


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/1",
        "mlflow-artifacts:///1/models",
        "mlflow-artifacts://mlflow.example.test/1",
        "mlflow-artifacts://mlflow.example.test:443/1",
        "https://mlflow.example.test/api/2.0/mlflow-artifacts/artifacts/1",
        "https://MLFLOW.example.test:443/api",
        "s3://bucket/1",
        "gs://bucket/1",
        "wasbs://container@account.blob.core.windows.net/1",
        "abfss://container@account.privatelink.dfs.core.windows.net/1",
        "dbfs:/databricks/mlflow/1",
        "hdfs://namenode:8020/1",
        "sftp://keeper/1",
        "oss://bucket/1",
        "runs:/0123/model",
        "models:/wine/1",
    ],
)
def test_what_the_operator_of_the_server_chose_is_followed(location: str) -> None:
    """
    The server itself and every kind of remote storage hold artifacts; `runs:` and `models:` are looked at again later.
    """
    assert None is verdict(location)


@pytest.mark.parametrize(
    "location",
    [
        "file:///home/runner/.ssh",
        "file:/home/runner/.ssh",
        "FILE:///home/runner/.ssh",
        "fi\tle:///home/runner/.ssh",
        "file://localhost/home/runner",
        "file://other-machine/share",
        "/home/runner/.ssh",
        "//other-machine/share",
        "./mlruns/1",
        "mlruns/1",
        "~/mlruns",
        "",
        "C:\\mlruns",
        "c:/mlruns",
    ],
)
def test_a_path_is_no_place_for_a_server_s_artifacts(location: str) -> None:
    """
    However it is written, what leads into the machine that asks is refused.
    """
    assert "local-artifacts" == verdict(location)


@pytest.mark.parametrize(
    "location",
    [
        "https://mlflow.example.test.evil.test/api",
        "https://evil.test/api",
        "http://mlflow.example.test/api",
        "https://mlflow.example.test:8443/api",
        "https://mlflow.example.test@evil.test/api",
        "https://evil.test\\@mlflow.example.test/api",
        "https://evil.test/@mlflow.example.test",
        "https:///api",
        "https://mlflow.example.test:nine/api",
        "mlflow-artifacts://evil.test/1",
        "mlflow-artifacts://evil.test:443/1",
        "mlflow-artifacts://evil.test\\@mlflow.example.test/1",
        "abfss://container@account.dfs.core.windows.net.evil.test/1",
        "abfss://container@evil.test/1",
        "wasbs://container@account.blob.core.windows.net.evil.test/1",
    ],
)
def test_credentials_go_to_no_host_that_a_location_names(location: str) -> None:
    """
    MLflow sends the tracking server's credentials to any HTTP location, and an Azure identity's token to any host.
    """
    assert "foreign-artifacts" == verdict(location)


def test_an_artifact_server_that_is_named_is_asked() -> None:
    """
    A server that only serves artifacts has an origin of its own: exactly that one.
    """
    trust = Trust(servers=(SERVER,), roots=("http://artifacts.example.test:5500",))

    verdicts = [
        verdict(f"{origin}/api/2.0/mlflow-artifacts/artifacts/1", trust)
        for origin in ("http://artifacts.example.test:5500", "http://artifacts.example.test:5501", SERVER)
    ]

    assert [None, "foreign-artifacts", None] == verdicts


def test_a_folder_that_is_named_is_shared_and_nothing_beside_it(tmp_path: Path) -> None:
    """
    Below it means below it when symbolic links, dots and quoting are undone.
    """
    shared, beside = tmp_path / "shared files", tmp_path / "shared files of others"
    shared.mkdir()
    beside.mkdir()
    (shared / "way-out").symlink_to(beside)
    trust = Trust(servers=(SERVER,), roots=(shared.as_uri(),))

    allowed = [str(shared), f"{shared}/1", shared.as_uri(), f"{shared.as_uri()}/1", f"{shared}/not/there/yet"]
    refused = [
        str(beside),
        f"{shared}/../secret",
        f"{shared.as_uri()}/../secret",
        f"{shared.as_uri()}/%2e%2e/secret",
        f"{shared}/%2e%2e/secret",
        f"{shared}/way-out/1",
        f"file://other-machine{shared}",
        str(tmp_path),
    ]

    assert {None} == {verdict(location, trust) for location in allowed}
    assert {"local-artifacts"} == {verdict(location, trust) for location in refused}


def test_a_database_of_one_s_own_keeps_artifacts_in_folders() -> None:
    """
    Only where a server answers is there somebody else who decides about folders.
    """
    servers = ("http://h", "https://h", "databricks", "databricks://profile", "databricks-uc", "uc:http://h")

    decided = [trust_of({"MLFLOW_TRACKING_URI": uri}) is not None for uri in servers]
    own = [trust_of({"MLFLOW_TRACKING_URI": uri}) for uri in ("postgresql://db/mlflow", "")]

    assert ([True] * 6, [None] * 2) == (decided, own)


@pytest.mark.parametrize("uri", ["sqlite:////x/mlflow.db", "file:///x"])
def test_a_file_of_a_checkout_names_folders_and_no_server(uri: str) -> None:
    """
    Whoever may commit a database or a folder of runs does not decide which server gets the job's credentials.
    """
    trust = trust_of({"MLFLOW_TRACKING_URI": uri})

    assert trust is not None
    assert {None} == {verdict(location, trust) for location in ("/x/1", "file:///y/1", "s3://b/1", "runs:/0/model")}
    assert {"foreign-artifacts"} == {
        verdict(location, trust)
        for location in (
            "http://evil.example.test/1",
            "https://evil.example.test",
            "mlflow-artifacts://evil.example.test/1",
        )
    }


def test_the_registry_s_own_server_is_one_that_was_named() -> None:
    """
    Versions may lie in another server than runs, where the caller named both.
    """
    trust = trust_of(
        {
            "MLFLOW_TRACKING_URI": SERVER,
            "MLFLOW_REGISTRY_URI": "https://registry.example.test",
            "MLFLOW_UV_ARTIFACT_ROOTS": "/mnt/a  https://artifacts.example.test",
        }
    )

    assert trust == Trust(
        servers=(SERVER, "https://registry.example.test"), roots=("/mnt/a", "https://artifacts.example.test")
    )
    assert None is verdict("https://registry.example.test/1", trust)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "%2e%2e/x", "a/%2e%2e/x", "..", "a\0"])
def test_a_listed_name_that_leaves_its_folder_is_seen(path: str) -> None:
    """
    However it is quoted.
    """
    assert leaves(path)


@pytest.mark.parametrize("path", ["MLmodel", "data/model.pkl", "a..b", "...", "100%.txt", "x:1"])
def test_a_listed_name_that_is_merely_odd_is_none(path: str) -> None:
    """
    Dots, colons and percent signs are parts of names.
    """
    assert not leaves(path)
