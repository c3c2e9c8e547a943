"""What classifiers share: labels and codes, class weights, scores and predictions."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from ._arrays import as_numpy, beside, current, like, namespace, take
from ._base import margins, score_on_host
from ._compat import choice, instance, none

CLASS_WEIGHT = instance(dict) | choice("balanced") | none


class LinearClassifier(ClassifierMixin):
    """Scores and labels of a linear model with one score a class, or one for two."""

    def decision_function(self, X):
        """Scores X coef_' + intercept_, one column a class; one value a row for two.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,) or (n_samples, n_classes)
        """
        return self._scores(X, "decision_function")

    def predict(self, X):
        """Class labels with the largest score.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples,)
            In the namespace of X if labels are numbers, else NumPy.
        """
        with current(X):
            scores = self._scores(X, "predict")
            xp = namespace(scores)
            if scores.ndim == 1:
                codes = xp.astype(scores > 0, xp.int64)
            else:
                codes = xp.argmax(scores, axis=1)
            if as_numpy(self.classes_).dtype.kind not in "biuf":
                return self.classes_[as_numpy(codes)]
            return take(beside(self.classes_, scores), codes)

    def score(self, X, y, sample_weight=None):
        """Accuracy of `predict`, computed on the host wherever X lives.

        Parameters
        ----------
        X : array or CSR matrix (n_samples, n_features)
        y : array (n_samples,)
        sample_weight : array (n_samples,), default=None

        Returns
        -------
        float
        """
        return score_on_host("accuracy_score", self, X, y, sample_weight)

    def _scores(self, X, method):
        scores = margins(self, X, method)
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores


def encode(y):
    """Classes and the number of every row's class, on the host.

    Two whole numbers are told apart in one pass; anything else is sorted.

    Parameters
    ----------
    y : validated array (n,)

    Returns
    -------
    classes : ndarray (K,)
    codes : ndarray (n,) of int

    Raises
    ------
    ValueError
        For continuous targets, or fewer than two classes.
    """
    y = as_numpy(y)
    if y.dtype.kind in "iufb":
        low, high = y.min(), y.max()
        codes = y == high
        whole = low == np.floor(low) and high == np.floor(high)
        if low != high and whole and (codes | (y == low)).all():
            return np.array([low, high]), codes.astype(np.uint8)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    _refuse_one_class(np.bincount(codes), classes)
    return classes, codes


def class_weights(class_weight, classes, codes, weights):
    """Multiply sample weights by the weight of each row's class.

    "balanced" gives every class the same total weight.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray (K,)
    codes : ndarray (n,)
        Class number of every row.
    weights : array (n,)

    Returns
    -------
    array (n,), as ``weights``

    Raises
    ------
    ValueError
        If a class weight is negative or not a finite number, if a key is no class, or
        if fewer than two classes are left with a positive weight.
    """
    host = as_numpy(weights)
    totals = np.bincount(codes, host, minlength=len(classes))
    _refuse_one_class(totals, classes)
    if class_weight is None:
        return weights
    if isinstance(class_weight, str):
        factors = np.zeros(len(classes))
        np.divide(totals.sum() / len(classes), totals, out=factors, where=totals > 0)
    else:
        factors = compute_class_weight(class_weight, classes=classes, y=classes)
        if not np.isfinite(factors).all() or (factors < 0).any():
            raise ValueError(
                f"class_weight must be finite and not negative, got {class_weight}."
            )
        _refuse_one_class(factors * totals, classes)
    return like(host * factors[codes], weights)


def _refuse_one_class(totals, classes):
    left = classes[np.asarray(totals) > 0]
    if len(left) < 2:
        raise ValueError(
            "A classifier needs rows of at least 2 classes with positive weight, but "
            f"the data contains only one class: {left.tolist()[0]!r}"
        )
