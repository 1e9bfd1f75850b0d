"""The page in a real browser, headless: errors, requests, figures, toggles, themes, a phone."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.commands.compare import compare

CHROMIUM = "/usr/bin/chromium"
EVIL = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=1"> ' + "x" * 2**20
)
GOOD = '{"layers": [[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]}'
FIGURES = ("regret", "claims", "front", "rewards", "kernels", "beliefs")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no {CHROMIUM}: apt install chromium"),
]


@pytest.fixture
def page(make, make_model, tmp_path):
    """Write the page of three arms, one of which says evil things; returns its address."""
    runs = [make("a", episodes=30), make("g", optimizer="genetic", episodes=30)]
    runs.append(make_model("base", reply=EVIL + GOOD))
    paths, probe = tuple(run.path for run in runs), Path("finetune/probe/smollm2.json")
    assert compare(paths, out=tmp_path / "page", probe=(probe,)) == 0
    return f"file://{tmp_path}/page/report.html"


@contextmanager
def opened(address, last="beliefs", **options):
    """Open the page; yields it, and checks that nothing went wrong and nothing was asked for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_context(**options).new_page()
        said, asked = [], []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        tab.wait_for_selector(f"#{last} .main-svg")
        yield tab
        assert said == []
        assert asked == [address]
        browser.close()


def test_a_problem_of_the_users_own_shows_no_cost_and_no_kernels(own, tmp_path):
    for optimizer in ("random", "tpe"):
        own(tmp_path / optimizer, optimizer=optimizer)
    compare((tmp_path / "random", tmp_path / "tpe"), out=tmp_path / "page")
    with opened(f"file://{tmp_path}/page/report.html", "rewards") as tab:
        shown = [
            tab.locator(f"#{figure}").is_visible() for figure in ("front", "kernels", "rewards")
        ]
        assert shown == [False, False, True]
        assert set(traces(tab, "rewards")) == {"random", "tpe"}
        assert "infeasible: tile 16 exceeds the buffer" in tab.locator("#story").inner_text()


def traces(tab, figure):
    return tab.evaluate(f"document.getElementById('{figure}').data.map(one => one.name || '')")


def test_every_figure_is_drawn_and_arms_are_toggled_and_isolated(page):
    with opened(page, viewport={"width": 1100, "height": 900}) as tab:
        assert tab.title() == "base, random, genetic"
        for figure in FIGURES:
            assert tab.locator(f"#{figure} .main-svg").count() > 0, figure
            assert tab.locator(f"#{figure}").bounding_box()["height"] > 200
        assert traces(tab, "regret") == ["base", "random", "genetic"]
        tab.get_by_role("button", name="random", exact=False).first.click()
        assert traces(tab, "regret") == ["base", "genetic"]
        assert "random" not in traces(tab, "front")
        assert tab.locator("#arms tbody tr:visible").count() == 2
        tab.get_by_role("button", name="genetic", exact=False).first.dblclick()
        assert traces(tab, "regret") == ["genetic"]
        assert set(tab.locator("#episodes tbody td:first-child").all_inner_texts()) == {"genetic"}
        tab.locator("#all").click()
        assert traces(tab, "regret") == ["base", "random", "genetic"]
        tab.select_option("#cost", "area")
        tab.select_option("#range", "late")
        title = "document.getElementById('front').layout.xaxis.title.text"
        assert tab.evaluate(title) == "area, mm2"


def test_the_papers_problem_shows_isaac_and_mean_rewards(make, tmp_path):
    paper = {"space": "configs/spaces/lcda.yaml", "scenario": "configs/scenarios/paper-energy.yaml"}
    runs = [make("a", episodes=30, **paper), make("g", optimizer="genetic", episodes=12, **paper)]
    assert compare(tuple(run.path for run in runs), out=tmp_path / "page") == 0
    with opened(f"file://{tmp_path}/page/report.html", "rewards") as tab:
        line = "document.getElementById('front').data.find(one => one.name === 'ISAAC')"
        assert tab.evaluate(f"{line}.x") == [80, 80]
        assert (
            tab.locator("#reference").inner_text().startswith("ISAAC: the paper divides by 8e+07")
        )
        tab.select_option("#cost", "area")
        assert "ISAAC" not in traces(tab, "front")
        dashes = "document.getElementById('rewards').data.filter(one => one.line).map(one => "
        assert tab.evaluate(dashes + "[one.name, one.line.dash, one.x.length])") == [
            ["random", "solid", 20],
            ["genetic", "solid", 12],
        ]
        tab.select_option("#range", "late")
        assert tab.evaluate(dashes + "[one.name, one.line.dash, one.x])") == [
            ["random", "solid", [*range(21, 31)]],
            ["genetic", "dot", [21, 30]],
        ]


def test_a_hover_shows_the_design(page):
    with opened(page, viewport={"width": 1100, "height": 900}) as tab:
        tab.locator("#front").scroll_into_view_if_needed()
        point = tab.locator("#front .scatterlayer .point").first
        point.hover(force=True)
        shown = tab.locator("#front .hoverlayer .hovertext").first.text_content()
        assert re.search(r"seed 0, episode \d+x\d \d+x\d .*reward", shown), shown


def test_a_story_is_told_as_text(page):
    with opened(page, viewport={"width": 1100, "height": 900}) as tab:
        said = tab.locator("#story pre").last.inner_text()
        assert said.startswith('<script>document.title="owned"</script><img src=x')
        assert said.endswith("characters more")
        assert tab.locator("#story script, #story img").count() == 0
        tab.select_option("#run", "1")
        tab.locator("#on").click()
        assert "episode 2 of 30" in tab.locator("#place").inner_text()
        assert tab.locator("#story h3").first.inner_text() == "What changed"
        assert tab.locator("#story li").count() > 1


def test_the_dark_page_is_legible(page):
    with opened(page, color_scheme="dark", viewport={"width": 1100, "height": 900}) as tab:
        for selector, attribute in (("body", "color"), ("#regret .xtick text", "fill")):
            style = f"getComputedStyle(document.querySelector('{selector}'))"
            colour = tab.evaluate(f"{style}.getPropertyValue('{attribute}')")
            back = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert contrast(colour, back) > 7
        tab.locator("#theme").click()
        back = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == "rgb(255, 255, 255)"


def contrast(one, other):
    """Ratio of luminances as WCAG defines it, of two `rgb(r, g, b)`."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_phone_needs_no_sideways_scrolling(page):
    with opened(page, viewport={"width": 390, "height": 844}, is_mobile=True) as tab:
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        assert tab.evaluate(widths) == [390, 390]
        for figure in FIGURES:
            assert tab.locator(f"#{figure} .main-svg").first.bounding_box()["width"] <= 390
