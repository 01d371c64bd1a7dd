"""The benchmark's script alone, on documents of a few cells: no server, no charts."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from app.bench import script, template

MOUNT = """([source, first]) => {
  window.waiting = [];
  window.feed = { value: first };
  const options = {
    read: () => feed.value,
    listen: (receive) => (feed.receive = receive),
    ask: (question) => new Promise((done) => waiting.push({ ...question, done })),
    open: () => {},
    plotly: async () => window.Plotly,
  };
  const root = document.querySelector(".bs-bench");
  new Function("root", "options", source + "; bench.mount(root, options);")(root, options);
}"""


def document(name: str) -> dict[str, Any]:
    columns = [{"title": title, "about": ""} for title in ("decoding", "tokens/s")]
    row = {"cells": [f"row of {name}", "1"], "order": [name, 1.0], "trace": False}
    return {"files": ["one", "two", "three"], "file": name, "columns": columns, "rows": [row], "facts": f"Of {name}."}


def mount(page: Page) -> None:
    page.set_content(f"<body>{template()}</body>")
    page.evaluate(MOUNT, [script(), json.dumps(document("one"))])
    expect(page.locator(".bs-bench-facts")).to_have_text("Of one.")


def answer(page: Page, index: int, reply: dict[str, Any]) -> None:
    page.evaluate("([index, reply]) => waiting[index].done(reply)", [index, reply])


def test_of_answers_in_another_order_the_newest_question_s_is_drawn(page: Page) -> None:
    mount(page)
    choice = page.get_by_label("Benchmark on show")
    choice.select_option("two")
    choice.select_option("three")
    assert page.evaluate("waiting.map(({ file }) => file)") == ["two", "three"]
    answer(page, 1, document("three"))
    expect(page.locator(".bs-bench-facts")).to_have_text("Of three.")
    answer(page, 0, document("two"))
    page.wait_for_timeout(100)
    expect(page.locator(".bs-bench-facts")).to_have_text("Of three.")
    expect(page.locator(".bs-bench tbody th")).to_have_text("row of three")
    expect(choice).to_have_value("three")


def test_an_answer_that_the_page_itself_overtakes_is_dropped(page: Page) -> None:
    """A new value of the component is newer than a question that is still open."""
    mount(page)
    page.get_by_label("Benchmark on show").select_option("two")
    page.evaluate("(value) => { feed.value = value; feed.receive(); }", json.dumps(document("three")))
    expect(page.locator(".bs-bench-facts")).to_have_text("Of three.")
    answer(page, 0, document("two"))
    page.wait_for_timeout(100)
    expect(page.locator(".bs-bench-facts")).to_have_text("Of three.")


def test_a_board_that_is_mounted_again_draws_once(page: Page) -> None:
    mount(page)
    page.evaluate("(value) => { feed.value = value; }", json.dumps(document("two")))
    page.evaluate("() => { window.first = feed.receive; }")
    page.evaluate(MOUNT, [script(), json.dumps(document("three"))])
    page.evaluate("first()")
    page.wait_for_timeout(100)
    expect(page.locator(".bs-bench-facts")).to_have_text("Of three.")
    page.get_by_label("Benchmark on show").select_option("one")
    assert page.evaluate("waiting.length") == 1  # the first board asked nothing
