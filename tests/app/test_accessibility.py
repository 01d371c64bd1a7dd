"""What axe-core finds on the page, in every tab, and how far things move while it loads."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

TABS = ("Watch", "Learn", "Race", "Benchmark")
MOST = 0.1  # a good cumulative layout shift, web.dev/articles/cls
MEASURE = """window.moved = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""


def opened(page: Page, url: str, query: str = "") -> None:
    page.goto(url + query)
    expect(page.locator(".bs")).to_have_attribute("data-state", "welcome")


def violations(page: Page) -> dict[str, list[str]]:
    """The rules that axe-core finds broken, and where."""
    found = Axe().run(page).response["violations"]
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found}


@pytest.mark.parametrize("query", ["", "?__theme=dark"], ids=["light", "dark"])
def test_axe_finds_nothing(page: Page, url: str, query: str) -> None:
    opened(page, url, query)
    for name in ("Examples", "Recorded runs", "Settings"):
        page.get_by_role("button", name=name).click()
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        for _ in range(10):  # tabs fade in, and a half faded text has too little contrast
            page.wait_for_timeout(500)
            if not (found := violations(page)):
                break
        assert not found, (tab, found)


def test_axe_would_find_a_button_without_a_name(page: Page, url: str) -> None:
    opened(page, url)
    page.evaluate("document.querySelector('.bs').append(document.createElement('button'))")
    assert "button-name" in violations(page)


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=str)
def test_little_moves_while_the_page_loads(page: Page, url: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.add_init_script(MEASURE)
    opened(page, url)
    page.wait_for_timeout(1000)
    moved = page.evaluate("window.moved")
    assert 0 < moved <= MOST
