"""Preconditioners: small immutable approximations of a Hessian and their inverses.

A specification (:class:`Nystrom`, :class:`SubsampledNewton`, ...) holds parameters
only. Its ``build(A, rho, rng, diagonal=None)`` turns rows A with A'A close to the
Hessian into an :class:`Inverse`.
"""

from .base import Inverse, Preconditioner, woodbury
from .diagonal import Diagonal, Identity
from .nystrom import Nystrom
from .sparse_sketch import LessUniformSketch, SparseSignSketch
from .subsampled_newton import SubsampledNewton

PRECONDITIONERS = {
    "diagonal": Diagonal,
    "nystrom": Nystrom,
    "sassn-c": SparseSignSketch,
    "sassn-r": LessUniformSketch,
    "ssn": SubsampledNewton,
}

__all__ = [
    "PRECONDITIONERS",
    "Diagonal",
    "Identity",
    "Inverse",
    "LessUniformSketch",
    "Nystrom",
    "Preconditioner",
    "SparseSignSketch",
    "SubsampledNewton",
    "resolve_preconditioner",
    "woodbury",
]


def resolve_preconditioner(spec):
    """Specification that a user's argument stands for.

    Parameters
    ----------
    spec : str, Preconditioner or None
        A name of ``PRECONDITIONERS``, a specification (returned as it is; anything with
        a ``build`` method will do), or None for no preconditioning.

    Returns
    -------
    Preconditioner

    Examples
    --------
    >>> from promise_learn.preconditioners import resolve_preconditioner
    >>> resolve_preconditioner("nystrom")
    Nystrom()
    """
    if spec is None:
        return Identity()
    if isinstance(spec, str) and spec in PRECONDITIONERS:
        return PRECONDITIONERS[spec]()
    if hasattr(spec, "build") and not isinstance(spec, type):
        return spec
    names = ", ".join(repr(name) for name in PRECONDITIONERS)
    raise ValueError(
        f"preconditioner={spec!r} is not known; use one of {names}, None for no "
        "preconditioning, or an instance such as Nystrom(rank=100)"
    )
