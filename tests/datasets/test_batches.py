import tracemalloc

import numpy as np
import pytest

from chainrule.datasets import batches


def test_in_order():
    x, t = np.arange(20).reshape(10, 2), np.arange(10)
    seen = list(batches(x, t, batch_size=4))
    assert [len(x_batch) for x_batch, _ in seen] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([x_batch for x_batch, _ in seen]), x)
    np.testing.assert_array_equal(np.concatenate([t_batch for _, t_batch in seen]), t)


def test_shuffled_rows_stay_together_and_come_once():
    x, t = np.arange(202).reshape(101, 2), np.arange(101)
    seen = list(batches(x, t, batch_size=10, rng=np.random.default_rng(3)))
    order = np.concatenate([t_batch for _, t_batch in seen])
    assert sorted(order) == t.tolist()
    assert order.tolist() != t.tolist()
    np.testing.assert_array_equal(np.concatenate([x_batch for x_batch, _ in seen]), x[order])


def test_the_same_seed_gives_the_same_order_and_each_epoch_another():
    def epochs(seed):
        rng = np.random.default_rng(seed)
        return [np.concatenate(list(batches(np.arange(50), batch_size=7, rng=rng))) for _ in "ab"]

    first, second = epochs(0)
    np.testing.assert_array_equal(epochs(0), [first, second])
    assert (first != second).any()
    assert (epochs(1)[0] != first).any()


def test_drop_last():
    for n, expected in ((10, [4, 4]), (8, [4, 4]), (3, [])):
        sizes = [len(each) for each in batches(np.arange(n), batch_size=4, drop_last=True)]
        assert sizes == expected
    rng = np.random.default_rng(0)
    seen = np.concatenate(list(batches(np.arange(10), batch_size=4, rng=rng, drop_last=True)))
    assert len(set(seen)) == 8


def test_one_array_gives_arrays_and_lists_are_taken():
    assert [each.tolist() for each in batches([1, 2, 3], batch_size=2)] == [[1, 2], [3]]
    assert list(batches(np.empty((0, 3)), batch_size=2)) == []


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_a_batch_is_a_copy(rng):
    x = np.zeros((6, 2))
    for batch in batches(x, batch_size=3, rng=rng):
        batch += 1
    assert (x == 0).all()


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[:, ::2], lambda x: x.view(">f4")])
def test_only_the_rows_of_a_batch_are_read(tmp_path, rng, view):
    path = tmp_path / "large"
    large = np.memmap(path, np.float32, "w+", shape=(32_768, 1024))  # 128 MB, with holes
    tracemalloc.start()
    for batch in batches(view(large), batch_size=64, rng=rng):
        assert len(batch) == 64
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_bad_arguments():
    x = np.arange(4)
    with pytest.raises(ValueError, match=r"different lengths: \[4, 3\]"):
        batches(x, x[:3], batch_size=2)
    with pytest.raises(ValueError, match="batch_size is 0"):
        batches(x, batch_size=0)
    with pytest.raises(TypeError, match="float"):
        batches(x, batch_size=2.0)
    with pytest.raises(TypeError, match="at least one array"):
        batches(batch_size=2)
    with pytest.raises(ValueError, match="single number"):
        batches(np.float64(3), batch_size=2)
    for rng in (0, np.random, np.random.RandomState(0)):
        with pytest.raises(TypeError, match=r"batches: rng is .*default_rng"):
            batches(x, batch_size=2, rng=rng)
