"""The one error that the gradient checks raise."""


class GradientError(AssertionError):
    """A layer's backward is not the derivative of its forward, or the layer breaks a law."""
