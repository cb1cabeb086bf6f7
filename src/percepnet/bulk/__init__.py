"""Recordings by the file, the folder and the archive: planned, enhanced, written once, and never lost."""

from percepnet.bulk.one import Job, Result, Settings, enhance_file

__all__ = ["Job", "Result", "Settings", "enhance_file"]
