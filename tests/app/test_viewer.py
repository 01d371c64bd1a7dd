import re

from app.viewer import viewer
from visualize.page import FOLDER, script, template


def test_the_template_takes_no_value() -> None:
    # gradio compiles it twice; whatever it interpolates would be run
    assert not re.search(r"\{\{|\}\}|\$\{|`|\\|@children", template())
    assert "<script" not in template()


def test_model_text_can_only_become_text() -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bFunction\(|setAttribute\(.on|\.srcdoc"
    )
    assert re.findall(forbidden, script()) == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = template() + script()
    assert not re.search(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|\bimport\b\s*[({'\"]", text)


def test_every_part_of_the_script_is_there_in_order() -> None:
    parts = sorted(FOLDER.glob("*.js"))
    assert [int(part.name.split("-")[0]) for part in parts] == list(range(1, len(parts) + 1))
    assert all(part.read_text() in script() for part in parts)


def test_the_component_never_interprets_its_value() -> None:
    component = viewer(lambda question: {})
    assert component.html_template == template()
    assert component.js_on_load is not None
    assert component.js_on_load.startswith(script())
    assert component.value is None
