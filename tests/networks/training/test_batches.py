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
    np.testing.assert_array_equal(np.concatenate([x for x, _ in got]), x[order])
    np.testing.assert_array_equal(np.concatenate([t for _, t in got]), order)
    np.testing.assert_array_equal(np.concatenate([t for _, t in batches.once()]), t)
    rest = list(batches.once(order, start=1))
    assert len(rest) == len(got) - 1
    for (x_batch, _), (x_rest, _) in zip(got[1:], rest, strict=True):
        np.testing.assert_array_equal(x_batch, x_rest)


@pytest.mark.parametrize("form", [tuple, list])
def test_two_of_what_are_evaluated_on(form):
    x, t = np.arange(12.0).reshape(4, 3), np.arange(4)
    halves = form([(x[:3], t[:3]), (x[3:], t[3:])])
    inputs = form([((x[:3], x[:3]), t[:3]), ((x[3:], x[3:]), t[3:])])
    for data, lengths in [((x, t), [4]), ([x, t], [4]), (halves, [3, 1]), (inputs, [3, 1])]:
        got = [t_batch for _, t_batch in Batches.of(data, caller="fit").once()]
        assert list(map(len, got)) == lengths
        np.testing.assert_array_equal(np.concatenate(got), t)
    rows = ((0.0, 1.0), (1.0, 0.0)), (0, 1)  # Python's own numbers, as tuples
    ((x_rows, t_rows),) = Batches.of(rows, caller="fit").once()
    assert (x_rows.shape, t_rows.shape) == ((2, 2), (2,))


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
        for i, (x_batch, t_batch) in enumerate(batches.once(order)):
            rows = order[100 * i : 100 * i + 100]
            assert (x_batch == expected[rows]).all()
            assert (t_batch == t[rows]).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 10
