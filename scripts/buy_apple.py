"""Two apples at 100 each and 10 % tax: the price, and how it changes with each number.

The graph has two nodes:  (apple * apple_num) * tax = price.
"""

from __future__ import annotations

import argparse

from chainrule.layers import Identity, MulLayer
from chainrule.networks import Parallel, Sequential

APPLE, APPLE_NUM, TAX = 100, 2, 1.1


def by_hand() -> tuple[float, ...]:
    """Call each node forward in order, and backward in the opposite order."""
    mul_apple = MulLayer()
    mul_tax = MulLayer()

    # forward
    apple_price = mul_apple.forward(APPLE, APPLE_NUM)
    price = mul_tax.forward(apple_price, TAX)

    # backward
    dapple_price, dtax = mul_tax.backward(1)
    dapple, dapple_num = mul_apple.backward(dapple_price)

    return price, dapple, dapple_num, dtax


def as_network() -> tuple[float, ...]:
    """Build the same graph as one network, which knows the order."""
    shop = Sequential(
        Parallel(MulLayer(), Identity()),
        MulLayer(),
    )
    price = shop.forward((APPLE, APPLE_NUM), TAX)
    (dapple, dapple_num), dtax = shop.backward(1)
    return price, dapple, dapple_num, dtax


def report(price: float, dapple: float, dapple_num: float, dtax: float) -> None:
    """Print the price and its derivatives; what is a whole number of money without its dust."""
    print("price:", round(price))  # 220.00000000000003, since no float is exactly 1.1
    print("dApple:", dapple)
    print("dApple_num:", round(dapple_num))
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
