import numpy as np

from chainrule.datasets import parabola, shopping, truth_table, xor, xor_truth_table


def test_shopping():
    assert shopping() == (((100, 2), (150, 3)), 1.1)


def test_parabola():
    x, t = parabola()
    np.testing.assert_array_equal(np.hstack([x, t]), [[1, 4], [2, 9], [3, 16]])


def test_truth_tables():
    x, t = truth_table()
    np.testing.assert_array_equal(x, [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(t, [[0], [0], [1], [1]])
    x_xor, t_xor = xor_truth_table()
    np.testing.assert_array_equal(x_xor, x)
    np.testing.assert_array_equal(t_xor, [[0], [1], [1], [0]])


def test_xor():
    x, t = xor()
    assert x.shape == (4, 2)
    np.testing.assert_array_equal(t[:, 0], np.logical_xor(*x.T))


def test_each_call_gives_fresh_arrays():
    for table in (parabola, truth_table, xor_truth_table, xor):
        for array, again in zip(table(), table(), strict=True):
            assert array.dtype == np.float64
            assert not np.shares_memory(array, again)
            array[...] = -1
        assert table()[0].min() >= 0
