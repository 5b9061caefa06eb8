import os
import signal
import threading

import pytest

from unblur.app.interruption import Interruption

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")


class Freed:
    """An object during whose last moment Ctrl-C arrives."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_python_drops_is_raised_by_the_next_check() -> None:
    with Interruption() as interruption:
        interruption.check()
        thing = Freed()
        del thing
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_ctrl_c_raises_at_once_and_the_handler_is_put_back() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        interruption.check()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_can_restore_too() -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with Interruption() as interruption:
                interruption.check()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not problems
