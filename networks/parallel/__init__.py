"""Training on more cores and more machines."""

from .mpi import RankError
from .threads import DataParallel, one_blas_thread

__all__ = ["DataParallel", "RankError", "one_blas_thread"]
