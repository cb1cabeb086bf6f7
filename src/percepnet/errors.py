"""The errors that bad input raises. The command line prints their message on one line and exits with code 2."""


class PercepNetError(ValueError):
    """Something that the caller gave cannot be used; the message says what, and what to do instead."""


class AudioError(PercepNetError):
    """A recording that cannot be read, processed or written."""


class ModelError(PercepNetError):
    """A model file that is damaged, of another version, or whose fields do not fit together."""
