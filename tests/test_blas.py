import threading

import pytest

from blas_threads import blas_threads, two_threads
from percepnet.blas import one_thread


def test_threads_are_given_back_when_the_last_call_ends_however_calls_overlap():
    entered, leave = threading.Event(), threading.Event()

    def other():
        with one_thread:
            entered.set()
            leave.wait(60)

    worker = threading.Thread(target=other)
    with two_threads():
        with one_thread:
            worker.start()
            entered.wait(60)
        assert blas_threads() == {1}
        leave.set()
        worker.join()
        assert blas_threads() == {2}


def test_threads_are_given_back_after_an_error():
    with two_threads():
        with pytest.raises(KeyError), one_thread:
            raise KeyError
        assert blas_threads() == {2}


def test_calls_within_calls_are_one():
    with two_threads():
        with one_thread:
            with one_thread:
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}
