"""The page that sets all solvers side by side, made of the solvers themselves.

    python benchmarks/methods_table.py            # writes doc/methods.md

What a row says is the ``theory`` of the solver's class, its docstring's first line and
its registered name; nothing is typed twice.
"""

import inspect
from pathlib import Path

from promise_learn.solvers import SOLVERS

PAGE = Path(__file__).parents[1] / "doc" / "methods.md"
HEAD = """# Methods

Made by `python benchmarks/methods_table.py` from the solvers themselves.

n is the number of rows, d the effective dimension of the Hessian, kappa its condition
number, epsilon the accuracy of a Hessian estimate, tau* the batch size that PROMISE's
theory asks for; O~ hides logarithms. Sizes and rates are what the source proves or
proposes, for strongly convex problems; defaults are in the docstrings. Lazy: one
Hessian estimate serves many steps.

| solver | gradient batch | Hessian batch | lazy | local convergence | source |
|---|---|---|---|---|---|
"""


def page():
    """Text of the page."""
    rows, lines = [], []
    for name, solver in SOLVERS.items():
        theory = solver.theory
        cells = (
            f"`{name}`",
            theory.gradient_batch,
            theory.hessian_batch,
            "yes" if theory.lazy_updates else "no",
            theory.local_convergence,
            theory.source,
        )
        rows.append("| " + " | ".join(cells) + " |")
        first = inspect.getdoc(solver).splitlines()[0]
        lines.append(f"- `{name}` (`promise_learn.solvers.{solver.__name__}`): {first}")
    return HEAD + "\n".join(rows) + "\n\n## In a line\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
