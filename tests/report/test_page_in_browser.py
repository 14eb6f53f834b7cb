"""The page in a browser: it filters, sorts, opens, links, copies, and asks nothing of anyone."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from browser import CHROMIUM, DRIVER, Browser
from large_results import SAMPLE, write_large_results
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from gradcheck.report.comparison import compare
from gradcheck.report.comparison_page import comparison_page
from gradcheck.report.overview import Overview
from gradcheck.report.page import page
from gradcheck.report.records import read_all

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver is here"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # selenium's own, of its pipes
]
CULPRIT = "</script></noscript></pre><img src=x onerror=alert(1)><svg onload=alert(2)>\"'`{{7*7}}"
TEXTS = ("case", "file", "variant", "implementation", "reason", "index", "true", "radius")
MORE = ("blame", "guess", "guess_kind", "torch", "device_name", "platform", "summary", "block")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


def written(folder, results):
    path = folder / "report.html"
    made = page(Overview(read_all([results])), seconds=20, now=datetime(2026, 11, 28, tzinfo=UTC))
    path.write_text(made, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"), SAMPLE)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page of which every text was written by somebody who means harm."""
    folder = tmp_path_factory.mktemp("hostile")
    lines = []
    for line in SAMPLE.read_text("utf-8").splitlines():
        record = json.loads(line)
        record |= {name: f"{record[name]}{CULPRIT}" for name in (*TEXTS, *MORE)}
        record |= {"at": {CULPRIT: CULPRIT}, "tags": [CULPRIT], "errors_over": CULPRIT}
        record |= {"id": f"{CULPRIT}::{record['id']}", "formula": f"x\n{CULPRIT}"}
        record |= {name: f"{record[name]}{CULPRIT}" for name in ("witness", "dtype", "device")}
        lines.append(json.dumps(record, ensure_ascii=False))
    results = folder / f"{CULPRIT.replace('/', '')}.jsonl"
    results.write_text("\n".join([*lines, CULPRIT, "\x1b[31mred\u202e"]) + "\n", encoding="utf-8")
    return written(folder, results)


def test_the_search_leaves_what_it_finds_and_stands_in_the_address(browser, path):
    browser.open(path)
    assert browser.shown_cases() == ["selu", "partial_derivatives", "swish"]
    browser.find("#q").send_keys("tutorial")
    assert browser.shown_cases() == ["partial_derivatives"]
    assert browser.find("#shown").text == "1 of 3 cases"
    assert browser.state() == "#q=tutorial"


@pytest.mark.parametrize(
    ("field", "choice", "found"),
    [
        ("verdict", "disagree", ["swish"]),
        ("verdict", "abstain", ["swish"]),
        ("verdict", "agree", ["selu", "partial_derivatives", "swish"]),
        ("verdict", "known", []),
        ("family", "elementary", ["selu"]),
    ],
)
def test_verdict_and_file_filter(browser, path, field, choice, found):
    browser.open(path)
    Select(browser.find(f"#{field}")).select_by_visible_text(choice)
    assert browser.shown_cases() == found
    assert browser.state() == f"#{field}={choice}"
    browser.find("#reset").click()
    assert len(browser.shown_cases()) == 3


def test_a_column_sorts_both_ways_and_then_as_it_was(browser, path):
    browser.open(path)
    browser.find("[data-sort=case] button").click()
    browser.find("[data-sort=case] button").click()
    assert browser.shown_cases() == ["swish", "selu", "partial_derivatives"]
    assert browser.find("[data-sort=case]").get_attribute("aria-sort") == "descending"
    assert browser.state() == "#sort=-case"
    browser.find("[data-sort=ulps] button").click()
    assert browser.shown_cases()[0] == "swish"
    browser.find("[data-sort='2'] button").click()  # reverse in float64
    assert browser.shown_cases()[0] == "swish"
    assert browser.find("[data-sort=case]").get_attribute("aria-sort") == "none"


def test_the_state_comes_back_from_the_address(browser, path):
    browser.open(path, "#q=cases&verdict=disagree&sort=-case&at=c2")
    assert browser.shown_cases() == ["swish"]
    assert browser.find("[data-sort=case]").get_attribute("aria-sort") == "descending"
    assert browser.find("#c2").get_attribute("open") == "true"
    assert browser.find("#c1").get_attribute("open") is None


def test_a_case_opens_with_its_derivative_its_picture_and_its_worst_entries(browser, path):
    browser.open(path)
    assert browser.run("return document.querySelectorAll('#c0 .chart').length") == 0
    browser.find("#rows tr:nth-child(1) a").click()
    assert browser.state() == "#at=c0"
    assert browser.find("#c0 .chart").get_attribute("aria-label").startswith("Error over x, from ")
    assert "ulps, relative" in browser.find("#c0 .entries").text
    assert browser.run("return document.querySelectorAll('#c0 mfrac').length") > 0
    assert browser.find("#c0 .grid td.a").text


