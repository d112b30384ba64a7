"""What a process prints, on streams that can't carry it or that nobody reads."""

import json
import os
import subprocess
import sys

import pytest

SECURE = "import os, sys, time; from inncli.io import standard_streams as s; s.secure()\n"


def python(code, *, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **env):
    return subprocess.run(
        [sys.executable, "-c", SECURE + code], stdout=stdout, stderr=stderr, env=os.environ | env, timeout=120
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "encoding, carried",
    [
        ("ascii", rb"-- | +- \u00e9 \u03bb \ud83d\ude00 +- ..."),
        ("latin-1", b"-- | +- \xe9 \\u03bb \\ud83d\\ude00 \xb1 ..."),
        ("utf-8", "── │ ┌─ é λ 😀 ± …".encode()),
    ],
)
def test_lines_and_signs_are_drawn_in_what_the_stream_can_carry(encoding, carried, unbuffered):
    done = python("print('── │ ┌─ é λ 😀 ± …')", PYTHONIOENCODING=encoding, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, carried, b"")


def test_the_c_locale():
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    done = python(r"print('\u2500\xe9'); print('\xe9', file=sys.stderr)", **env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"-\\u00e9\n", b"\\u00e9\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_says_the_same_in_every_encoding(encoding):
    value = {"names": ["─é😀", "a\x7fb", "±"]}
    done = python(f"from inncli.cli import console; console.as_json({value!r})", PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout.decode(encoding)) == value


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_nobody_reads_goes_nowhere_and_the_work_goes_on(name, unbuffered, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    code = f"""
for _ in range(3):
    print("x" * 100_000, file=sys.{name}, flush=True)
os.write({1 if name == "stdout" else 2}, b"a library in C")
assert s.is_unread() == ({name!r} == "stdout")
open({str(tmp_path / "ended")!r}, "w")
sys.exit(7)
"""
    try:
        done = python(code, **{name: writer}, PYTHONUNBUFFERED=unbuffered)
    finally:
        os.close(writer)
    assert (done.returncode, done.stdout or b"", done.stderr or b"") == (7, b"", b"")
    assert (tmp_path / "ended").exists()


def test_a_full_disk_loses_a_result_with_an_error_and_a_note_without_one():
    with open("/dev/full", "wb") as full:
        assert python("print('x', file=sys.stderr, flush=True)", stderr=full).returncode == 0
        done = python("print('x', flush=True)", stdout=full)
    assert done.returncode != 0 and b"No space left" in done.stderr


def test_a_stream_that_python_code_has_put_there_is_kept(capsys):
    from inncli.io import standard_streams

    before = sys.stdout, sys.stderr
    standard_streams.secure()
    assert (sys.stdout, sys.stderr) == before
    assert not standard_streams.is_unread()
