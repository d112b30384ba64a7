"""Signals end a training with a checkpoint, those of a closed terminal and of a scheduler too."""

import os
import signal

import pytest
import torch
from test_trainer import fit

from inncli.errors import Interrupted
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, ending_of
from inncli.training import stop_signals
from inncli.training.checkpoint import load_checkpoint
from inncli.training.stop_signals import StopFlag, end_as_ctrl_c_does
from signalling import BEFORE_A_CHECKPOINT, BEFORE_THE_RUN, INSTANTS, train
from small_training import stop_at

SENT = [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGXCPU]
named = pytest.mark.parametrize("number", SENT, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def as_before():
    """Every signal as it was before the test."""
    before = {number: signal.getsignal(number) for number in stop_signals.STOP}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@named
def test_a_training_ends_with_a_checkpoint_and_goes_on_bit_for_bit(tmp_path, number):
    whole, _, _ = fit(tmp_path / "a")
    with pytest.raises(Interrupted, match=f"^{number.name} at step 9 of 28; checkpoint written"):
        fit(tmp_path / "b", on_step=stop_at(9, number))
    again, _, _ = fit(tmp_path / "b", resume=True)
    assert all(map(torch.equal, whole.state_dict().values(), again.state_dict().values()))


def test_what_is_ignored_stays_ignored(tmp_path):
    """`nohup inn train`, and a job in the background of a script, which ignores Ctrl-C."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    end_as_ctrl_c_does()

    def on_step(progress, loss, lr):
        for number in (signal.SIGHUP, signal.SIGINT):
            assert signal.getsignal(number) == signal.SIG_IGN
            os.kill(os.getpid(), number)

    assert fit(tmp_path, on_step=on_step)[2].step == 28


def test_one_that_someone_listens_for_stops_the_run_and_is_theirs_again(tmp_path):
    heard = []
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: heard.append(number))  # as submitit does
    end_as_ctrl_c_does()
    with pytest.raises(Interrupted, match="^SIGUSR2 at step 5"):
        fit(tmp_path, on_step=stop_at(5, signal.SIGUSR2))
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == [signal.SIGUSR2, signal.SIGUSR1]


def test_a_warning_comes_again_and_again_and_a_person_insists():
    end_as_ctrl_c_does()
    with StopFlag() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGXCPU)  # the kernel does so each second
            os.kill(os.getpid(), signal.SIGHUP)  # the shell and the kernel do
        assert stop.raised is signal.SIGHUP
        os.kill(os.getpid(), signal.SIGQUIT)
        assert stop.raised is signal.SIGQUIT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGQUIT)
    for number in SENT:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def same_weights(one, other):
    first, second = load_checkpoint(one.last)[0], load_checkpoint(other.last)[0]
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stopped_and_resumed(folder, whole, number, instant):
    folder.mkdir()
    run = RunDir(folder / "run")
    assert train(folder, number, instant) == 130, (folder / "err").read_text()
    assert len((folder / "err").read_text().splitlines()[-1:]) == 1
    if instant in BEFORE_THE_RUN:
        assert not run.info_file.exists()
        assert train(folder) == 0, (folder / "err").read_text()
    else:
        assert ending_of(run.info()) is Ending.SIGNAL and run.fine_state() == "interrupted"
        assert run.last.is_file() == run.best.is_file() == (instant not in BEFORE_A_CHECKPOINT)
        assert train(folder, words=["resume", "run"]) == 0, (folder / "err").read_text()
    assert run.info()["status"] == "done"
    same_weights(run, whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert train(folder) == 0
    return RunDir(folder / "run")


def test_a_command_that_is_hung_up_goes_on_bit_for_bit(tmp_path, whole):
    stopped_and_resumed(tmp_path / "trial", whole, signal.SIGHUP, "mid epoch")


@pytest.mark.slow
@named
@pytest.mark.parametrize("instant", INSTANTS)
def test_at_ten_instants(tmp_path, whole, number, instant):
    stopped_and_resumed(tmp_path / "trial", whole, number, instant)


def test_there_are_ten():
    assert len(INSTANTS) == 10
