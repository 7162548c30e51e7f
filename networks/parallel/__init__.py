"""Training on more cores and more machines."""

from .threads import DataParallel, one_blas_thread

__all__ = ["DataParallel", "one_blas_thread"]
