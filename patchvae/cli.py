"""The command `patchvae`: the functions that the rules call, one subcommand each.

Exit codes: 0 done, 1 a check failed, 2 configuration, 3 data, 4 diverged, 5 locked by another job,
6 checkpoint unusable, 7 resources, 75 stopped on request with state saved.
"""

import io
import sys

import click

from patchvae import __version__
from patchvae.errors import ConfigError, SuiteError
from patchvae.figures import commands as figures
from patchvae.report import commands as report
from patchvae.report.terminal import commands as terminal
from patchvae.report.terminal import reference
from patchvae.runtime.launch import refuse_stray_ranks
from patchvae.share import commands as share
from patchvae.study import commands as study
from patchvae.training import commands as training
from patchvae.verify import commands as verify

EPILOG = __doc__.split("\n\n")[1] if __doc__ else ""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__)
def cli() -> None:
    """Regenerate the tables and figures of the PatchVAE paper.

    Snakemake calls these commands; each can also be called by hand. Studies are those in config/
    of the current folder and those that come with the suite; `patchvae init` begins such a folder.
    """
    refuse_stray_ranks()


for room in (study, training, figures, report, reference, terminal, share, verify):
    for command in room.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Entry point: an expected failure is one line on standard error and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no sign for becomes `?`
            stream.reconfigure(errors="replace")
    try:
        cli(standalone_mode=False)
    except SuiteError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        _fail("aborted", 130)
    except click.ClickException as error:
        _fail(error.format_message(), ConfigError.exit_code)
    except Exception as error:
        from patchvae.runtime.failures import describe

        message, code = describe(error)
        if code == SuiteError.exit_code:
            raise
        _fail(message, code)


def _fail(message: str, code: int) -> None:
    print(f"patchvae: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
