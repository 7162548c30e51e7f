"""Batches: every row once, and never a copy of the whole data."""

import tracemalloc

import numpy as np
import pytest

from chainrule.networks.training.batches import Batches


@pytest.mark.parametrize("size", [1, 7, 50, 60, None])
def test_every_row_once_in_order(size):
    x, t = np.arange(100.0).reshape(50, 2), np.arange(50)
    order = np.random.default_rng(0).permutation(50)
    batches = Batches(x, t, size, caller="fit")
    got = list(batches.once(order))
    assert len(got) == batches.count == len(list(batches.once()))
    np.testing.assert_array_equal(np.concatenate([x for x, _, _ in got]), x[order])
    np.testing.assert_array_equal(np.concatenate([t for _, t, _ in got]), order)
    np.testing.assert_array_equal(np.concatenate([t for _, t, _ in batches.once()]), t)
    rest = list(batches.once(order, start=1))
    assert len(rest) == len(got) - 1
    for (x_batch, *_), (x_rest, *_) in zip(got[1:], rest, strict=True):
        np.testing.assert_array_equal(x_batch, x_rest)


def test_a_tuple_is_data_and_a_list_is_batches():
    x, t, w = np.arange(12.0).reshape(4, 3), np.arange(4), np.ones(4)
    halves = [(x[:3], t[:3]), (x[3:], t[3:])]
    inputs = [((x[:3], x[:3]), t[:3], w[:3]), ((x[3:], x[3:]), t[3:], w[3:])]
    for data, lengths in [((x, t), [4]), ((x, t, w), [4]), (halves, [3, 1]), (inputs, [3, 1])]:
        got = [t_batch for _, t_batch, _ in Batches.of(data, caller="fit").once()]
        assert list(map(len, got)) == lengths
        np.testing.assert_array_equal(np.concatenate(got), t)
    with pytest.raises(TypeError, match=r"batch 0 is a ndarray, expected a pair \(x, t\) or"):
        list(Batches.of([x, t], caller="fit").once())
    with pytest.raises(
        ValueError, match=r"x\[0\]\[0\] has shape \(\), .*a tuple is several arrays"
    ):
        Batches.of((((0.0, 1.0), (1.0, 0.0)), (0, 1)), caller="fit")


def test_nested_tuples_are_cut_together():
    x, t = np.arange(20.0).reshape(10, 2), np.arange(10)
    given = ((x, (x[:, 0], t)), (t, x))
    order = np.random.default_rng(0).permutation(10)
    got = list(Batches(*given, 4, weights=t, caller="fit").once(order))
    assert [len(w) for _, _, w in got] == [4, 4, 2]
    for k, ((a, (b, c)), (d, e), w) in enumerate(got):
        rows = order[4 * k : 4 * k + 4]
        for part, whole in [(a, x), (b, x[:, 0]), (c, t), (d, t), (e, x), (w, t)]:
            np.testing.assert_array_equal(part, whole[rows])


def test_lengths_that_differ_are_reported_with_their_place():
    x, t = np.zeros((5, 2)), np.zeros(5)
    with pytest.raises(
        ValueError, match=r"fit: x\[0\] has 5 rows and x\[1\]\[0\] 4, expected equal numbers"
    ):
        Batches((x, (x[1:], x)), t, caller="fit")
    with pytest.raises(ValueError, match=r"x\[0\] has 5 rows and t\[1\] 4"):
        Batches((x, x), (t, t[1:]), caller="fit")
    with pytest.raises(ValueError, match="x has 5 rows and weights 4"):
        Batches(x, t, weights=t[1:], caller="fit")


def test_drop_last_and_a_subset():
    x = np.arange(10)
    batches = Batches(x, x, 4, drop_last=True, caller="fit")
    assert batches.count == len(list(batches.once())) == 2
    part = Batches(x, x, 3, caller="fit").subset(np.array([1, 3, 5, 7]))
    got = [b.tolist() for b, _, _ in part.once(np.array([3, 2, 1, 0]))]
    assert got == [[7, 5, 3], [1]]


@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"weights": np.ones(3)}, {"drop_last": True}]
)
def test_options_of_arrays_with_an_iterable(options):
    with pytest.raises(TypeError, match="is for arrays, but x is batches already"):
        Batches([(np.ones(3), np.ones(3))], **options, caller="fit")


def layouts(tmp_path):
    x = np.random.default_rng(1).random((20_000, 20), np.float32)
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    shifted[...] = x
    x.tofile(tmp_path / "x.dat")
    return {
        "plain": x,
        "Fortran": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=1)[:, ::2],
        "misaligned": shifted,
        "memmap": np.memmap(tmp_path / "x.dat", np.float32, "r", shape=x.shape),
    }


@pytest.mark.parametrize("layout", ["plain", "Fortran", "strided", "misaligned", "memmap"])
def test_the_data_are_not_copied(tmp_path, layout, monkeypatch):
    monkeypatch.setattr("chainrule.networks.training.batches._BLOCK", 10_000)
    rng = np.random.default_rng(2)
    x, t = layouts(tmp_path)[layout], rng.normal(size=20_000)
    expected, order = np.array(x), rng.permutation(20_000)
    tracemalloc.start()
    try:
        batches = Batches(x, t, 100, caller="fit")
        for i, (x_batch, t_batch, _) in enumerate(batches.once(order)):
            rows = order[100 * i : 100 * i + 100]
            assert (x_batch == expected[rows]).all()
            assert (t_batch == t[rows]).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 10
