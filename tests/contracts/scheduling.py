"""
Payloads of several actors, interleaved call by call over a real registry; run by an interpreter that has MLflow.

`PYTHON scheduling.py PAYLOADS ORDERS` with MLFLOW_TRACKING_URI reads ORDERS, a JSON list of [scene, first seed, number,
blind], and prints what every schedule came to. Exactly one actor runs at a time; before and after each of its calls to
the registry a seeded choice says who is next. Time passes only when everybody waits. An actor may be killed at a call:
it never runs again, and when the others have ended a new one does its work. Where the actors are blind, the registry
shows nobody the leases of the others.
"""

import importlib
import importlib.util
import itertools
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlflow import MlflowClient  # of whoever runs this

LEASE = "mlflow-uv.turn."
AUDIT = "mlflow-uv.audit."
STATE = "mlflow-uv.state"
ALIAS = "champion"
# Roughly, of one actor; a kill that comes later than its last call is none.
CALLS = {"register": 10, "promote": 28, "rollback": 24, "prune": 28}
LEASE_S = 4.0
REFUSALS = ("conflict", "not-found", "invalid")
DATE_S = 1_790_000_000.0


class Killed(BaseException):
    """The end of an actor in the middle of its work."""


class Actor(threading.Thread):
    """One process, as far as the registry can tell."""

    def __init__(self, schedule: "Schedule", name: str, work: Callable[["Actor"], Any], kill_at: "int | None") -> None:
        super().__init__(name=name, daemon=True)
        self.schedule, self.work, self.kill_at = schedule, work, kill_at
        self.wake_s, self.calls, self.skew_s = 0.0, 0, schedule.random.uniform(-3600, 3600)
        self.baton = threading.Semaphore(0)
        self.result: Any = None
        self.error: Exception | None = None
        self.announced: set[str] = set()
        self.killed = self.ended = False

    def run(self) -> None:
        self.baton.acquire()
        try:
            self.result = self.work(self)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            self.error = error
        self.ended = True
        self.schedule.baton.release()

    def pause(self, seconds: float = 0.0) -> None:
        """Let somebody go on, perhaps this one."""
        self.wake_s = self.schedule.now_s + seconds
        self.schedule.baton.release()
        self.baton.acquire()

    def __getattr__(self, call: str) -> Callable[..., Any]:
        """The registry, as this actor sees it."""

        def asked(*words: Any, **more: Any) -> Any:
            self.calls += 1
            # At every call twice: before the registry hears of it, and when the answer is lost.
            self._die_at(2 * self.calls)
            self.pause()
            if call == "set_registered_model_tag":
                self.announced.add(words[1])
            answer = getattr(self.schedule.client, call)(*words, **more)
            self._die_at(2 * self.calls + 1)
            self.pause()
            if self.schedule.blind and call == "get_registered_model":
                shown = {key: text for key, text in answer.tags.items() if not key.startswith(LEASE)}
                own = {key: text for key, text in answer.tags.items() if key in self.announced}
                return SimpleNamespace(name=answer.name, aliases=answer.aliases, tags={**shown, **own})
            return answer

        if call.startswith("_"):
            raise AttributeError(call)
        return asked

    def _die_at(self, moment: int) -> None:
        if self.killed or moment == self.kill_at:
            self.killed = True
            raise Killed


