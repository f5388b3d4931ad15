"""The pages in a browser: nothing fails, nothing overflows, sliders answer to the keyboard, nothing is out of reach."""

import json
import shutil

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from experiments.book.ledger import CHAPTERS, ROWS

CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
CHAPTER_PAGES = (f"book/chapter-{number}.html" for number in CHAPTERS)
PAGES = ("index.html", "book/index.html", *CHAPTER_PAGES, "reference/index.html", "reference/logistic.html")
WIDTHS = (380, 1280, 1920)
LIVE = {row.id: row.chapter for row in ROWS if any(figure.endswith("/slider") for figure in row.figures)}
OVERFLOWING = """() => [...document.querySelectorAll("body *")].filter(element =>
    element.getBoundingClientRect().right > innerWidth + 1
    && !element.closest(".scroll, .formula, pre, .slip, .still, .plot"))
    .map(element => element.outerHTML.slice(0, 80))"""
FITTED = """() => [...document.querySelectorAll(".plot .main-svg")].every(drawn =>
    Math.abs(drawn.getBoundingClientRect().width - drawn.closest(".plot").clientWidth) <= 1)"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which(str(CHROMIUM)), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, made):
    """Opens a page from the disk; at the end nothing must have been complained of, nor asked of any network."""
    complaints = []
    contexts = []

    def opened(path, **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        page.goto((made.folder / path).as_uri())
        for figure in page.query_selector_all("figure"):  # they are drawn when they come near
            figure.scroll_into_view_if_needed()
        page.wait_for_function("[...document.querySelectorAll('figure:has(.plot)')].every(f => f.dataset.frame)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_valid_fits_every_window_and_is_within_everyones_reach(path, open_page, made):
    text = (made.folder / path).read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert len(text.encode()) < 2_000_000
    page = open_page(path)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITTED)  # a figure is drawn anew a moment after the window has changed
        assert page.evaluate(OVERFLOWING) == [], width
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    broken = "[...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.src)"
    assert page.evaluate(broken) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == [], scheme


@pytest.mark.parametrize("row", LIVE)
def test_a_figure_answers_to_the_keyboard(row, open_page):
    page = open_page(f"book/chapter-{LIVE[row]}.html", viewport={"width": 1280, "height": 900})
    figure = page.locator(f"[id='figure-{row}']")
    data = json.loads(figure.locator("script").text_content())
    sliders = figure.locator("input")
    assert sliders.count() == len(data["sliders"])
    for place, slider in enumerate(data["sliders"]):
        seen = set()
        for key in ("Home", "ArrowRight", "ArrowRight", "End"):
            sliders.nth(place).press(key)
            told = figure.locator("output").nth(place).text_content()
            at = int(sliders.nth(place).input_value())
            assert told == slider["values"][at] == sliders.nth(place).get_attribute("aria-valuetext")
            seen.add((at, figure.locator(".plot").inner_html()))
        assert [at for at, _ in sorted(seen)] == [0, 1, 2, len(slider["values"]) - 1]
        assert len({drawn for _, drawn in seen}) == 4  # the figure is another at each of them
    assert int(figure.get_attribute("data-frame")) == len(data["frames"]) - 1
    assert figure.locator("button").count() == data["plays"]


def test_a_figure_plays_and_pauses(open_page):
    page = open_page("book/chapter-7.html")
    figure = page.locator("figure:has(button)")
    figure.locator("button").press("Enter")  # from its end it begins anew
    page.wait_for_function("f => f.dataset.frame >= 3 && f.dataset.frame < 50", arg=figure.element_handle())
    figure.locator("button").press("Enter")
    assert figure.locator("button").text_content() == "Play"
    stopped = figure.get_attribute("data-frame")
    page.wait_for_timeout(400)
    assert figure.get_attribute("data-frame") == stopped


def test_without_scripts_there_are_still_pictures(open_page, browser, made):
    page = browser.new_context(java_script_enabled=False).new_page()
    for row, chapter in LIVE.items():
        page.goto((made.folder / f"book/chapter-{chapter}.html").as_uri())
        section = page.locator(f"[id='row-{row}']")
        assert not section.locator(".plot").is_visible()
        assert section.locator(".off").is_visible()
        assert section.locator("figure img").first.is_visible()
    page.context.close()


def test_the_search_finds_formulas_by_name_and_function(open_page):
    page = open_page("book/index.html")
    page.locator("#find").fill("newton_cg")
    assert page.locator("li[data-words]:visible").all_text_contents() == ["7.6b Without storing the Hessian"]
    assert page.locator(".chapter:visible").count() == 1
    assert page.locator("#found").text_content() == "1 found"
    page.locator("#find").fill("")
    assert page.locator("li[data-words]:visible").count() == len(ROWS)


def test_links_lead_somewhere(made):
    for path in PAGES:
        page = made.folder / path
        links = html5lib.parse(page.read_text(), namespaceHTMLElements=False).iterfind(".//a[@href]")
        for link in {link.attrib["href"] for link in links}:
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.exists(), (path, link)
            if anchor and target.suffix == ".html":
                assert f'id="{anchor}"' in target.read_text(), (path, link)
