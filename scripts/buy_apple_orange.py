"""Two apples at 100, three oranges at 150 and 10 % tax: the price, and how it changes.

The graph has four nodes:  (apple * apple_num + orange * orange_num) * tax = price.
"""

from __future__ import annotations

import argparse

from chainrule.datasets import shopping
from chainrule.layers import AddLayer, Identity, MulLayer
from chainrule.networks import Parallel, Sequential


def by_hand() -> tuple[float, ...]:
    """Call each node forward in order, and backward in the opposite order."""
    ((apple, apple_num), (orange, orange_num)), tax = shopping()
    mul_apple = MulLayer()
    mul_orange = MulLayer()
    add_fruit = AddLayer()
    mul_tax = MulLayer()

    # forward
    apple_price = mul_apple.forward(apple, apple_num)
    orange_price = mul_orange.forward(orange, orange_num)
    fruit_price = add_fruit.forward(apple_price, orange_price)
    price = mul_tax.forward(fruit_price, tax)

    # backward
    dfruit_price, dtax = mul_tax.backward(1)
    dapple_price, dorange_price = add_fruit.backward(dfruit_price)
    dorange, dorange_num = mul_orange.backward(dorange_price)
    dapple, dapple_num = mul_apple.backward(dapple_price)

    return price, dapple, dapple_num, dorange, dorange_num, dtax


def as_network() -> tuple[float, ...]:
    """Build the same graph as one network; the gradients come back nested as the inputs went in."""
    shop = Sequential(
        Parallel(Sequential(Parallel(MulLayer(), MulLayer()), AddLayer()), Identity()),
        MulLayer(),
    )
    price = shop.forward(*shopping())
    ((dapple, dapple_num), (dorange, dorange_num)), dtax = shop.backward(1)
    return price, dapple, dapple_num, dorange, dorange_num, dtax


def report(
    price: float,
    dapple: float,
    dapple_num: float,
    dorange: float,
    dorange_num: float,
    dtax: float,
) -> None:
    """Print the price and its derivatives; what is a whole number of money without its dust."""
    print("price:", round(price))  # 715.0000000000001, since no float is exactly 1.1
    print("dApple:", dapple)
    print("dApple_num:", round(dapple_num))
    print("dOrange:", dorange)
    print("dOrange_num:", round(dorange_num))
    print("dTax:", dtax)


def main(argv: list[str] | None = None) -> None:
    """Print the lines of the article, twice."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    print("node by node")
    report(*by_hand())
    print("\nas one Sequential")
    report(*as_network())


if __name__ == "__main__":
    main()
