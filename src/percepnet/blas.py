"""BLAS on one thread, while frames are calculated: on matrices as small as theirs, threads only wait for each other."""

import threading
from types import TracebackType

from threadpoolctl import ThreadpoolController


class _OneThread:
    """A context that calls of several threads may be in at the same time.

    The number of BLAS threads belongs to the process. It is as it was once the last of the calls has ended, in
    whichever order they do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._pools: ThreadpoolController | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._pools is None:  # it looks through all libraries of the process, which takes milliseconds
                self._pools = ThreadpoolController()
            if not self._at_work:
                self._limited = self._pools.limit(limits=1, user_api="blas")
            self._at_work += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._at_work -= 1
            if not self._at_work:
                self._let_this_thread_decide()
                self._limited.restore_original_limits()
                self._let_this_thread_decide()

    def _let_this_thread_decide(self) -> None:
        """threadpoolctl 3.8 heeds only the thread that has set a limit; here the last one ends it."""
        assert self._pools is not None
        for pool in self._pools.lib_controllers:
            if hasattr(pool, "clear_controlling_thread"):
                pool.clear_controlling_thread(force=True)


one_thread = _OneThread()
