"""Schedules against worked numbers."""

import math

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
    with pytest.raises(ValueError, match="is 0, expected at least 1"):
        make()
