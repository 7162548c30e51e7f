"""Schedules against worked numbers."""

import math
import pickle

import numpy as np
import pytest

from chainrule.networks import schedules


def numbers(schedule, *steps):
    return [schedule(step) for step in steps]


def test_constant():
    assert numbers(schedules.constant(0.3), 0, 10**9) == [0.3, 0.3]


def test_step_decay():
    schedule = schedules.step_decay(8.0, every=10, factor=0.5)
    assert numbers(schedule, 0, 9, 10, 19, 20, 35) == [8, 8, 4, 4, 2, 1]


def test_exponential():
    schedule = schedules.exponential(8.0, factor=0.25, every=10)
    assert numbers(schedule, 0, 5, 10, 15) == pytest.approx([8, 4, 2, 1])


def test_cosine():
    schedule = schedules.cosine(3.0, steps=100, final=1.0)
    expected = [3, 2 + math.cos(math.pi / 4), 2, 2 - math.cos(math.pi / 4), 1, 1]
    assert numbers(schedule, 0, 25, 50, 75, 100, 1000) == pytest.approx(expected)


def test_warm_up():
    schedule = schedules.warm_up(schedules.step_decay(8.0, every=6, factor=0.5), steps=4)
    assert numbers(schedule, 0, 1, 2, 3, 4, 5, 6) == [2, 4, 6, 8, 8, 8, 4]


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.step_decay(1, every=0),
        lambda: schedules.exponential(1, 0.5, every=0),
        lambda: schedules.cosine(1, steps=0),
        lambda: schedules.warm_up(schedules.constant(1), steps=0),
    ],
)
def test_steps_below_1(make):
    with pytest.raises(ValueError, match="is 0, expected an integer of at least 1"):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.constant(None), TypeError, "constant: lr is None, expected a number"),
        (lambda: schedules.cosine("1", 5), TypeError, "cosine: lr is '1', expected a number"),
        (
            lambda: schedules.cosine(1, math.nan),
            ValueError,
            "cosine: steps is nan, expected an integer of at least 1",
        ),
        (
            lambda: schedules.exponential(1, None),
            TypeError,
            "exponential: factor is None, expected a number",
        ),
        (
            lambda: schedules.exponential(0.1, -0.5, 2),
            ValueError,
            "exponential: factor is -0.5, expected a positive number",
        ),
    ],
)
def test_what_is_no_number(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_numpy_numbers_become_pythons():
    lr, factor = np.float64(8.0), np.array(0.5)
    for schedule in (
        schedules.constant(lr),
        schedules.step_decay(lr, 10, factor),
        schedules.exponential(lr, factor, 10),
        schedules.warm_up(schedules.cosine(lr, 10, factor), 5),
    ):
        assert type(schedule(3)) is float


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.constant(0.1),
        schedules.step_decay(0.1, 3),
        schedules.exponential(0.1, 0.5),
        schedules.warm_up(schedules.cosine(0.1, 10), 3),
    ],
)
def test_schedules_can_be_pickled_as_an_estimator_that_has_one(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert [again(step) for step in range(12)] == [schedule(step) for step in range(12)]
