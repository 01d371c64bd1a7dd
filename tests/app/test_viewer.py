import re
from pathlib import Path

import pytest

from app import bench
from app.viewer import viewer
from visualize.export.html import VIEWER_FOLDER, viewer_script, viewer_template

SOURCES = [*VIEWER_FOLDER.glob("src/*.js"), *bench.ASSETS.glob("src/*.js")]
HOSTILE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|createContextualFragment|DOMParser|document\.write|\beval\b"
    r"|\bFunction\(|setAttribute\(.on|\.srcdoc|javascript:"
)
OUTSIDE = re.compile(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|\bimport\b\s*[({'\"]")


def test_the_template_takes_no_value() -> None:
    # gradio compiles it twice; whatever it interpolates would be run
    assert not re.search(r"\{\{|\}\}|\$\{|`|\\|@children", viewer_template())
    assert "<script" not in viewer_template()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_model_text_can_only_become_text(path: Path) -> None:
    assert HOSTILE.findall(path.read_text()) == []


def test_model_text_can_only_become_text_in_the_bundles() -> None:
    assert len(SOURCES) > 20
    assert HOSTILE.findall(viewer_script() + bench.script()) == []


@pytest.mark.parametrize(
    "text", ["node.innerHTML = piece", "new Function(piece)", "node.setAttribute('onclick', piece)"]
)
def test_a_planted_way_to_run_model_text_is_found(text: str) -> None:
    assert HOSTILE.search(text)


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert not OUTSIDE.search(viewer_template() + viewer_script() + bench.template() + bench.script())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_a_source_is_one_noun_of_a_readable_size(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_the_component_never_interprets_its_value() -> None:
    component = viewer(lambda question: {})
    assert component.html_template == viewer_template()
    assert component.js_on_load is not None
    assert component.js_on_load.startswith(viewer_script())
    assert component.value is None
