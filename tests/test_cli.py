"""The `cvlib` command, as it is typed: rooms, help, exit codes, an end by Ctrl-C."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

from cvlib.cli import ROOMS

pytestmark = pytest.mark.slow  # each test starts the command anew

COMMAND = Path(sys.executable).with_name("cvlib")

# A room that waits, in the place of the doctor; an interrupt is heeded even where a
# shell has started the tests in the background.
WAITING = """
import signal, sys, time, types, typer
signal.signal(signal.SIGINT, signal.default_int_handler)
room = types.ModuleType("room")
room.app = typer.Typer()

@room.app.command()
def wait():
    print("waiting", flush=True)
    time.sleep(60)

sys.modules["cvlib.doctor.command"] = room
sys.argv = ["cvlib", "doctor"]
from cvlib.cli import main
main()
"""


def cvlib(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_room_has_a_help_of_its_own(room: str):
    done = cvlib(*room.split(), "--help")
    assert done.returncode == 0 and not done.stderr
    assert f"Usage: {f'cvlib {room}'.strip()} " in done.stdout


def test_the_help_names_the_rooms_and_what_each_is_for():
    said = " ".join(cvlib("--help").stdout.split())
    for name, (_, line) in ROOMS.items():
        assert name in said and line.split()[0] in said


def test_the_help_opens_no_room():
    code = """
        import sys
        from cvlib.cli import main
        sys.argv = ["cvlib", "--help"]
        try:
            main()
        finally:
            print(*sys.modules, file=sys.stderr)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    opened = set(done.stderr.split())
    assert not opened & {module for module, _ in ROOMS.values()}
    heavy = {"torch", "numpy", "PIL", "httpx", "pydantic", "nbformat", "sphinx"}
    assert "typer" in opened and not opened & heavy


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["docter"], "No such command 'docter'"),
        (["book", "biuld"], "Usage: cvlib book"),
        (["doctor"], "Usage: cvlib doctor"),
        (["doctor", "--deeep", "."], "--deeep"),
    ],
)
def test_a_word_that_no_room_knows_is_a_usage_error(arguments: list[str], said: str):
    done = cvlib(*arguments)
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_exit_codes_of_the_doctor_come_through(tmp_path: Path):
    for number, name in enumerate(("cat/1", "cat/2", "dog/1", "dog/2")):
        path = tmp_path / "good" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_mandelbrot((64, 48), (-2, -1, 1, 1), 3 + number).save(path)
    broken = tmp_path / "broken" / "cat" / "1.jpg"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no image")
    assert cvlib("doctor", str(tmp_path / "good")).returncode == 0
    assert cvlib("doctor", str(broken.parents[1])).returncode == 1
    assert cvlib("doctor", str(tmp_path / "missing")).returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_any_room_with_130_and_no_traceback(how: signal.Signals):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    process.send_signal(how)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130 and "Traceback" not in said
