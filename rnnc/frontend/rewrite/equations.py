"""Arithmetic, comparisons and truth values in the form that handlers know, as equations.

A truth value is 1 or 0 and a number like any other. What jumps (Sign, Shrink ...) is made of comparisons.
"""

from __future__ import annotations

from rnnc.frontend.rewrite.patterns import (
    Attribute,
    Operand,
    Rule,
    Term,
    computed,
    constant,
    equation,
    like,
    op,
    unlike,
)

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
SOFTPLUS_LIMIT = 14.0
"""log(1 + exp(-x)) is below 1e-6 from here on."""
FLOAT = 1
"""Its element type in ONNX."""

x, y = computed("x"), computed("y")
c, v = constant("c"), unlike("v")
a, b, w = Term(name="a"), Term(name="b"), Term(name="w")

ARITHMETIC = (
    equation("x + 0 = x", x + 0, x),
    equation("x - 0 = x", x - 0, x),
    equation("x * 1 = x", x * 1, x),
    equation("x / 1 = x", x / 1, x),
    equation("-(-x) = x", op("Neg", -x), x),
    equation("-(-1 x) = x", -(x * -1), x),
    equation("x^1 = x", x**1, x),
    equation("x^2 = x x", x**2, x * x),
    equation("x^(1/2) = sqrt x", x**0.5, op("Sqrt", x)),
    equation("x^(-1) = 1 / x", x**-1, 1 / x),
    equation("c / x = c (1 / x)", c / x, (1 / x) * c),
    equation("1 / sqrt x = x^(-1/2)", 1 / op("Sqrt", x).read_once(), x**-0.5),
    equation("1 / (1 + exp x) = sigmoid(-x)", 1 / (1 + op("Exp", x)), op("Sigmoid", -x)),
    equation("true ? a : b = a", op("Where", 1.0, a, b), a),
    equation("false ? a : b = b", op("Where", 0.0, a, b), b),
    equation(
        "x > 14 ? x : softplus x = softplus x",
        op("Where", op("Greater", x, c), x, op("Softplus", x).named("y")),
        lambda known: y if known["c"].min() >= SOFTPLUS_LIMIT else None,
    ),
    # torch.lerp, whose branches are the same number
    equation(
        "w < 1/2 ? a + w (b - a) : b - (b - a) (1 - w) = a + w (b - a)",
        op("Where", Term(name="which"), (a + w * (b - a).named("d")).named("y"), b - (b - a).named("d") * (1 - w)),
        y,
    ),
    equation("argmin x = argmax(-x)", op("ArgMin", x), like("ArgMax", -x)),
    equation("log-sum x = log(sum x)", op("ReduceLogSum", x), op("Log", like("ReduceSum", x))),
    equation("log-sum x = log(sum x), along axes", op("ReduceLogSum", x, c), op("Log", like("ReduceSum", x, c))),
)


def _chosen(condition: Term, yes: Operand, no: Term) -> tuple[Rule, ...]:
    """Where by products with 1 and 0."""
    kind = "p" if yes is condition else "constant p"
    return (
        equation(f"{kind} ? 0 : b = (1 - p) b", op("Where", condition, 0.0, b), no * b),
        equation(f"{kind} ? a : 0 = p a", op("Where", condition, a, 0.0), op("Mul", yes, a)),
        equation(f"{kind} ? a : b = p a + (1 - p) b", op("Where", condition, a, b), op("Mul", yes, a) + no * b),
    )


above, below = op("Greater", x, Attribute("lambd", 0.5)), op("Less", x, Attribute("lambd", 0.5, -1))
bias = Attribute("bias", 0.0)
times = x * (1 / c)

TRUTHS = (
    *(equation(f"{k}(x, y) = {k}(x - y, 0)", op(k, x, y), op(k, x - y, 0.0)) for k in COMPARISONS),
    equation("a and b = min(a, b)", op("And", a, b), op("Min", a, b)),
    equation("a or b = max(a, b)", op("Or", a, b), op("Max", a, b)),
    equation("a xor b = |a - b|", op("Xor", a, b), op("Abs", a - b)),
    *_chosen(x, x, op("Not", x)),
    *_chosen(c, op("Cast", c, to=FLOAT), op("Cast", op("Not", c), to=FLOAT)),
    equation("sign x = (x > 0) - (x < 0)", op("Sign", x), op("Greater", x, 0.0) - op("Less", x, 0.0)),
    equation("thresholded x = x (x > alpha)", op("ThresholdedRelu", x), x * op("Greater", x, Attribute("alpha", 1.0))),
    equation(
        "shrunk x = (x - bias) (x > lambd) + (x + bias) (x < -lambd)",
        op("Shrink", x),
        (x - bias) * above + (x + bias) * below,
    ),
    equation(
        "x mod c = x - c (floor relu(x / c) - floor relu(-x / c))",
        op("Mod", x, c, fmod=1),
        lambda known: (
            x - (op("Floor", op("Relu", times)) - op("Floor", op("Relu", -times))) * c if known["c"].all() else None
        ),
    ),
    equation("max(x, v) = relu(x - v) + v", op("Max", x, v), op("Relu", x - v) + v),
    equation("min(x, v) = v - relu(v - x)", op("Min", x, v), v - op("Relu", v - x)),
)