class Schedule:
    """One order of calls, by a seed, at one registered model of its own."""

    def __init__(self, scene: str, seed: int, *, blind: bool, client: MlflowClient, payloads: "PayloadModules") -> None:
        self.random = random.Random(f"{scene}-{seed}")
        self.scene = scene.partition("-")[0]
        # How likely it is that the same actor goes on: some mistakes need one that is much faster than the others.
        self.steady = self.random.choice((0.0, 0.5, 0.9))
        self.name, self.blind, self.client, self.payloads = f"{scene}-{seed}-{blind}", blind, client, payloads
        self.now_s, self.baton = 0.0, threading.Semaphore(0)

    def play(self, *works: Callable[[Actor], Any], kill: bool = False) -> list[Actor]:
        """Let the actors work to their ends, then one more for each that was killed."""
        moment = self.random.randrange(2, 2 * CALLS[self.scene]) if kill else None
        actors = [Actor(self, f"actor-{n}", work, moment if n == 0 else None) for n, work in enumerate(works)]
        self._let(actors)
        again = [Actor(self, f"{one.name}-again", one.work, None) for one in actors if one.killed]
        if again:
            self._let(again)
        return [*actors, *again]

    def _let(self, actors: list[Actor]) -> None:
        going = actors[0]
        for actor in actors:
            actor.start()
        while alive := [actor for actor in actors if not actor.ended]:
            ready = [actor for actor in alive if actor.wake_s <= self.now_s]
            if not ready:
                self.now_s = min(actor.wake_s for actor in alive)
                continue
            if going not in ready or self.random.random() >= self.steady:
                going = self.random.choice(ready)
            going.baton.release()
            self.baton.acquire()

    def clock(self, actor: Actor) -> Any:
        """Time that passes when everybody waits; the dates of the actors differ by up to an hour."""
        return self.payloads.lease.LeaseClock(
            now_s=lambda: self.now_s,
            date_s=lambda: DATE_S + self.now_s + actor.skew_s,
            wait=actor.pause,
            token=lambda: f"{self.random.getrandbits(64):016x}",
        )


