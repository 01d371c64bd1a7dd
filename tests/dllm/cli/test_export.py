from pathlib import Path

import pytest

from dllm.cli.main import main
from tests.visualize.runs import recorded, saved
from visualize.export.formats import EXPORTS


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
    assert main(["export", str(path.with_name("none.json"))]) == 2


@pytest.mark.parametrize("ending", [".json.gz", ".attention.npz", ".drift.npz"])
@pytest.mark.parametrize("link", ["itself", "soft", "hard"])
def test_what_is_exported_is_not_overwritten(
    path: Path, ending: str, link: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = path.with_name(f"run{ending}")
    if not source.exists():
        source.write_bytes(b"maps")
    before, place = source.read_bytes(), path.with_name("place")
    if link == "soft":
        place.symlink_to(source)
    elif link == "hard":
        place.hardlink_to(source)
    else:
        place = source
    assert main(["export", str(path), "--format", "csv", "--out", str(place)]) == 2
    assert f"out is '{place}', the same file as " in capsys.readouterr().err
    assert source.read_bytes() == before


def test_a_failed_export_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = path.with_name("run.csv")
    old.write_text("old")

    def failing(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", failing)
    assert main(["export", str(path), "--format", "csv"]) == 130
    assert old.read_text() == "old"
