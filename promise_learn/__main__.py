"""The package's command line: ``python -m promise_learn compare``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ._compare import compare
from ._problems import BUILT_IN, CompareError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m promise_learn")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "compare",
        help="time our solvers and scikit-learn's on the same objective",
        description="Fit promise_learn and scikit-learn on the same objective, measure "
        "the gap that each leaves, and plot it against seconds.",
    )
    command.add_argument(
        "sources",
        nargs="*",
        metavar="FILE|NAME",
        help="LIBSVM files, plain or .xz, .bz2, .gz, by path or by name in the folder "
        f"PROMISE_LEARN_DATA; or any of {', '.join(BUILT_IN)} (default: all of these)",
    )
    command.add_argument(
        "--task",
        choices=["logistic", "ridge"],
        help="default: logistic where y takes at most 20 whole values, else ridge",
    )
    command.add_argument(
        "--solvers",
        nargs="+",
        default=[],
        metavar="SOLVER",
        help="our solvers to run besides the default, such as sketchy-saga",
    )
    command.add_argument(
        "--tol", type=float, default=1e-6, help="tol of every fit (default: 1e-6)"
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("promise_learn_compare"),
        metavar="FOLDER",
        help="where the plots go (default: promise_learn_compare)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; those of the process where None.

    Returns
    -------
    int
        Exit status: 0, or 2 for an error of the user's.
    """
    args = _parser().parse_args(argv)
    try:
        compare(args.sources, args.task, args.solvers, args.tol, args.out)
    except CompareError as error:
        print(f"promise_learn compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("promise_learn compare: interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