class PayloadModules:
    """The payloads, loaded as they load themselves."""

    lease: Any
    alias_moves: Any
    rollbacks: Any
    registration: Any
    pruning: Any
    audit_entries: Any
    problems: Any
    messages: Any

    def __init__(self, folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("payloads_main", folder / "__main__.py")
        assert spec is not None
        payloads_main = importlib.util.module_from_spec(spec)
        assert spec.loader is not None
        spec.loader.exec_module(payloads_main)
        payloads_main.load_package(folder)
        for noun in ("lease", "alias_moves", "rollbacks", "registration", "pruning", "audit_entries"):
            setattr(self, noun, importlib.import_module(f"{payloads_main.PACKAGE}.registry.{noun}"))
        self.problems = importlib.import_module(f"{payloads_main.PACKAGE}.problems")
        self.messages = importlib.import_module(f"{payloads_main.PACKAGE}.messages.registry")


def entry(actor: Actor) -> Any:
    return actor.schedule.payloads.messages.Author(who=actor.name, when="now", gates=("accuracy >= 0.9",))


def answered(response: Any) -> "dict[str, Any]":
    """A response as it is sent."""
    return dict(json.loads(json.dumps(asdict(response))))


def promoting(number: str) -> Callable[[Actor], Any]:
    """Judge a version against what has the alias, and promote it; whoever was too late judges once more."""

    def promote(actor: Actor) -> Any:
        alias_moves, name = actor.schedule.payloads.alias_moves, actor.schedule.name
        for attempt in range(2):
            registered = actor.get_registered_model(name)
            tags = actor.get_model_version(name, number).tags
            messages = actor.schedule.payloads.messages
            expected = messages.ExpectedVersion(
                alias_names=alias_moves.version_of(registered, ALIAS),
                record_sha256=tags[alias_moves.RECORD_DIGEST],
                state=tags[STATE],
            )
            request = messages.PromoteVersion(
                name=name, version=number, alias=ALIAS, lease_s=LEASE_S, expected=expected, entry=entry(actor)
            )
            try:
                return answered(alias_moves.promote_with(actor, request, actor.schedule.clock(actor)))
            except actor.schedule.payloads.problems.Problem:
                if attempt:
                    raise
        raise AssertionError

    return promote


def rolling_back(actor: Actor) -> Any:
    """Ask where to, and go there."""
    payloads, name = actor.schedule.payloads, actor.schedule.name
    way = payloads.rollbacks.find_with(actor, payloads.messages.FindRollback(name=name, alias=ALIAS))
    if way.after is None:
        raise payloads.problems.Problem(payloads.problems.ProblemKind.INVALID, way.why)
    expected = payloads.messages.ExpectedRollback(before=way.before, after=way.after)
    request = payloads.messages.RollBackAlias(
        name=name, alias=ALIAS, lease_s=LEASE_S, entry=entry(actor), expected=expected
    )
    return answered(payloads.rollbacks.roll_back_with(actor, request, actor.schedule.clock(actor)))


def pruning(actor: Actor) -> Any:
    """Delete what was a tested candidate, and had no alias, when it was chosen."""
    payloads, name = actor.schedule.payloads, actor.schedule.name
    request = payloads.messages.DeleteVersions(name=name, versions={"2": "tested"}, lease_s=LEASE_S, entry=entry(actor))
    return answered(payloads.pruning.delete_with(actor, request, actor.schedule.clock(actor)))


def registering(model_id: str) -> Callable[[Actor], Any]:
    """Find the version of a model, or make it."""

    def register(actor: Actor) -> Any:
        payloads = actor.schedule.payloads
        request = payloads.messages.FindOrCreateVersion(
            name=actor.schedule.name,
            model_id=model_id,
            model_sha256="digest",
            tags={"mlflow-uv.model-sha256": "digest", STATE: "registered"},
            description="made by a test",
            timeout_s=30,
        )
        return answered(payloads.registration.find_or_create_with(actor, request, actor.schedule.clock(actor)))

    return register


def versions_of(schedule: Schedule) -> dict[str, Any]:
    found = schedule.client.search_model_versions(f"name = '{schedule.name}'")
    return {str(version.version): version for version in found}


def prepare(schedule: Schedule, *states: str) -> None:
    """Versions in these states; the promoted one has the alias, and the one before it is known."""
    schedule.client.create_registered_model(schedule.name)
    before = None
    for number, state in enumerate(states, start=1):
        tags = {STATE: state, "mlflow-uv.record-sha256": f"record-{number}"}
        if state in ("promoted", "replaced"):
            one = schedule.payloads.messages.AliasEntry(
                action="promote", alias=ALIAS, before=before, after=str(number), previous=before, who="x", when="x",
                done=True,
            )  # fmt: skip
            key = f"{AUDIT}20260101T00000{number}.000000Z-00"
            tags[key] = schedule.payloads.audit_entries.text_of(one)
            if before is not None:
                schedule.client.set_model_version_tag(schedule.name, before, key, tags[key])
                schedule.client.set_registered_model_alias(schedule.name, "previous", before)
            before = str(number)
        schedule.client.create_model_version(schedule.name, f"/somewhere/{number}", tags=tags)
    schedule.client.set_registered_model_alias(schedule.name, ALIAS, str(before))


def complaints_about_history(schedule: Schedule, actors: list[Actor]) -> Iterator[str]:
    """What is wrong if every move was made by one actor at a time, and each of them said so."""
    registered, versions = schedule.client.get_registered_model(schedule.name), versions_of(schedule)
    current = str(registered.aliases.get(ALIAS))
    found = {number: schedule.payloads.audit_entries.entries_of(version.tags) for number, version in versions.items()}
    history = sorted({key: one for entries in found.values() for key, one in entries.items() if one.done}.items())
    for (_, earlier), (_, later) in itertools.pairwise(history):
        if later.before != earlier.after:
            yield f"{later.who} moved from {later.before}, where {earlier.who} had moved to {earlier.after}"
    if history[-1][1].after != current:
        yield f"the alias names {current}, the last entry {history[-1][1].after}"
    if (versions[current].tags[STATE] if current in versions else None) != "promoted":
        yield f"the alias names {current}, which is not promoted"
    if registered.aliases.get("previous") != (history[-1][1].previous and int(history[-1][1].previous)):
        yield f"previous names {registered.aliases.get('previous')}, the last entry {history[-1][1].previous}"
    for key, one in history:
        for number in {one.before, one.after} - {None}:
            if number in versions and key not in found[number]:
                yield f"version {number} has no entry of {one.who}"
            if number in versions and number != current and versions[number].tags[STATE] != "replaced":
                yield f"version {number} is {versions[number].tags[STATE]} and has the alias no more"
    for actor in actors:
        moved = actor.result is not None and actor.result.get("already") is False
        if moved and not any(one.who == actor.name and one.after == actor.result["after"] for _, one in history):
            yield f"{actor.name} moved the alias, and no entry says so"
        if not moved and any(one.who == actor.name for _, one in history) and not actor.killed:
            yield f"{actor.name} did not succeed, and an entry says it did"
    begun = {one.who for entries in found.values() for one in entries.values() if not one.done}
    if begun - {actor.name for actor in actors if actor.killed}:
        yield f"entries that nothing came of, of {begun}"


def complaints(schedule: Schedule, actors: list[Actor]) -> Iterator[str]:
    """Whatever is not as it should be at the end."""
    for actor in actors:
        if actor.error is not None and schedule.payloads.problems.kind_of(actor.error).value not in REFUSALS:
            yield f"{actor.name} failed: {actor.error!r}"
        if actor.killed and actor.error is None and actor.result is not None:
            yield f"{actor.name} was killed and answered"
    left = {key for key in schedule.client.get_registered_model(schedule.name).tags if key.startswith(LEASE)}
    # A dead actor's lease stays until another actor acquires one.
    if any(actor.result for actor in actors if actor.name.endswith("-again")):
        dead = set()
    else:
        dead = {key for actor in actors if actor.killed for key in actor.announced}
    if left - dead:
        yield f"leases were not released: {left - dead}"
    if ALIAS in schedule.client.get_registered_model(schedule.name).aliases:
        yield from complaints_about_history(schedule, actors)


def play(schedule: Schedule, scene: str) -> Iterator[Any]:
    """The actors of a scene, and then what is wrong with what they left."""
    kill = scene.endswith("-killed")
    match scene.removesuffix("-killed"):
        case "register":
            model = schedule.client.create_logged_model("0")
            schedule.client.finalize_logged_model(model.model_id, "READY")
            actors = schedule.play(*[registering(model.model_id)] * schedule.random.choice((2, 3)), kill=kill)
            yield actors
            if list(versions_of(schedule)) != ["1"]:
                yield f"versions {list(versions_of(schedule))}"
            for actor in actors:
                if not actor.killed and (actor.result or {}).get("version") not in (1, "1"):
                    yield f"{actor.name} ended with {actor.result or actor.error!r}"
            if not kill and sum(actor.result["created"] for actor in actors if actor.result) != 1:
                yield "not one of them made it"
        case "promote":
            prepare(schedule, "replaced", "promoted", "tested", "tested")
            actors = schedule.play(promoting("3"), promoting("4"), kill=kill)
            yield actors
            if not kill and not any(actor.result for actor in actors):
                yield "nobody was promoted"
        case "promote-same":
            prepare(schedule, "replaced", "promoted", "tested")
            actors = schedule.play(*[promoting("3")] * 3, kill=kill)
            yield actors
            if not kill and sum(actor.result["already"] is False for actor in actors if actor.result) != 1:
                yield "not one of them moved the alias"
            if any(actor.result is None and not actor.killed for actor in actors):
                yield "one of them failed"
        case "rollback":
            prepare(schedule, "replaced", "replaced", "promoted", "tested")
            works = [promoting("4"), rolling_back]
            schedule.random.shuffle(works)
            actors = schedule.play(*works, kill=kill)
            yield actors
        case "prune":
            prepare(schedule, "promoted", "tested", "tested")
            actors = schedule.play(promoting("2"), pruning, promoting("3"), kill=kill)
            yield actors
            promoted = actors[0].result is not None and not actors[0].result["already"]
            deleted = actors[1].result is not None and actors[1].result["deleted"] == ["2"]
            if promoted and "2" not in versions_of(schedule):
                yield "a version was deleted that had been promoted"
            if deleted == ("2" in versions_of(schedule)):
                yield f"deleted {deleted}, there {'2' in versions_of(schedule)}"
    yield from complaints(schedule, actors)


def told_of(actors: list[Actor]) -> dict[str, int]:
    """What actors came to, counted."""
    notes = [note for actor in actors for note in (actor.result or {}).get("notes", ())]
    return {
        "killed": sum(actor.killed for actor in actors),
        "refused": sum(actor.error is not None for actor in actors),
        "calls": sum(actor.calls for actor in actors),
        "expired leases": sum("expired lease" in note for note in notes),
    }


def main(folder: str, orders: str) -> None:
    """Play every order, and print what each came to."""
    payloads, client = PayloadModules(Path(folder)), MlflowClient()
    summaries = []
    for scene, first, number, blind in json.loads(orders):
        counted: Counter[str] = Counter()
        wrong = []
        for seed in range(first, first + number):
            schedule = Schedule(scene, seed, blind=blind, client=client, payloads=payloads)
            actors, *complained = play(schedule, scene)
            counted.update(told_of(actors))
            wrong += [f"{schedule.name}: {one}" for one in complained]
        summaries.append({"scene": scene, "played": number, "wrong": wrong, **counted})
    sys.stdout.write(json.dumps(summaries))


if __name__ == "__main__":
    main(*sys.argv[1:])
