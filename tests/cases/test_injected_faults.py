"""Whatever happens to one call, or to every call from one on, a step ends clearly and the next attempt completes."""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from mlflow_uv.command.errors import StoreUnreachable
from tests.kept_figures import keep
from tests.proxy import Fault, Proxy, proxy_of
from tests.stores import Stores

from .proxied_project import Outcome, ProxiedProject, outcome, proxied_project_of
from .sample_project import SampleProject

# What is waited for between attempts is measured elsewhere; here it is only the number of attempts that counts.
FAST = {
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
STALL_S = 4.5
LARGE_MB = 300
SEED = 20261121


@pytest.fixture(scope="module")
def proxy(servers: Stores) -> Iterator[Proxy]:
    """A proxy in front of the real server."""
    with proxy_of(servers.uri, stall_s=STALL_S) as made:
        yield made


@pytest.fixture(scope="module")
def proxied(
    released_sample: SampleProject, servers: Stores, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedProject]:
    """A project whose model is saved already, so that logging it is all that takes time."""
    released_sample.restore()
    saved = released_sample.folder / "saved"
    shutil.copytree(released_sample.consumer.model, saved, ignore=shutil.ignore_patterns("mlflow-uv"))
    released_sample.commit()
    scratch = tmp_path_factory.mktemp("proxied")
    with proxied_project_of(released_sample, proxy, servers.database, scratch, {**servers.as_admin, **FAST}) as made:
        yield made
    released_sample.restore()


@pytest.mark.parametrize(
    ("step", "call"),
    [
        pytest.param("log-model", "POST .*/runs/create", marks=pytest.mark.extended),
        pytest.param("log-model", "POST .*/logged-models$", marks=pytest.mark.extended),
        pytest.param("log-model", "POST .*/runs/outputs", marks=pytest.mark.extended),
        ("register", "POST .*/model-versions/create"),
    ],
)
def test_what_is_made_is_made_once_where_the_answer_is_lost(proxied: ProxiedProject, step: str, call: str) -> None:
    """
    MLflow's own client repeats what was not answered: two runs, two models, two versions, or an error of the database.
    """
    spoil: Callable[..., Outcome] = {"log-model": proxied.spoil_log, "register": proxied.spoil_register}[step]

    found = spoil(Fault.DROPPED_AFTER, at=call, lasting=False)

    assert (1, "without a re-run", ()) == (found.injected, found.survived, found.complaints)


@pytest.mark.extended
@pytest.mark.parametrize(("step", "number"), [("register", 40), ("log-model", 40)])
def test_a_step_outlives_a_fault_or_is_completed_by_the_next(
    proxied: ProxiedProject, step: str, number: int, request: pytest.FixtureRequest
) -> None:
    """
    One version, one finished model, no run that looks as if it went on, whichever call is spoiled, and how.

    The seven faults happen to one call, or to it and all that follow.
    """
    spoil: Callable[..., Outcome] = {"log-model": proxied.spoil_log, "register": proxied.spoil_register}[step]
    every = list(product(proxied.telling_calls(step), Fault, (False, True)))
    chosen = random.Random(SEED).sample(every, number)  # the same ones each time

    outcomes = [spoil(fault, at=at, lasting=lasting) for at, fault, lasting in chosen]

    keep_outcomes(request.config, step, outcomes, of=len(every))
    assert [] == [outcome for outcome in outcomes if outcome.complaints]
    assert number == len([outcome for outcome in outcomes if outcome.injected])


@pytest.mark.extended
def test_a_promotion_outlives_a_fault_or_is_completed_by_the_next(
    proxied: ProxiedProject, request: pytest.FixtureRequest
) -> None:
    """
    The alias names the version, its state says so, and the one before is replaced; two versions take turns.
    """
    name = proxied.two_versions()
    proxied.promote(name, "1")
    proxied.proxy.forget()
    proxied.promote(name, "2")
    every = list(product(range(1, len(proxied.proxy.calls) + 1), Fault, (False, True)))
    chosen = random.Random(SEED).sample(every, 16)  # the same ones each time

    outcomes = [
        proxied.spoil_promote(name, str(number % 2 + 1), fault, at=at, lasting=lasting)
        for number, (at, fault, lasting) in enumerate(chosen)
    ]

    keep_outcomes(request.config, "promote", outcomes, of=len(every))
    assert [] == [outcome for outcome in outcomes if outcome.complaints]


@pytest.mark.extended
@pytest.mark.parametrize(("seconds", "survived"), [(30, True), (600, False)], ids=["half a minute", "for good"])
def test_a_server_that_goes_away_may_come_back(
    proxied: ProxiedProject,
    servers: Stores,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    seconds: float,
    *,
    survived: bool,
) -> None:
    """
    Half a minute without a server, in the middle of a step, is waited for; that one is gone is told in two minutes.
    """
    proxied.log()
    with proxied_project_of(proxied.sample, proxied.proxy, proxied.database, tmp_path, servers.as_admin) as patient:
        shutil.copy(proxied.record, patient.record)
        name = proxied.next_name()
        proxied.proxy.go_down(at=30, seconds=seconds)
        started = time.monotonic()
        done, _ = outcome(lambda: patient.register(name))
        taken_s = time.monotonic() - started
    proxied.proxy.forget()

    figures = {"survived": done is not None, "seconds": round(taken_s)}
    keep(request.config, f"mlflow-uv/outage-{seconds}", figures)
    assert survived == (done is not None)
    assert taken_s < 120


@pytest.mark.extended
def test_a_large_model_is_streamed_and_an_upload_that_broke_off_is_done_again(
    proxied: ProxiedProject, servers: Stores, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """
    300 MB go up and come back twice, and what talks to the server needs little more memory than for a small model.
    """
    large = proxied.sample.folder / "saved" / "large.bin"
    through_the_server = {"MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    with proxied_project_of(
        proxied.sample, proxied.proxy, proxied.database, tmp_path, {**servers.as_admin, **through_the_server}
    ) as other:
        proxied.proxy.forget()
        other.next_release()
        other.log()
        small_mb = other.peak_mb()
        large.write_bytes(os.urandom(LARGE_MB << 20))
        other.next_release()
        proxied.proxy.inject(Fault.DROPPED_BEFORE, at="PUT .*/large.bin", lasting=True)
        _, error = outcome(other.log)
        proxied.proxy.forget()
        started = time.monotonic()
        done, _ = outcome(other.log)
        taken_s, large_mb = time.monotonic() - started, other.peak_mb()
    large.unlink()

    figures = {"small, MB": small_mb, "large, MB": large_mb, "seconds": round(taken_s)}
    keep(request.config, "mlflow-uv/large", figures)
    assert isinstance(error, StoreUnreachable)
    assert done is not None
    assert LARGE_MB << 20 == proxied.proxy.largest_body
    assert large_mb - small_mb < LARGE_MB / 4


def keep_outcomes(config: pytest.Config, step: str, outcomes: list[Outcome], *, of: int) -> None:
    """Leave the figures in pytest's cache, from where docs/reliability.md has them."""
    told = Counter(
        f"{outcome.fault.value}, {'lasting' if outcome.lasting else 'once'}: {outcome.survived}" for outcome in outcomes
    )
    keep(config, f"mlflow-uv/faults-{step}-{len(outcomes)}", {"of": of, **dict(sorted(told.items()))})
