"""Targets of a measured network by its size and device, and the tables of a hardware document."""

from pathlib import Path
from typing import Any

import pytest

from dllm.bench.hardware import Way
from dllm.bench.targets import Target, tables, targets
from tests.dllm.bench.test_hardware import AR_STEP, BOTH, DOCUMENT, LARGE, NARROW, RATE, SMALL, load, network

CPU = {**LARGE, "name": "default", "environment": {"device": "cpu: a", "torch": "2", "threads": 1, "peak_bytes": 1e10}}


def found(data: Any) -> dict[str, Any]:
    return {target.name: (pytest.approx(target.value), target.bound, target.met) for target in targets(network(data))}


def test_the_targets_of_passes_depend_on_the_size_of_the_network() -> None:
    assert found(LARGE) == {
        "AR step: share of its bandwidth bound": (0.75, 0.7, True),
        "denoise step, 32 queries: share of its bandwidth bound": (6 / 9, 0.7, False),
        "denoise step, 8 queries: share of its bandwidth bound": (6 / 8.5, 0.7, True),
        "denoise step, 32 queries ÷ AR step": (9 / 8, 1.15, True),
        "denoise step, 8 queries ÷ AR step": (8.5 / 8, 1.25, True),
        "host's share of a pass, the largest": (0.06, 0.05, False),
        "recording ÷ decoding, the largest": (0.01, 0.03, True),
    }
    small = {name: (bound, met) for name, (_, bound, met) in found(SMALL).items() if "bandwidth" in name}
    assert small == {name: (0.5, True) for name in found(LARGE) if "bandwidth" in name}
    assert not [name for name in found(CPU) if "bandwidth" in name]


def rate(way: Way, seconds: float, **more: Any) -> dict[str, Any]:
    return {**RATE, "way": way, "batch": 1, "seconds": {"value": seconds}, **more}


def test_the_targets_of_speeds_are_ratios_at_batch_1() -> None:
    rates = [
        rate(Way.AR, 4.0, engine="transformers"),
        rate(Way.AR, 2.0),
        rate(Way.VERIFIED_2, 1.0),
        rate(Way.BLOCK_8, 1.5),
        rate(Way.BLOCK_32_8, 2.5),
        rate(Way.BLOCK_8_K2, 4.0),
        rate(Way.VERIFIED_2, 0.1, batch=4),
    ]
    assert found({**CPU, "passes": [], "rates": rates}) == {
        "AR ÷ AR (transformers), tokens/s": (2.0, 1.8, True),
        "verified, 2 drafts ÷ AR, tokens/s": (2.0, 1.4, True),
        "block 8, threshold 0.9 ÷ AR, tokens/s": (4 / 3, 1.4, False),
        "block 8, threshold 0.9 ÷ AR (transformers), tokens/s": (8 / 3, 2.5, True),
        "block 8, 2 tokens a pass ÷ AR, tokens/s": (0.5, 1.4, False),
    }
    assert found(BOTH) == {"full attention, d2Cache ÷ full attention, no cache, tokens/s": (4.0, 3.1, True)}


def test_what_was_not_measured_has_no_target() -> None:
    assert found({**LARGE, "passes": []}) == {}
    assert not any("÷ AR step" in name for name in found({**LARGE, "passes": [NARROW]}))
    assert not any("recording" in name for name in found({**LARGE, "passes": [{**AR_STEP, "recorder": None}]}))
    assert found({**BOTH, "rates": BOTH["rates"][:1]}) == {}


def test_a_target_is_a_least_or_a_most() -> None:
    assert Target("", 1.8, 1.8, at_least=True).met
    assert not Target("", 1.79, 1.8, at_least=True).met
    assert Target("", 0.05, 0.05, at_least=False).met
    assert not Target("", 0.06, 0.05, at_least=False).met


def test_the_tables_contain_all_of_it(tmp_path: Path) -> None:
    printed = tables(load(tmp_path, DOCUMENT))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if "|" in line]
    for row in (
        ["AR step", "8.000", "7.500 to 9.000", "6.000", "75 %", "2.0 %"],
        ["denoise step, 32 queries", "9.000", "–", "6.000", "67 %", "6.0 %"],
        ["AR", "4", "800.0", "500.0 to 1000.0", "1.00", "2.0"],
        ["AR (transformers)", "1", "800.0", "500.0 to 1000.0", "–", "–"],
        ["denoise step, 32 queries ÷ AR step", "1.125", "≤ 1.15", "yes"],
        ["full attention, d2Cache ÷ full attention, no cache, tokens/s", "4.000", "≥ 3.1", "yes"],
    ):
        assert row in cells
    assert {len(row) for row in cells} == {4, 6}
    assert "Did not fit into memory: AR at batch 64." in printed
    assert (
        "Fast_dLLM_v2_7B (7000 M parameters, bfloat16; prompts of 256 and answers of 512 tokens; 2000 GB/s" in printed
    )
    assert "on a, torch 2, passes replayed from graphs." in printed
    assert "Weights are random" in printed
    trained = tables(load(tmp_path, {**DOCUMENT, "networks": [CPU]}))
    assert "Weights are random" not in trained
    assert "on a, 1 thread, torch 2." in trained
