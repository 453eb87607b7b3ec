"""Errors for people.

Each is one line with what, where and how to mend it, and carries its exit code.
"""


class SuiteError(Exception):
    """Base of every expected failure.

    The command line prints it as one line and exits with `exit_code`.
    """

    exit_code = 1


class ConfigError(SuiteError):
    """A study, table, key, model, dataset or path that does not exist or has the wrong type."""

    exit_code = 2


class DataError(SuiteError):
    """Images, archives or arrays that are missing, truncated, altered or of the wrong kind."""

    exit_code = 3


class DivergedError(SuiteError):
    """A loss became infinite or not a number."""

    exit_code = 4


class LockedError(SuiteError):
    """Another live job is writing the same artefact."""

    exit_code = 5


class CheckpointError(SuiteError):
    """A checkpoint or result whose content is not what its digest or its run says."""

    exit_code = 6


class ResourceError(SuiteError):
    """Out of memory or disk, or a disk or GPU that cannot be used."""

    exit_code = 7


class StoppedError(SuiteError):
    """Stopped on request with state saved: run the same command again to continue."""

    exit_code = 75
