"""Names of a package that are imported when they are first asked for (SPEC 1)."""

from importlib import import_module


def getter(package, homes):
    """`__getattr__` of a package.

    Parameters
    ----------
    package : str
    homes : dict
        Module of the package that defines a name, by name.

    Returns
    -------
    callable
    """

    def lookup(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return lookup
