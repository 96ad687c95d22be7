"""The certificate against what a program of its own derives from the text of the C."""

from __future__ import annotations

import re
from functools import cache

import pytest

from assurance.networks import network
from assurance.rederive import KERNELS, derived, faults
from rnnc.quantization.certify import Certificate, certify
from tests.support.covering import covering
from tests.support.packages import package

LEAST = 122


@cache
def packages() -> list[tuple[str, Certificate]]:
    """NAME.c and the certificate of networks that have every op."""
    texts = []
    for qnet in covering():
        program, files = package(qnet, "net", steps=1)
        texts.append((files[f"{program.name}.c"], certify(qnet)))
    return texts


def test_the_certificate_follows_from_the_c() -> None:
    """Every accumulator of rows of weights, of lines and of products: what the C can reach is what the certificate says."""
    assert [why for text, certificate in packages() for why in faults(text, str(certificate))] == []
    assert sum(len(derived(text)) for text, _ in packages()) >= LEAST
    called = {name.removesuffix("_wide") for text, _ in packages() for name in re.findall(r"\brnnc_\w+", text)}
    assert set(KERNELS) <= called


@pytest.mark.parametrize("seed", [300_000, 300_001, 300_009])
def test_functions_that_layers_share_and_rows_of_linear_recurrences_are_read(seed: int) -> None:
    qnet = network(seed)
    assert qnet is not None
    program, files = package(qnet, "net", steps=1)
    text = files[f"{program.name}.c"]
    assert "RNNC_APART" in text or "rnnc_extended_sum" in text
    assert derived(text) and faults(text, str(certify(qnet))) == []


def test_a_bound_twice_too_small_is_caught() -> None:
    """Each accumulator that is derived, by its name."""
    for text, certificate in packages():
        for name, worst in derived(text).items():
            said = re.sub(
                rf"^  {re.escape(name)}: \d+", f"  {name}: {worst // 2}", str(certificate), flags=re.MULTILINE
            )
            assert any(why.startswith(name) for why in faults(text, said)), name


@pytest.mark.parametrize("what", ["_w", "_b"])
def test_constants_of_the_c_that_overflow_are_caught(what: str) -> None:
    """Weights or a bias that the certificate was not computed for."""
    text, certificate = next((t, c) for t, c in packages() if "rnnc_dense(" in t and "conv" not in t)
    grown = re.sub(rf"({what}\[\d+\] = \{{\s*)-?\d+", rf"\g<1>{2**31 - 2 if what == '_b' else 2**17}", text)
    assert grown != text
    assert any("past 2^31" in why for why in faults(grown, str(certificate)))
