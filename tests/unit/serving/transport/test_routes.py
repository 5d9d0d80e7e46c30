"""Each path has one of a fixed number of routes."""

import pytest

from mlflow_uv.serving.transport.routes import OTHER, PLAIN, Route, route_of

MODEL = "/v2/models/{name}"


@pytest.mark.parametrize("path", PLAIN)
def test_a_plain_path_is_its_own_route(path: str) -> None:
    """
    With a slash at its end, too.
    """
    assert (Route(path), Route(path)) == (route_of(path), route_of(f"{path}/"))


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/models/wine", Route(MODEL, "wine")),
        ("/v2/models/wine/ready", Route(f"{MODEL}/ready", "wine")),
        ("/v2/models/wine/infer/", Route(f"{MODEL}/infer", "wine")),
        ("/v2/models/wine/versions/7", Route(MODEL, "wine", "7")),
        ("/v2/models/wine/versions/7/infer", Route(f"{MODEL}/infer", "wine", "7")),
        ("/v2/models/a%20b/infer", Route(f"{MODEL}/infer", "a%20b")),
    ],
)
def test_a_path_of_a_model_names_it_and_its_version(path: str, route: Route) -> None:
    """
    The pattern has neither, so that a metric has a bounded number of series.
    """
    assert route == route_of(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/pingx",
        "/PING",
        "/v2/models",
        "/v2/models/",
        "/v2/models/a/b",
        "/v2/models/a/versions",
        "/v2/models/a/x/infer",
    ],
)
def test_every_other_path_is_one_route(path: str) -> None:
    """
    Whatever a client sends.
    """
    assert OTHER == route_of(path)
