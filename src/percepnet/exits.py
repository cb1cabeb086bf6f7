"""Exit codes, and the stop that SIGTERM asks for."""

EXIT_SOME_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: everything ends as on Ctrl-C, with nothing half-written."""
