"""
Contract: how an alias moves from version to version, and back.

mlflow-skinny asks a real `mlflow server`, as in a release.
"""

import json
import os
import signal
import subprocess
import textwrap
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter, response_file
from tests.contracts.payload_worker import Worker, working
from tests.waiting import CEILING_S

ALIAS = {"alias": "champion", "previous": "previous"}
ENTRY = {"who": "alice", "when": "2026-01-01T00:00:00Z", "run": ""}
GATES = ["✓ accuracy 0.97 >= 0.9", "✓ the chain holds"]
STATE = "mlflow-uv.state"


@pytest.fixture(scope="session")
def worker(remote_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """mlflow-skinny on a server, kept for all tests of this module."""
    with working(remote_store, tmp_path_factory.mktemp("worker")) as found:
        yield found


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A registered model with versions in state `tested`."""

    worker: Worker
    server: str
    name: str = field(default_factory=lambda: f"model-{uuid.uuid4().hex[:8]}")

    def version(self, number: str) -> dict[str, Any]:
        return self.worker.ask("describe-version", name=self.name, version=number)

    def aliases(self) -> dict[str, str]:
        return dict(self.worker.ask("describe-name", name=self.name)["aliases"])

    def states(self) -> list[str]:
        found = self.worker.ask("find-versions", name=self.name)["versions"]
        return [version["tags"][STATE] for version in found]

    def tag(self, number: str, **tags: str) -> None:
        named = {f"mlflow-uv.{key.replace('_', '-')}": value for key, value in tags.items()}
        self.worker.ask("tag", version=[self.name, number], tags=named)

    def request(self, number: str, **expected: str | None) -> dict[str, Any]:
        """What is asked to promote a version that is judged as it is now."""
        judged = {"alias_names": self.aliases().get("champion"), "record_sha256": f"record-{number}", "state": "tested"}
        entry = {**ENTRY, "gates": GATES}
        return {"name": self.name, "version": number, **ALIAS, "entry": entry, "expected": {**judged, **expected}}

    def promote(self, number: str) -> dict[str, Any]:
        return self.worker.ask("promote", **self.request(number))

    def present(self, number: str) -> dict[str, Any]:
        """What the smoke test does with a version that passes."""
        return self.worker.ask("assign-alias", name=self.name, alias="candidate", version=number, entry=ENTRY)

    def by_hand(self, alias: str, number: str | None) -> None:
        """What somebody does who never heard of leases and entries."""
        body = {"name": self.name, "alias": alias, **({"version": number} if number else {})}
        request = urllib.request.Request(  # loopback
            f"{self.server}/api/2.0/mlflow/registered-models/alias",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST" if number else "DELETE",
        )
        with urllib.request.urlopen(request, timeout=CEILING_S):  # loopback
            pass

    def way(self, **more: str) -> dict[str, Any]:
        return self.worker.ask("find-rollback", name=self.name, **ALIAS, **more)

    def roll_back(self, **more: str) -> dict[str, Any]:
        way = self.way(**more)
        expected = {"before": way["before"], "after": way["after"]}
        return self.worker.ask("roll-back", name=self.name, **ALIAS, entry=ENTRY, expected=expected, **more)


@pytest.fixture(scope="session")
def models(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Three logged models."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\nmodel_id: null\n")
    run = worker.ask("create-run", experiment="movement", tags={}, run_name="ours")["run_id"]
    logging = {"folder": str(folder), "name": "tiny", "run_id": run}
    return tuple(worker.ask("log-folder", **logging)["model_id"] for _ in range(3))


@pytest.fixture
def registered(worker: Worker, remote_store: MlflowInterpreter, models: tuple[str, ...]) -> Registered:
    """Three tested versions of a model of its own, without an alias."""
    made = Registered(worker=worker, server=remote_store.variables["MLFLOW_TRACKING_URI"])
    for number, model in enumerate(models, start=1):
        tags = {STATE: "tested", "mlflow-uv.record-sha256": f"record-{number}"}
        worker.ask(
            "find-or-create-version",
            name=made.name, model_id=model, model_sha256=f"digest-{number}", tags=tags, description="", timeout_s=30,
        )  # fmt: skip
    return made


def test_a_promotion_is_told_by_both_versions(registered: Registered) -> None:
    """
    The alias moves, `previous` names the version before, and one entry lies on both versions.
    """
    registered.promote("1")

    answer = registered.promote("2")

    (first, _), (second,) = registered.version("1")["entries"], registered.version("2")["entries"]
    assert {"before": "1", "after": "2", "already": False, "notes": []} == answer
    assert {"champion": "2", "previous": "1"} == registered.aliases()
    assert ["replaced", "promoted", "tested"] == registered.states()
    assert {
        **ENTRY, "action": "promote", "alias": "champion", "before": "1", "after": "2", "previous": "1", "gates": GATES,
        "keeps": "previous", "done": True,
    } == first == second  # fmt: skip


def test_the_versions_of_a_model_are_told_with_their_aliases(registered: Registered) -> None:
    """
    MLflow's own search leaves them out, and whoever decides by them would take a champion for a version without a name.
    """
    registered.promote("1")
    registered.promote("2")

    found = registered.worker.ask("find-versions", name=registered.name)["versions"]

    assert [["previous"], ["champion"], []] == [version["aliases"] for version in found]


def test_what_is_promoted_already_stays_as_it_is(registered: Registered) -> None:
    """
    Asked again, it says so, and writes nothing.
    """
    registered.promote("1")
    registered.promote("2")
    before = [registered.version(number) for number in "123"]

    answer = registered.promote("2")

    assert ("2", "2", True) == (answer["before"], answer["after"], answer["already"])
    assert before == [registered.version(number) for number in "123"]


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"alias_names": "3"}, "alias `champion`: its version was 3 and is 1 now"),
        ({"alias_names": None}, "alias `champion`: its version was none and is 1 now"),
        ({"record_sha256": "other"}, "the record of version 2 was other and is record-2 now"),
        ({"state": "failed"}, "the state of version 2 was failed and is tested now"),
    ],
)
def test_what_the_gates_did_not_see_is_not_promoted(
    registered: Registered, expected: dict[str, Any], message: str
) -> None:
    """
    Another champion, another record or another state than the judged one is a conflict that names both.
    """
    registered.promote("1")
    before = [registered.version(number) for number in "123"]

    refused = registered.worker.refuse("promote", **registered.request("2", **expected))

    assert ("conflict", message) == refused
    assert (before, {"champion": "1"}) == ([registered.version(number) for number in "123"], registered.aliases())


@pytest.mark.extended
def test_rollbacks_go_back_one_version_at_a_time_and_never_guess(registered: Registered) -> None:
    """
    The third goes to the second, that one to the first, and from there nothing says where to; two are told on each.
    """
    for number in "123":
        registered.promote(number)

    first, second, third = registered.roll_back(), registered.roll_back(), registered.way()

    reasons = [registered.version(number)["tags"].get("mlflow-uv.reason", "") for number in "123"]
    told = [[(one["action"], one["before"]) for one in registered.version(number)["entries"]] for number in "12"]
    assert [("3", "2"), ("2", "1")] == [(one["before"], one["after"]) for one in (first, second)]
    assert (None, "no audit entry says what `champion`") == (third["after"], third["why"][:35])
    assert ({"champion": "1"}, ["promoted", "replaced", "replaced"]) == (registered.aliases(), registered.states())
    assert ["", *["rolled back by alice at 2026-01-01T00:00:00Z"] * 2] == reasons
    assert [("rollback", "2"), ("promote", "1"), ("promote", None)] == told[0]
    assert [("rollback", "2"), ("rollback", "3"), ("promote", "2"), ("promote", "1")] == told[1]


def test_a_rollback_refuses_where_two_witnesses_disagree(registered: Registered) -> None:
    """
    Entries that name one version, and an alias that names another: both are told, and a number decides.
    """
    for number in "123":
        registered.promote(number)
    registered.by_hand("previous", "1")

    refused, decided = registered.way(), registered.roll_back(to="1")

    assert "by the audit entries version 2 preceded version 3, but alias `previous` names version 1" == refused["why"]
    assert ("3", "1") == (decided["before"], decided["after"])


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    ("spoil", "to", "why"),
    [
        ("nothing", "3", "no audit entry says that version 3 of `{name}` had alias `champion`: promote it"),
        pytest.param("nothing", "9", "`{name}` has no version 9", marks=pytest.mark.extended),
        ("failed", None, "version 1 of `{name}` failed: it burns"),
        pytest.param(
            "deleted", None, "version 1 of `{name}`, the previous one, was deleted", marks=pytest.mark.extended
        ),
    ],
)
def test_a_rollback_goes_to_no_version_that_cannot_be_trusted(
    registered: Registered, spoil: str, to: str | None, why: str
) -> None:
    """
    One that never had the alias, is not there, failed meanwhile or was deleted is refused with its reason.
    """
    registered.promote("1")
    registered.promote("2")
    if spoil == "failed":
        registered.tag("1", state="failed", reason="it burns")
    if spoil == "deleted":
        registered.by_hand("previous", None)
        versions = {"name": registered.name, "versions": {"1": "replaced"}}
        registered.worker.ask("delete-versions", **versions, entry=ENTRY)

    way = registered.way(**({} if to is None else {"to": to}))

    assert ("2", None, why.format(name=registered.name)) == (way["before"], way["after"], way["why"])


def test_a_run_that_is_repeated_rolls_back_once(registered: Registered) -> None:
    """
    A job that is run again, because something failed after it, does not go back a version further.
    """
    for number in "123":
        registered.promote(number)
    run = "https://example.org/actions/runs/1"
    request = {"name": registered.name, **ALIAS, "entry": {**ENTRY, "run": run}}

    once = registered.worker.ask("roll-back", **request, expected={"before": "3", "after": "2"})
    again = registered.way(run=run)

    assert (False, True) == (once["already"], again["already"])
    assert ("3", "2") == (again["before"], again["after"])


@pytest.mark.parametrize("next_one", ["promote", "roll-back"])
def test_what_was_interrupted_is_finished_by_whoever_comes_next(registered: Registered, next_one: str) -> None:
    """
    An alias that moved, and an entry that says why, is all that the next one needs.
    """
    registered.promote("1")
    begun = {**ENTRY, "action": "promote", "alias": "champion", "before": "1", "after": "2", "previous": "1"}
    text = json.dumps({**begun, "gates": [], "done": False})
    registered.tag("2", **{"audit.20990101T000000.000000Z-00": text})
    registered.by_hand("champion", "2")

    answer = registered.promote("2") if next_one == "promote" else registered.roll_back()

    notes = ["the promote by alice at 2026-01-01T00:00:00Z was interrupted and has been completed"]
    ends = {
        "promote": ({"champion": "2", "previous": "1"}, ["replaced", "promoted", "tested"]),
        "roll-back": ({"champion": "1"}, ["promoted", "replaced", "tested"]),
    }
    assert (ends[next_one], notes) == ((registered.aliases(), registered.states()), answer["notes"])
    assert all(one["done"] for number in "12" for one in registered.version(number)["entries"])


def test_a_candidate_is_told_by_both_versions_and_keeps_its_state(registered: Registered) -> None:
    """
    The alias that a smoke test moves leaves entries like every other, moves no `previous`, and promotes nothing.
    """
    first, second, again = (registered.present(number) for number in ("1", "2", "2"))

    told = [[(one["action"], one["before"], one["after"]) for one in registered.version(n)["entries"]] for n in "12"]
    assert [[("test", "1", "2"), ("test", None, "1")], [("test", "1", "2")]] == told
    assert [(None, False), ("1", False), ("2", True)] == [
        (one["before"], one["already"]) for one in (first, second, again)
    ]
    assert ({"candidate": "2"}, ["tested"] * 3) == (registered.aliases(), registered.states())


def test_a_candidate_that_is_replaced_stays_what_it_is(registered: Registered) -> None:
    """
    A promoted version was a candidate once: that it still is one does not keep it promoted.
    """
    registered.present("1")
    registered.promote("1")

    registered.promote("2")

    assert ["replaced", "promoted", "tested"] == registered.states()


def test_an_alias_that_somebody_moved_by_hand_is_taken_up(registered: Registered) -> None:
    """
    Promoting the version that it names already writes the entry, and claims to know of no version before.
    """
    registered.by_hand("champion", "2")

    answer = registered.promote("2")

    assert (True, "promoted", [None]) == (
        answer["already"], registered.states()[1], [one["before"] for one in registered.version("2")["entries"]],
    )  # fmt: skip


def test_a_version_keeps_its_state_while_it_has_another_alias(registered: Registered) -> None:
    """
    What is replaced under one name and still promoted under another stays promoted.
    """
    elsewhere = {**registered.request("1", alias_names=None), "alias": "champion-eu", "previous": "previous-eu"}
    registered.promote("1")
    registered.worker.ask("promote", **{**elsewhere, "expected": {**elsewhere["expected"], "state": "promoted"}})

    registered.promote("2")

    assert ["promoted", "promoted", "tested"] == registered.states()


def test_more_gates_than_a_tag_can_hold_are_counted(registered: Registered) -> None:
    """
    An entry fits into 5,000 characters, which is what a version's tag may hold in MLflow 2.22.
    """
    request = registered.request("1")
    request["entry"]["gates"] = [f"✓ gate {number} holds {'x' * 80}" for number in range(100)]

    registered.worker.ask("promote", **request)

    version = registered.version("1")
    kept = version["entries"][0]["gates"]
    longest = max(len(text) for key, text in version["tags"].items() if key.startswith("mlflow-uv.audit."))
    assert (longest <= 5000, len(kept) > 40, f"and {101 - len(kept)} more") == (True, True, kept[-1])


def test_the_lease_of_a_dead_process_expires_and_is_reported(registered: Registered) -> None:
    """
    Another process waits no longer than the lease; the answer names its owner.
    """
    left = {"who": "bob", "when": "yesterday", "lease_s": 0.5}
    registered.worker.ask("tag", name=registered.name, tags={"mlflow-uv.turn.0": json.dumps(left)})

    answer = registered.promote("1")

    tags = registered.worker.ask("describe-name", name=registered.name)["tags"]
    assert ({}, [f"an expired lease was deleted: {json.dumps(left)}"]) == (tags, answer["notes"])


@pytest.mark.extended
def test_two_processes_at_once_end_one_after_the_other(remote_store: MlflowInterpreter, registered: Registered) -> None:
    """
    Both were judged against the same champion: one is promoted, the other is told that the champion is another now.
    """
    registered.promote("1")

    processes = [(remote_store.start("promote"), registered.request(number)) for number in "23"]
    for process, request in processes:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
    codes = [process.wait(CEILING_S) for process, _ in processes]
    answers = [json.loads(response_file(process).read_text(encoding="utf-8")) for process, _ in processes]

    winner, loser = ("2", "3") if codes == [0, 1] else ("3", "2")
    errors = [answer["error"]["message"] for answer in answers if "error" in answer]
    assert [f"alias `champion`: its version was 1 and is {winner} now"] == errors
    assert {"champion": winner, "previous": "1"} == registered.aliases()
    assert ("tested", []) == (registered.states()[int(loser) - 1], registered.version(loser)["entries"])
    assert {} == registered.worker.ask("describe-name", name=registered.name)["tags"]


@pytest.mark.extended
def test_a_process_that_is_asked_to_end_releases_its_lease(local_store: MlflowInterpreter, tmp_path: Path) -> None:
    """
    SIGTERM while a lease is held releases it and ends the process by that signal.
    """
    holder = textwrap.dedent("""
        import importlib.util, sys, time
        spec = importlib.util.spec_from_file_location("door", sys.argv[1] + "/__main__.py")
        door = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(door)
        door.load_package(__import__("pathlib").Path(sys.argv[1]))
        from mlflow import MlflowClient
        from mlflow_uv_payloads.registry.lease import hold_lease
        client = MlflowClient()
        client.create_registered_model("held")
        with hold_lease(client, "held", lease_s=1000, about={}):
            print("held", len(client.get_registered_model("held").tags), flush=True)
            time.sleep(3600)
    """)
    with subprocess.Popen(
        [local_store.python, "-I", "-c", holder, str(local_store.payloads)],
        cwd=tmp_path,
        env={**os.environ, **QUIET, **local_store.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        held = process.stdout.readline()

        process.send_signal(signal.SIGTERM)
        process.wait(CEILING_S)
    with working(local_store, tmp_path) as worker:
        tags = worker.ask("describe-name", name="held")["tags"]

    assert ("held 1\n", -signal.SIGTERM, {}) == (held, process.returncode, tags)


def test_only_what_nobody_began_to_need_is_deleted(registered: Registered) -> None:
    """
    A version that got an alias or another state since it was chosen stays, and one that is gone is no mistake.
    """
    registered.by_hand("candidate", "1")
    registered.tag("2", state="failed")
    chosen = {"1": "tested", "2": "tested", "3": "tested", "4": "tested"}

    answer = registered.worker.ask("delete-versions", name=registered.name, versions=chosen, entry=ENTRY)

    assert ["3"] == answer["deleted"]
    assert {
        "1": "alias candidate names it", "2": "its state is failed now", "4": "another process deleted it",
    } == answer["kept"]  # fmt: skip
    assert ["tested", "failed"] == registered.states()
