"""What X may be: dense or CSR, on any namespace, lazily centred and scaled."""

from .scaled import Design

__all__ = ["Design"]
