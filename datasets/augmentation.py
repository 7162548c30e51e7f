"""Augmentation of images by small random changes: shift, rotate, elastic.

Images are arrays of shape (N, C, H, W). Each image is changed by its own random draw, the same for
all its channels; pixels from outside the image are 0.
"""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._rng import check_rng

_Images = npt.NDArray[Any]


def shift(images: npt.ArrayLike, max_shift: SupportsIndex, rng: np.random.Generator) -> _Images:
    """Shift by whole pixels, drawn for each axis from -max_shift to max_shift.

    A fraction of a pixel would blur the image.

    Parameters
    ----------
    images : array_like of shape (N, C, H, W)
        Of any dtype.
    max_shift : int
        At least 0.
    rng : numpy.random.Generator
        Draws the shifts.

    Returns
    -------
    array of shape (N, C, H, W)
        A new array of the same dtype.

    Raises
    ------
    ValueError
        If `images` is not of shape (N, C, H, W) or `max_shift` is negative.
    """
    images = _checked("shift", images)
    check_rng("shift", rng)
    m = operator.index(max_shift)
    if m < 0:
        raise ValueError(f"shift: max_shift is {m}, expected at least 0")
    n, c, h, w = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(2, 3))
    corners = rng.integers(0, 2 * m + 1, (2, n, 1))  # window (m, m) is the image unshifted
    shifted: _Images = windows[np.arange(n)[:, np.newaxis], np.arange(c), corners[0], corners[1]]
    return shifted


def rotate(images: npt.ArrayLike, max_degrees: float, rng: np.random.Generator) -> _Images:
    """Rotate about the centre by an angle drawn uniformly from [-max_degrees, max_degrees].

    Pixels are interpolated bilinearly.

    Parameters
    ----------
    images : array_like of shape (N, C, H, W)
        Of dtype float32 or float64.
    max_degrees : float
        At least 0.
    rng : numpy.random.Generator
        Draws the angles.

    Returns
    -------
    array of shape (N, C, H, W)
        A new array of the same dtype.

    Raises
    ------
    TypeError
        If `images` is not float32 or float64.
    ValueError
        If `images` is not of shape (N, C, H, W) or `max_degrees` is negative or infinite.
    """
    images = _checked_floating("rotate", images)
    check_rng("rotate", rng)
    _check_not_negative("rotate", "max_degrees", max_degrees)
    from scipy import ndimage

    angles = rng.uniform(-max_degrees, max_degrees, len(images))
    out = np.empty(images.shape, images.dtype)
    for image, angle, rotated in zip(images, angles, out, strict=True):
        ndimage.rotate(
            image, angle, (1, 2), reshape=False, output=rotated, order=1, mode="grid-constant"
        )
    return out


def elastic(images: npt.ArrayLike, alpha: float, sigma: float, rng: np.random.Generator) -> _Images:
    """Distort elastically: each pixel is taken from a smoothly displaced position.

    The displacements are uniform in [-1, 1], smoothed by a Gaussian of `sigma` pixels and
    multiplied by `alpha`. Pixels are interpolated bilinearly.

    Parameters
    ----------
    images : array_like of shape (N, C, H, W)
        Of dtype float32 or float64.
    alpha : float
        At least 0.
    sigma : float
        Positive.
    rng : numpy.random.Generator
        Draws the displacements.

    Returns
    -------
    array of shape (N, C, H, W)
        A new array of the same dtype.

    Raises
    ------
    TypeError
        If `images` is not float32 or float64.
    ValueError
        If `images` is not of shape (N, C, H, W), `alpha` is negative or infinite or `sigma`
        is not positive.

    References
    ----------
    P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks
    applied to visual document analysis", ICDAR 2003. For their 29x29 digits, alpha 34 and sigma 4
    were best.
    """
    images = _checked_floating("elastic", images)
    check_rng("elastic", rng)
    _check_not_negative("elastic", "alpha", alpha)
    if not sigma > 0:
        raise ValueError(f"elastic: sigma is {sigma}, expected more than 0")
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    h, w = images.shape[2:]
    grid = np.indices((h, w))
    # The Gaussian filter as a matrix for each axis: two small products are faster than filtering.
    smooth_y, smooth_x = (gaussian_filter1d(np.eye(m), sigma, mode="constant") for m in (h, w))
    out = np.empty(images.shape, images.dtype)
    for image, distorted in zip(images, out, strict=True):
        noise = rng.uniform(-1, 1, (2, h, w))
        places = grid + alpha * (smooth_y @ noise @ smooth_x)
        for channel, result in zip(image, distorted, strict=True):
            map_coordinates(channel, places, result, order=1, mode="grid-constant")
    return out


def _checked(name: str, images: npt.ArrayLike) -> _Images:
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"{name}: images have shape {images.shape}, expected (N, C, H, W); "
            "load_mnist(flatten=False) gives that"
        )
    return images


def _checked_floating(name: str, images: npt.ArrayLike) -> _Images:
    images = _checked(name, images)
    if images.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: images have dtype {images.dtype}, expected float32 or float64")
    return images


def _check_not_negative(name: str, argument: str, value: float) -> None:
    if not 0 <= value < np.inf:
        raise ValueError(f"{name}: {argument} is {value}, expected a finite number of at least 0")
