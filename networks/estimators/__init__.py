"""Estimators for scikit-learn: a net with ``fit``, ``predict`` and ``score``.

They work in pipelines, grid searches and cross validation, and their parameters are named as those
of scikit-learn's `MLPClassifier` where they mean the same.
"""

try:
    from .classifier import NetClassifier
    from .regressor import NetRegressor
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ImportError(
        "chainrule.networks.estimators needs scikit-learn: pip install 'chainrule[sklearn]'"
    ) from None

__all__ = ["NetClassifier", "NetRegressor"]