def test_a_failing_cell_leads_to_its_cause(browser, path):
    browser.open(path)
    browser.run("document.getElementById('d0').open = false")
    browser.find("#rows td.d a").click()
    assert browser.state() == "#at=d0"
    assert browser.find("#d0").get_attribute("open") == "true"
    assert browser.run("return document.activeElement.parentElement.id") == "d0"


def test_a_block_and_its_command_are_copied(browser, path):
    browser.open(path)
    browser.run(
        "window.copied = []; Object.defineProperty(navigator, 'clipboard',"
        "{value: {writeText: async (text) => { window.copied.push(text) }}})"
    )
    block, command = browser.driver.find_elements(By.CSS_SELECTOR, "#d0 .copy")
    block.click()
    command.click()
    whole, line = browser.run("return window.copied")
    assert whole == browser.find("#b0").get_property("textContent")
    assert line.startswith("pytest 'cases/wrong.yaml::swish[")
    assert block.text == "Copied"


def test_nothing_leaves_the_page_and_nothing_is_complained_of(browser, path):
    browser.open(path)
    browser.find("#rows a").click()
    outward = [url for url in browser.requests() if url != path.as_uri()]
    assert [url for url in outward if not url.startswith("data:,")] == []
    assert browser.complaints() == []


def test_a_request_would_be_noticed_and_is_refused(browser, path):
    browser.open(path)
    browser.run("const i = new Image(); i.src = 'http://127.0.0.1:9/x'; document.body.append(i)")
    browser.run("fetch('http://127.0.0.1:9/y').catch(() => 0)")
    assert any("Content Security Policy" in each["message"] for each in browser.complaints())


def test_a_hostile_text_runs_nothing_and_makes_no_element(browser, hostile):
    browser.open(hostile)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert browser.run("return document.querySelectorAll('details.case .about').length") == 3
    assert (
        browser.run("return document.querySelectorAll('img, svg[onload], [onerror]').length") == 0
    )
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return document.body.textContent.includes('onerror=alert(1)')")
    assert "{{7*7}}" in browser.find("#c0 summary").text
    assert not browser.run("return /[\\u001b\\u202e]/.test(document.body.textContent)")
    assert browser.complaints() == []


def test_the_search_finds_a_hostile_case_too(browser, hostile):
    browser.open(hostile)
    browser.find("#q").send_keys("onerror=alert(1) swish")
    assert len(browser.shown_cases()) == 1


def test_what_a_hostile_text_would_do_is_noticed(browser, tmp_path):
    path = tmp_path / "culprit.html"
    path.write_text(f"<!doctype html><script>0{CULPRIT.replace('alert', 'console.error')}")
    browser.open(path)
    assert browser.run("return document.querySelectorAll('img, svg[onload]').length") == 2
    assert browser.complaints()


def test_the_page_of_a_thousand_cases_is_small_and_whole(browser, tmp_path):
    """How soon it is there, benchmarks/page_loading.py measures."""
    results = tmp_path / "large.jsonl"
    assert write_large_results(results, 1_000) > 19_000
    path = written(tmp_path, results)
    assert path.stat().st_size < 5_000_000
    browser.open(path)
    assert len(browser.shown_cases()) == 1_000


def test_without_scripts_a_case_opens_too(browser, path):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(path)
        assert not browser.find(".filter").is_displayed()
        browser.find("#c0 summary").click()
        assert browser.find("#c0 .grid").is_displayed()
        assert browser.find("#c0 .entries").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


SETTINGS = [("cpu", "2.6.0"), ("cpu", "2.13.0"), ("cuda", "2.6.0"), ("cuda", "2.13.0")]


@pytest.fixture
def printer(browser):
    """A sheet of paper across, as wide as a letter within its margins."""
    size = {"width": 980, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    command = browser.driver.execute_cdp_cmd
    command("Emulation.setEmulatedMedia", {"media": "print"})
    command("Emulation.setDeviceMetricsOverride", size)
    yield browser
    command("Emulation.setEmulatedMedia", {"media": ""})
    command("Emulation.clearDeviceMetricsOverride", {})


def test_the_matrix_of_two_devices_and_two_releases_fits_on_paper(printer, tmp_path):
    records = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    lines = [
        json.dumps(one | {"device": device, "torch": torch, "id": one["id"].replace("cpu", device)})
        for device, torch in SETTINGS
        for one in records
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(lines), encoding="utf-8")
    printer.open(written(tmp_path, tmp_path / "results.jsonl"))
    columns = "return document.querySelectorAll('.matrix tbody tr')[0].cells.length"
    assert printer.run(columns) > 4 + 7 * 4
    assert printer.run("return document.querySelector('.matrix').offsetWidth") <= 980


def test_what_is_folded_in_a_comparison_is_printed(printer, tmp_path):
    before = read_all([SAMPLE]).records
    slower = [replace(one, seconds=one.seconds + 9) for one in before]
    path = tmp_path / "compare.html"
    path.write_text(comparison_page(compare(before, slower)), "utf-8")
    printer.open(path)
    folded = "[...document.querySelectorAll('details:not([open]) li')]"
    assert printer.run(f"return {folded}.length") > 0
    assert printer.run(f"return {folded}.every(each => each.checkVisibility())")
