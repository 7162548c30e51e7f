import numpy as np
import pytest
from scipy import ndimage

from chainrule.datasets import elastic, rotate, shift


def random_images(n=6, c=2, h=9, w=12, dtype=np.float32):
    return np.random.default_rng(5).random((n, c, h, w)).astype(dtype)


def bilinear(image, row, column):
    """The value of the image at one place, 0 outside: the obvious way."""
    i, j = int(np.floor(row)), int(np.floor(column))
    total = 0.0
    for a, b in ((i, j), (i, j + 1), (i + 1, j), (i + 1, j + 1)):
        if 0 <= a < image.shape[0] and 0 <= b < image.shape[1]:
            total += image[a, b] * (1 - abs(row - a)) * (1 - abs(column - b))
    return total


def bilinear_everywhere(image, rows, columns):
    places = zip(rows.ravel(), columns.ravel(), strict=True)
    return np.array([bilinear(image, *place) for place in places]).reshape(image.shape)


AUGMENTATIONS = {
    "shift": lambda images, rng: shift(images, 3, rng),
    "rotate": lambda images, rng: rotate(images, 40, rng),
    "elastic": lambda images, rng: elastic(images, 8, 2, rng),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_shape_dtype_and_input_stay_and_the_seed_decides(augment, dtype):
    images = random_images(dtype=dtype)
    original = images.copy()
    first = augment(images, np.random.default_rng(0))
    assert first.shape == images.shape
    assert first.dtype == dtype
    assert not np.shares_memory(first, images)
    np.testing.assert_array_equal(images, original)
    np.testing.assert_array_equal(first, augment(images, np.random.default_rng(0)))
    assert (first != augment(images, np.random.default_rng(1))).any()
    assert augment(images[:0], np.random.default_rng(0)).shape == (0, 2, 9, 12)


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_images_differ_and_channels_share_their_draw(augment):
    image = random_images(n=1, c=1)
    result = augment(np.tile(image, (8, 3, 1, 1)), np.random.default_rng(0))
    np.testing.assert_array_equal(result, np.repeat(result[:, :1], 3, axis=1))
    assert len(np.unique(result[:, 0].reshape(8, -1), axis=0)) > 1


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_any_memory_layout_gives_the_same(augment):
    images = random_images()
    batch_innermost = np.ascontiguousarray(images.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    expected = augment(images, np.random.default_rng(0))
    np.testing.assert_array_equal(augment(batch_innermost, np.random.default_rng(0)), expected)


def test_shift_agrees_with_scipy_and_reaches_every_offset():
    images = random_images(n=200)
    shifted = shift(images, 1, np.random.default_rng(0))
    found = set()
    for image, result in zip(images, shifted, strict=True):
        for offset in np.ndindex(3, 3):
            dy, dx = np.array(offset) - 1
            if np.array_equal(ndimage.shift(image, (0, dy, dx), order=0), result):
                found.add((dy, dx))
                break
        else:
            pytest.fail("not a shift by at most one pixel")
    assert len(found) == 9


def test_shift_keeps_integers_and_takes_shifts_beyond_the_image():
    images = np.random.default_rng(0).integers(1, 256, (50, 1, 4, 4), np.uint8)
    assert shift(images, 0, np.random.default_rng(0)).tolist() == images.tolist()
    shifted = shift(images, 9, np.random.default_rng(0))
    assert shifted.dtype == np.uint8
    assert (shifted.reshape(50, -1).max(axis=1) == 0).any()


def test_rotate_agrees_with_the_obvious_way():
    images = random_images(dtype=np.float64)
    n, c, h, w = images.shape
    rotated = rotate(images, 30, np.random.default_rng(7))
    angles = np.deg2rad(np.random.default_rng(7).uniform(-30, 30, n))
    y, x = np.indices((h, w)) - np.array([(h - 1) / 2, (w - 1) / 2])[:, None, None]
    for i, a in enumerate(angles):
        rows = np.cos(a) * y + np.sin(a) * x + (h - 1) / 2
        columns = np.cos(a) * x - np.sin(a) * y + (w - 1) / 2
        for k in range(c):
            expected = bilinear_everywhere(images[i, k], rows, columns)
            np.testing.assert_allclose(rotated[i, k], expected, atol=1e-12)


def test_rotate_by_nothing_is_the_image():
    images = random_images()
    np.testing.assert_allclose(rotate(images, 0, np.random.default_rng(0)), images, rtol=1e-6)


def test_elastic_agrees_with_the_obvious_way():
    images = random_images(n=3, dtype=np.float64)
    n, c, h, w = images.shape
    distorted = elastic(images, 8, 2, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    for i in range(n):
        noise = rng.uniform(-1, 1, (2, h, w))
        dy, dx = (8 * ndimage.gaussian_filter(field, 2, mode="constant") for field in noise)
        y, x = np.indices((h, w))
        for k in range(c):
            expected = bilinear_everywhere(images[i, k], y + dy, x + dx)
            np.testing.assert_allclose(distorted[i, k], expected, atol=1e-12)
    np.testing.assert_array_equal(elastic(images, 0, 2, np.random.default_rng(0)), images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_bad_images_are_errors(name):
    augment = AUGMENTATIONS[name]
    rng = np.random.default_rng(0)
    for shape in ((5, 784), (5, 28, 28)):
        with pytest.raises(ValueError, match=rf"{name}: .*\({shape[0]}, .*\(N, C, H, W\)"):
            augment(np.zeros(shape), rng)
    with pytest.raises(TypeError, match=f"{name}: rng is 0"):
        augment(random_images(), 0)
    if name != "shift":
        with pytest.raises(TypeError, match=f"{name}: images have dtype uint8"):
            augment(np.zeros((5, 1, 4, 4), np.uint8), rng)


def test_bad_amounts_are_errors():
    images, rng = random_images(), np.random.default_rng(0)
    with pytest.raises(ValueError, match="max_shift is -1"):
        shift(images, -1, rng)
    with pytest.raises(TypeError, match="float"):
        shift(images, 1.5, rng)
    for degrees in (-5, np.inf):
        with pytest.raises(ValueError, match=f"max_degrees is {degrees}, expected a finite"):
            rotate(images, degrees, rng)
    with pytest.raises(ValueError, match="alpha is nan"):
        elastic(images, np.nan, 4, rng)
    with pytest.raises(ValueError, match="sigma is 0"):
        elastic(images, 34, 0, rng)
