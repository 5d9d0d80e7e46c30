"""Starting processes, and what becomes of them and of their output."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed, ToolMissing
from mlflow_uv.tools.system.process import Command, SystemRunner, TooSlow
from tests.processes import is_running
from tests.waiting import CEILING_S, first_that_is_long_enough, happens

MEGABYTE = 1_000_000


def python(
    code: str,
    *,
    timeout_s: float | None = CEILING_S,
    variables: dict[str, str] | None = None,
    stdin: str = "",
    on_line: Callable[[str], None] | None = None,
) -> Command:
    """A small Python program."""
    return Command(
        argv=(sys.executable, "-I", "-u", "-c", code),
        variables=variables or {},
        folder=Path("/"),
        stdin=stdin,
        timeout_s=timeout_s,
        on_line=on_line,
    )


def gone(pid: int) -> bool:
    """Whether a process ended, or does so in a moment."""
    return happens(lambda: not is_running(pid))


def test_both_streams_and_the_code_come_back() -> None:
    """
    What a program prints on either stream is whole, with its exit code.
    """
    command = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    done = SystemRunner().run(command)

    assert (3, "out\n", "err\n") == (done.code, done.stdout, done.stderr)


def test_a_megabyte_on_both_streams_does_not_block() -> None:
    """
    Both streams are drained at once, so no pipe fills up.
    """
    command = python(f"import sys; sys.stderr.write('e' * {MEGABYTE}); sys.stdout.write('o' * {MEGABYTE})")

    done = SystemRunner().run(command)

    assert (MEGABYTE, MEGABYTE) == (len(done.stdout), len(done.stderr))


def test_a_megabyte_goes_in_while_a_megabyte_comes_out() -> None:
    """
    A program that answers while it still reads is neither blocked nor cut short.
    """
    text = "x" * (MEGABYTE - 1) + "\n"

    done = SystemRunner().run(python("import sys; sys.stdout.write(sys.stdin.read())", stdin=text))

    assert text == done.stdout


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    """
    Of a file that a program reads from standard input no byte is changed.
    """
    file = tmp_path / "archive"
    file.write_bytes(bytes(range(256)) * 4096)
    digest = "import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"

    done = SystemRunner().run(replace(python(digest), stdin=file))

    assert hashlib.sha256(file.read_bytes()).hexdigest() == done.stdout.strip()


def test_a_program_that_never_reads_still_ends_in_time() -> None:
    """
    Text that nobody reads does not outlast the time a program has.
    """
    command = python("import time; time.sleep(60)", stdin="x" * MEGABYTE, timeout_s=0.5)

    with pytest.raises(ToolFailed, match="did not end within"):
        SystemRunner().run(command)


def test_a_program_that_does_not_read_its_input_is_no_failure() -> None:
    """
    Closing the input early is the program's right.
    """
    done = SystemRunner().run(python("import os; os.close(0); print('done')", stdin="x" * MEGABYTE))

    assert (0, "done\n") == (done.code, done.stdout)


def test_every_line_is_heard_while_it_runs() -> None:
    """
    A listener gets both streams line by line, without line ends, also a last line that has none.
    """
    lines: list[str] = []

    SystemRunner().run(python("print('one\\r'); print('two', end='')", on_line=lines.append))

    assert ["one", "two"] == lines


def test_a_listener_hears_one_line_at_a_time() -> None:
    """
    Two streams are read at once, but a listener is never called while it still listens to another line.
    """
    busy = threading.Lock()
    crossed: list[str] = []

    def on_line(line: str) -> None:
        if not busy.acquire(blocking=False):
            crossed.append(line)
            return
        threading.Event().wait(0.0001)  # lets the other thread in
        busy.release()

    code = "import sys\nfor n in range(300):\n    print(n)\n    print(n, file=sys.stderr)"
    SystemRunner().run(python(code, on_line=on_line))

    assert [] == crossed


def test_a_listener_that_went_away_does_not_stop_the_program() -> None:
    """
    Nobody reads our log any more (`| head`): the program runs on, and its output is still kept.
    """

    def closed(_line: str) -> None:
        raise BrokenPipeError

    done = SystemRunner().run(python(f"print('a'); print('b' * {MEGABYTE})", on_line=closed))

    assert (0, MEGABYTE + 3) == (done.code, len(done.stdout))


def test_a_secret_is_masked_in_what_is_kept_and_in_what_is_heard() -> None:
    """
    A program that prints a secret of its environment does not reach our log with it.
    """
    lines: list[str] = []
    code = "import os, sys; print(os.environ['MY_TOKEN']); print('https://me:pass1@x', file=sys.stderr)"

    done = SystemRunner().run(python(code, variables={"MY_TOKEN": "s3cr3t"}, on_line=lines.append))

    assert ("***\n", "https://me:***@x\n") == (done.stdout, done.stderr)
    assert {"***", "https://me:***@x"} == set(lines)


def test_bytes_that_are_not_text_are_shown_as_such() -> None:
    """
    Broken UTF-8 is not a crash.
    """
    done = SystemRunner().run(python("import sys; sys.stdout.buffer.write(b'a\\xffb')"))

    assert "a\N{REPLACEMENT CHARACTER}b" == done.stdout


def test_a_program_sees_the_variables_it_was_given_and_no_other() -> None:
    """
    The environment of a child is what its command says.
    """
    done = SystemRunner().run(python("import os; print(sorted(os.environ))", variables={"ONLY": "this", "LC_ALL": "C"}))

    assert "['LC_ALL', 'ONLY']\n" == done.stdout


def test_when_the_time_is_up_the_whole_group_ends(tmp_path: Path) -> None:
    """
    Time is up for everything a program started, not for itself alone.
    """
    note = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        f"open({str(note)!r} + '.new', 'w').write(str(child.pid))\n"
        f"os.rename({str(note)!r} + '.new', {str(note)!r})\n"
        "time.sleep(3600)"
    )

    def attempt(limit_s: float) -> tuple[str, str] | None:
        with pytest.raises(ToolFailed) as caught:
            SystemRunner().run(python(code, timeout_s=limit_s))
        return (caught.value.what, note.read_text()) if note.exists() else None

    what, pid = first_that_is_long_enough(attempt, first_s=1)

    assert re.search(r"did not end within \d+ s", what)
    assert gone(int(pid))


def test_nobody_is_left_behind_when_a_program_ends() -> None:
    """
    A grandchild in the background that holds the pipes open neither delays the answer nor survives it.
    """
    code = (
        "import subprocess, sys\nprint(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']).pid)"
    )
    started = time.monotonic()

    done = SystemRunner().run(python(code))

    assert (0, True) == (done.code, gone(int(done.stdout)))
    assert time.monotonic() - started < CEILING_S


def test_ctrl_c_ends_what_was_started(tmp_path: Path) -> None:
    """
    Ctrl-C for us is the end for the program and its children, although they are a group of their own.
    """
    note = tmp_path / "pids"
    inner = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('ready')\n"
        "time.sleep(60)"
    )
    outer = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from mlflow_uv.tools.system.process import Command, SystemRunner\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job is deaf to it
        f"argv = (sys.executable, '-u', '-c', {inner!r})\n"
        "SystemRunner().run(Command(argv=argv, variables={}, folder=Path('/'), on_line=lambda l: print(l, flush=True)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", outer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )

    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=CEILING_S)

    assert b"KeyboardInterrupt" in complaint
    assert [True, True] == [gone(int(pid)) for pid in note.read_text().split()]


@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "/etc"])
def test_a_program_that_cannot_be_started_is_missing(program: str) -> None:
    """
    A program that is not there is named.
    """
    command = Command(argv=(program, "--version"), variables={}, folder=Path("/"))

    with pytest.raises(ToolMissing) as caught:
        SystemRunner().run(command)

    assert f"`{Path(program).name}` cannot be started" == caught.value.what


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"echo signed\n", "first line names one, as `#!/bin/sh`"),
        (b"", "first line names one, as `#!/bin/sh`"),
        (b"\x7fELF", "first line names one, as `#!/bin/sh`"),
        (b"#!/no/such/interpreter\n", "No such file or directory"),
    ],
)
def test_a_file_that_the_system_does_not_execute_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    """
    Although it may be executed: a script needs its first line, and a program a format of this machine.
    """
    program = tmp_path / "signer"
    program.write_bytes(content)
    program.chmod(0o755)

    with pytest.raises(ToolMissing) as caught:
        SystemRunner().run(Command(argv=(str(program),), variables={}, folder=tmp_path))

    assert ("`signer` cannot be started", True) == (caught.value.what, why in str(caught.value.why))


def test_arguments_that_are_too_long_are_no_missing_program() -> None:
    """
    The program is there; the operating system does not start it with so much.
    """
    command = Command(argv=(sys.executable, "-c", "pass", "x" * (1 << 20)), variables={}, folder=Path("/"))

    with pytest.raises(ToolFailed) as caught:
        SystemRunner().run(command)

    assert "Argument list too long" == caught.value.why


def test_a_folder_that_is_not_there_is_not_blamed_on_the_program() -> None:
    """
    The operating system says the same for both; we say which.
    """
    command = Command(argv=(sys.executable,), variables={}, folder=Path("/no/such/folder"))

    with pytest.raises(ToolFailed) as caught:
        SystemRunner().run(command)

    assert "`/no/such/folder` is not a folder" == caught.value.what


def test_neither_variables_nor_input_show_in_a_repr() -> None:
    """
    A command in a traceback or log carries no secret.
    """
    command = python("pass", variables={"MY_TOKEN": "s3cr3t"}, stdin="pa55word")

    shown = repr(command)

    assert ("s3cr3t" in shown, "pa55word" in shown) == (False, False)


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("print('out'); import sys; print('err\\n \\n', file=sys.stderr)", "err"),
        ("print('out\\n\\n')", "out"),
        ("pass", "it printed nothing"),
    ],
)
def test_the_last_line_that_says_something(code: str, last: str) -> None:
    """
    A failure is explained by the last line of stderr, else of stdout.
    """
    done = SystemRunner().run(python(code))

    assert last == done.last_line


def test_what_was_started_is_read_while_it_runs_and_ended_when_stopped() -> None:
    """
    A server's log can be read at any time and after its end; stopping twice is fine.
    """
    running = SystemRunner().start(
        python("import os, time; print(os.environ['MY_TOKEN']); time.sleep(60)", variables={"MY_TOKEN": "s3cr3t"})
    )
    assert happens(lambda: running.log().endswith("\n"))
    log, code = running.log(), running.code()

    running.stop()
    running.stop()

    assert ("***\n", None, "***\n") == (log, code, running.log())
    assert gone(running.pid)


def test_a_program_is_asked_line_by_line() -> None:
    """
    A conversation is one line there and one line back, until the program ends.
    """
    conversation = SystemRunner().converse(
        python("import sys\nfor line in sys.stdin:\n    print('heard ' + line.strip())\n    if line == 'end\\n': break")
    )

    answers = [conversation.ask(line) for line in ("one", "zwölf", "end", "more")]
    conversation.stop()

    assert ["heard one\n", "heard zwölf\n", "heard end\n", None] == answers


STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
LEAVING = "import subprocess, sys\nchild = subprocess.Popen(('sleep', '3600'), start_new_session=True)\n"


@pytest.mark.parametrize("before", ["", STUBBORN, LEAVING], ids=["sleeps", "ignores SIGTERM", "leaves a session"])
def test_a_conversation_that_reaches_its_limit_is_ended(tmp_path: Path, before: str) -> None:
    """
    With everything that it started, even what holds its output; then it answers nothing.
    """
    file = tmp_path / "pids"
    code = (
        f"import os\n{before}import time\nopen({str(file)!r}, 'w').write(f'{{os.getpid()}} ')\n"
        f"'child' in globals() and open({str(file)!r}, 'a').write(str(child.pid))\n"
        "input()\nprint('first')\ninput()\ntime.sleep(3600)"
    )

    def attempt(limit_s: float) -> tuple[str | None, TooSlow, str | None] | None:
        command = replace(python(code, timeout_s=limit_s, variables={"PATH": os.environ["PATH"]}), foreign=True)
        conversation = SystemRunner().converse(command)
        try:
            first = conversation.ask("one")
            with pytest.raises(TooSlow) as late:
                conversation.ask("two")
            return first, late.value, conversation.ask("three")
        except TooSlow:  # before the first answer
            return None
        finally:
            conversation.stop()

    first, late, after = first_that_is_long_enough(attempt, first_s=2)

    name = Path(sys.executable).name
    assert re.fullmatch(rf"`{re.escape(name)}` did not respond within \d+ s", late.what)
    assert ("first\n", "it was stopped", None) == (first, late.why, after)
    assert all(gone(int(pid)) for pid in file.read_text().split())


@pytest.mark.parametrize("way", ["run", "start", "converse"])
def test_temporary_files_of_a_killed_program_are_removed(tmp_path: Path, way: str) -> None:
    """
    With the folder that is its own.
    """
    file = tmp_path / "made"
    code = (
        f"import pathlib, tempfile, time\nfile = pathlib.Path({str(file)!r})\n"
        "file.with_suffix('.new').write_text(tempfile.mkdtemp())\nfile.with_suffix('.new').rename(file)\n"
        "time.sleep(3600)"
    )
    runner, command = SystemRunner(), replace(python(code), foreign=True, own_temporary=True)

    if way == "run":
        runner.run(replace(command, timeout_s=None, must_stop=file.exists))
    else:
        program = runner.start(command) if way == "start" else runner.converse(command)
        assert happens(file.exists)
        program.stop()

    made = Path(file.read_text())
    assert (True, False) == (made.parent.name.startswith("mlflow-uv-"), made.parent.exists())


def test_several_programs_run_at_once_and_answer_in_order() -> None:
    """
    Two that wait for each other both end; the answers stand in the order of the tasks.
    """
    runner = SystemRunner()
    met = threading.Barrier(2, timeout=CEILING_S)

    def task(word: str) -> Callable[[], str]:
        def answer() -> str:
            met.wait()
            return runner.run(python(f"print({word!r})")).stdout

        return answer

    assert ["a\n", "b\n"] == runner.side_by_side([task("a"), task("b")])


def test_the_first_error_of_several_is_raised_when_all_have_ended() -> None:
    """
    Who comes later in the list ends all the same, and does not hide what came first.
    """
    ended = []

    def fail(word: str) -> Callable[[], None]:
        def answer() -> None:
            ended.append(word)
            raise ToolFailed(what=word)

        return answer

    with pytest.raises(ToolFailed, match="first"):
        SystemRunner().side_by_side([fail("first"), fail("second")])

    assert ["first", "second"] == sorted(ended)


def test_a_cancelled_wait_ends_every_program_and_begins_no_other(tmp_path: Path) -> None:
    """
    SIGINT while several programs run: none is left, and what had not begun never does.
    """
    runner = SystemRunner()
    code = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(60)"
    pids = [tmp_path / str(number) for number in range(50)]

    def task(at: Path) -> Callable[[], object]:
        command = python(code, timeout_s=None)
        return lambda: runner.run(replace(command, argv=(*command.argv, str(at))))

    def interrupt() -> None:
        while sum(at.exists() and bool(at.read_text()) for at in pids) < 2:
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.side_by_side([task(at) for at in pids])
    finally:
        signal.signal(signal.SIGINT, before)

    begun = [int(at.read_text()) for at in pids if at.exists() and at.read_text()]
    assert (True, True) == (2 <= len(begun) < 20, all(map(gone, begun)))


def test_what_a_child_found_elsewhere_is_masked() -> None:
    """
    A secret of the caller that a child was not given, and a token in an address that it was, are not shown.
    """
    caller = {"GITHUB_TOKEN": "ghs_0123456789", "MLFLOW_TRACKING_URI": "http://t0kenAsUser@tracking.test"}
    lines: list[str] = []
    code = "import os; print('ghs_0123456789', os.environ['MLFLOW_TRACKING_URI']); print('it is ghs_01\\n  23456789')"
    given = {"MLFLOW_TRACKING_URI": caller["MLFLOW_TRACKING_URI"]}

    done = SystemRunner(caller).run(python(code, variables=given, on_line=lines.append))

    assert "*** http://***@tracking.test\nit is ***\n  ***\n" == done.stdout
    assert done.stdout.splitlines() == lines


def test_the_log_of_a_program_that_is_left_running_is_masked() -> None:
    """
    As much as that of one that is waited for, also where a line was broken.
    """
    running = SystemRunner({"GITHUB_TOKEN": "ghs_0123456789"}).start(python("print('it is ghs_01\\n  23456789')"))
    while running.code() is None:
        pass

    running.stop()

    assert "it is ***\n  ***\n" == running.log()


def test_a_program_that_has_to_stop_is_ended_while_it_runs() -> None:
    """
    It is asked about again and again, and what it printed until then comes back.
    """
    lines: list[str] = []
    command = replace(
        python("print('begun')\nwhile True: pass", on_line=lines.append, timeout_s=None), must_stop=lambda: bool(lines)
    )

    done = SystemRunner().run(command)

    assert (-signal.SIGTERM, "begun\n") == (done.code, done.stdout)


def test_a_program_that_may_go_on_ends_by_itself() -> None:
    """
    Whoever looks after it does not hold it up.
    """
    done = SystemRunner().run(replace(python("print('done')"), must_stop=lambda: False))

    assert (0, "done\n") == (done.code, done.stdout)
