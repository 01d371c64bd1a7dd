from pathlib import Path

import pytest

from dllm.cli import main
from dllm.trace import Trace
from tests.visualize.runs import recorded, saved
from visualize.export import EXPORTS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return saved(recorded(), tmp_path)[0]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_trace_is_exported_beside_itself(path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["export", str(path), "--format", name]) == 0
    out = path.with_name(f"run.{name}")
    assert capsys.readouterr().out.strip() == str(out)
    assert out.stat().st_size > 100


def test_what_lies_beside_a_trace_goes_into_its_page(path: Path) -> None:
    assert main(["export", str(path)]) == 0
    assert "trajectory" in path.with_name("run.html").read_text()


def test_what_cannot_be_exported_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(path), "--format", "exe"]) == 2
    assert "format is 'exe'; allowed: json, html, gif, csv" in capsys.readouterr().err
    assert main(["export", str(path), "--format", "json", "--out", str(path)]) == 2
    assert "the trace itself" in capsys.readouterr().err
    assert Trace.load(path)
    assert main(["export", str(path.with_name("none.json"))]) == 2
