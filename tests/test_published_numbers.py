"""The numbers that the articles print, from the scripts that follow them, to the last digit."""

import pytest

PRICES = {
    "buy_apple.py": """\
price: 220
dApple: 2.2
dApple_num: 110
dTax: 200
""",
    "buy_apple_orange.py": """\
price: 715
dApple: 2.2
dApple_num: 110
dOrange: 3.3000000000000003
dOrange_num: 165
dTax: 650
""",
}


@pytest.mark.parametrize("script", PRICES)
def test_prices_node_by_node_and_as_one_network(run_script, script):
    lines = PRICES[script]
    assert run_script(script).out == f"node by node\n{lines}\nas one Sequential\n{lines}"


def test_parabola_in_float32(run_script):
    lines = run_script("fit_parabola.py").out.splitlines()
    assert lines[:3] == [
        "before training:    21.0",
        "after  1000 epochs: 25.152122497558594",
        "after 10000 epochs: 25.000938415527344",
    ]


def test_sigmoid_nets(run_script):
    assert (
        run_script("sigmoid_net.py").out
        == """\
one layer, outputs after 10,000 steps:
[[0.00966449]
 [0.00786506]
 [0.99358898]
 [0.99211957]]

two layers, mean |error| every 10,000 steps:
0.496410031903
0.00858452565325
0.00578945986251
0.00462917677677
0.00395876528027
0.00351012256786
"""
    )
