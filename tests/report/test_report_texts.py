"""What is told of results: as a summary for a pull request, as SARIF, as data, and as HTML."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from large_results import SAMPLE

from gradcheck.report import records
from gradcheck.report.error_chart import error_chart
from gradcheck.report.markdown import markdown
from gradcheck.report.mathematics import asked, equations
from gradcheck.report.overview import Overview, operator_of, overview_json
from gradcheck.report.page import page
from gradcheck.report.sarif import sarif

ALL = records.read(SAMPLE)
FAILED = next(each for each in ALL if each.verdict == "disagree")
PASSED = next(each for each in ALL if each.verdict == "agree")
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def overview(*given, faults=()):
    return Overview(records.Results({"results.jsonl": given or tuple(ALL)}, tuple(faults)))


def written(found):
    return page(found, seconds=0, now=NOW)


# the overview


def test_the_counts_are_of_checks_by_verdict_worst_first():
    counts = {ruling.value: number for ruling, number in overview().counts.items()}
    assert counts == {"disagree": 8, "inaccurate": 0, "known": 0, "abstain": 4, "agree": 42}


def test_what_was_run_twice_alike_counts_once_by_its_later_result():
    later = replace(FAILED, verdict="agree", block="")
    assert [each.verdict for each in overview(FAILED, later).records] == ["agree"]
    assert len(overview(FAILED, replace(later, seed=1)).records) == 2
    assert len(overview(FAILED, replace(later, torch="2.6.0")).records) == 2


def test_a_page_is_made_of_a_result_whose_error_has_no_relative_figure():
    cells = re.findall(r'data-v="([^"]*)"', written(overview(replace(PASSED, relative=None))))
    assert "None" not in cells
    assert "" in cells


def test_devices_and_releases_are_compared_by_the_checks_that_both_have():
    there = replace(PASSED, device="cuda", id=f"{PASSED.id}cuda", ulps=PASSED.ulps + 1e3)
    older = replace(PASSED, torch="2.6.0", verdict="inaccurate")
    found = overview(PASSED, there, older, replace(FAILED, torch="2.6.0")).comparisons
    told = [(each.what, each.one, each.other, len(each.pairs), len(each.notable)) for each in found]
    assert told == [
        ("device", "cpu", "cuda", 1, 1),
        ("torch", "2.6.0", PASSED.torch, 1, 1),
    ]


def test_equal_results_are_no_notable_difference():
    there = replace(PASSED, device="cuda", id=f"{PASSED.id}cuda")
    (compared,) = overview(PASSED, there).comparisons
    assert (len(compared.pairs), compared.notable) == (1, [])


def test_an_inaccurate_check_that_failed_under_strict_accuracy_is_a_cause():
    strict = replace(PASSED, verdict="inaccurate", block="inaccurate: digits are lost")
    assert len(overview(strict).causes) == 1
    assert overview(replace(strict, block="")).causes == []


# Markdown


def test_a_summary_tells_counts_causes_accuracy_and_what_was_not_tested():
    lines = markdown(overview()).splitlines()
    assert lines[0] == "## ❌ gradcheck: 8 of 54 checks fail"
    assert (
        "| 8 | disagree | failed: rounding cannot explain it, or there is a NaN or an exception |"
        in (lines)
    )
    titles = [line for line in lines if line.startswith("### ")]
    assert titles == [
        "### Failures, by cause",
        "### Accuracy of what passes",
        "### Not tested, and why",
    ]
    (cause,) = [line for line in lines if line.startswith("- **swish**: ")]
    assert "the backward is wrong" in cause
    assert "(8 checks, `cases/wrong.yaml:1`)" in cause
    assert FAILED.block.splitlines()[0] in lines


def test_a_summary_without_failures_has_no_causes():
    text = markdown(overview(PASSED))
    assert text.startswith("## ✅ gradcheck: No check fails: 1 of 1 pass\n")
    assert "by cause" not in text


def test_a_hostile_name_is_no_markup_in_a_summary():
    culprit = "<img src=x> [a](http://b) @all | `c`"
    hostile = replace(FAILED, case=culprit, id=culprit, block="```\n</details>\n````")
    text = markdown(overview(hostile))
    (cause,) = [line for line in text.splitlines() if line.startswith("- **")]
    assert "\\<img src=x\\> \\[a\\](http://b) &#64;all \\| \\`c\\`" in cause
    assert "<summary>&lt;img src=x&gt; [a](http://b) &#64;all | `c`</summary>" in text
    assert "\n`````text\n" in text  # a fence that its block cannot end


# SARIF


def test_sarif_has_a_result_for_each_cause_at_the_line_of_its_case():
    log = sarif(overview())
    assert (log["version"], log["$schema"]) == (
        "2.1.0",
        "https://json.schemastore.org/sarif-2.1.0.json",
    )
    (run,) = log["runs"]
    (result,) = run["results"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "gradcheck"
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == FAILED.guess_kind
    assert driver["rules"][0]["shortDescription"]["text"]
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("swish: the backward is wrong")
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "cases/wrong.yaml", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 1},
    }
    assert re.fullmatch("[0-9a-f]{32}", result["partialFingerprints"]["gradcheck/v1"])


def test_sarif_of_what_passes_has_no_result_and_no_rule():
    (run,) = sarif(overview(PASSED))["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/ü.yaml", {"uri": "a%20b/%C3%BC.yaml", "uriBaseId": "SRCROOT"}),
        ("/a/b.yaml", {"uri": "file:///a/b.yaml"}),
        ("C:\\a\\b.yaml", {"uri": "file:///C%3A/a/b.yaml"}),
    ],
)
def test_a_path_is_a_uri_of_the_project_or_a_whole_one(file, uri):
    (run,) = sarif(overview(replace(FAILED, file=file, line=0)))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": uri, "region": {"startLine": 1}}


def test_each_cause_has_a_rule_of_its_kind_or_its_verdict():
    sign = replace(FAILED, guess_kind="not a number")
    other = replace(FAILED, case="other", guess_kind="", id="other")
    strict = replace(PASSED, case="third", verdict="inaccurate", block="x", id="third")
    (run,) = sarif(overview(sign, other, strict))["runs"]
    rules = [each["id"] for each in run["tool"]["driver"]["rules"]]
    assert sorted(rules) == ["disagree", "inaccurate", "not-a-number"]
    found = {each["ruleId"]: each["level"] for each in run["results"]}
    assert found == {"disagree": "error", "inaccurate": "warning", "not-a-number": "error"}
    assert [rules[each["ruleIndex"]] for each in run["results"]] == [*found]


# data


def test_the_data_are_what_the_page_says():
    found = json.loads(json.dumps(overview_json(overview())))
    assert (found["title"], found["cases"], found["checks"]) == ("8 of 54 checks fail", 3, 54)
    assert [len(each["checks"]) for each in found["causes"]] == [8]
    assert sum(len(each["checks"]) for each in found["not_tested"]) == 4


# the page


class Elements(HTMLParser):
    """The names of the elements of a page, and those of its attributes that run or fetch."""

    def __init__(self, text):
        super().__init__()
        self.found, self.acting, self.links = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        names = {name for name, _ in attrs}
        self.acting |= {name for name in names if name.startswith("on")} | names & {"src", "style"}
        self.links |= {value[:1] for name, value in attrs if name == "href"}


def test_the_page_allows_its_own_script_and_style_alone():
    text = written(overview())
    (policy,) = re.findall('Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src &#39;none&#39;; img-src data:; ")
    assert policy.count("sha256-") == 2
    found = Elements(text)
    assert (found.acting, found.links) == (set(), {"#", "d"})  # within the page, or data:


def test_no_text_of_a_record_becomes_an_element():
    culprit = "</script></noscript><iframe src=x onload=y>"
    bad = replace(FAILED, case=culprit, reason=culprit, summary=culprit, block=culprit,
                  formula=culprit, index=culprit, device_name=culprit)  # fmt: skip
    assert Elements(written(overview(bad))).found <= Elements(written(overview())).found
    assert "iframe" in Elements(culprit).found


def test_what_is_not_seen_is_shown_and_not_obeyed():
    text = written(overview(replace(FAILED, case="a\u202eb\x1b[1m\u200bc")))
    assert "a\\u202eb\\u001b[1m\\u200bc" in text
    assert not re.search("[\u202e\x1b\u200b]", text)


def test_faults_of_the_results_stand_at_the_top():
    fault = records.Fault("results.jsonl:3", "'<b>' is cut off", "run it again", is_cut=True)
    text = written(overview(faults=[fault]))
    assert "<code>results.jsonl:3</code>: &#39;&lt;b&gt;&#39; is cut off. run it again" in text
    assert text.index("results.jsonl:3") < text.index('id="matrix"')
    assert "Not read" not in written(overview())


def test_a_record_of_an_older_version_makes_a_page_too():
    old = replace(FAILED, summary="", formula="", tags=[], errors=[], block="", failures=[])
    assert "the result holds no block" in written(overview(old))


# mathematics


SMALL = {
    "x**2": ({"x": 1.0}, 2),
    "x*y": ({"x": 1.0, "y": "inf"}, 3),
    "x*s\nwhere s = sin(x)": ({"x": 1.0}, 2),
    "x*s\nwhere s = 16732632423543772848170429916717/10000000000": ({"x": 1.0}, 2),
    "abs(x)": ({"x": 1.0}, 2),
    "a = x\nb = 2*x": ({"x": 1.0}, 0),
    "x +": ({"x": 1.0}, 0),
    "__import__('os').system('true')": ({"x": 1.0}, 0),
    "x + 9**9**9": ({"x": 1.0}, 0),
    "cos(x)": ({"x": 1.0}, 2),
}
REFUSED = {
    "sum(x)": {"x": [1.0, 2.0]},
    "z**2": {"z": "1.0 + 2.0*I"},
    "x**2 ...": {"x": 1.0},
    "x**3": {"</math><img>": 1.0},
    "": {"x": 1.0},
    "a*b*c*d": dict.fromkeys("abcd", 1.0),
}
FOREVER = "gamma(10**9)*x", "x"


def question(formula, at):
    return asked([replace(PASSED, formula=formula, at=at)])


def test_derivatives_are_written_down_where_they_are_small():
    wanted = {formula: question(formula, at) for formula, (at, _) in SMALL.items()}
    found = equations(wanted.values(), 30)
    counts = {formula: len(found[wanted[formula]]) for formula in SMALL}
    assert counts == {formula: count for formula, (_, count) in SMALL.items()}
    lines = [line for each in found.values() for line in each]
    assert all(re.fullmatch("<math displaystyle=true>.*</math>", line) for line in lines)
    _, slope = found["x**2", "x"]
    assert slope.endswith("<mrow><mn>2</mn><mo>\u2062</mo><mi>x</mi></mrow></mrow></math>")


@pytest.mark.parametrize("formula", REFUSED)
def test_what_is_not_of_few_real_numbers_is_not_asked_for(formula):
    assert question(formula, REFUSED[formula]) is None


def test_a_formula_that_takes_forever_is_left_out_and_the_others_are_not():
    others = [("x**2", "x"), ("sin(x)", "x")]
    found = equations([others[0], FOREVER, others[1]], 30)
    assert [each for each, lines in found.items() if lines] == others


def test_without_time_no_derivative_is_written_down_and_the_page_says_so():
    assert equations([("x**2", "x")], 0) == {}
    assert "For 1 case no derivative is written down" in written(overview(PASSED))


# the picture


def test_a_picture_has_a_mark_for_each_error_and_says_its_range():
    record = replace(PASSED, errors=[[-1.0, 0.5], [0.0, "inf"], [2.0, 3.0]], errors_over="<x>")
    svg = error_chart({"float64": [record]})
    assert svg.count("h0M") == 2
    said = "Error over &lt;x&gt;, from -1 to 2: float64 at most ∞ ulps"
    assert f'aria-label="{said}"' in svg


def test_where_no_error_is_known_there_is_no_picture():
    assert error_chart({"float64": [replace(PASSED, errors=[])]}) == ""
    assert error_chart({"float64": [replace(PASSED, errors=[["nan", 1.0]])]}) == ""


# which operator is how accurate


@pytest.mark.parametrize(
    ("code", "operator"),
    [
        ("torch.softmax(x, dim=d)", "torch.softmax"),
        ("F.celu(x, 2.0)", "torch.nn.functional.celu"),
        ("torch.sort(x)[0]", "torch.sort"),
        ("x.softmax(-1)", "Tensor.softmax"),
        ("my_ops:swish", "my_ops:swish"),
        ("3*x*x", ""),
        ("torch.sqrt(x + 1)", ""),
        ("torch.exp(torch.neg(x))", ""),
        ("(" * 9_999, ""),
        ("3*x**", ""),
    ],
)
def test_an_operator_is_what_code_on_trial_calls_if_it_does_nothing_beside_that(code, operator):
    assert operator_of(code) == operator


def test_the_league_of_operators_begins_with_the_least_accurate_and_is_told_on_the_page():
    good = replace(PASSED, implementation="torch.sin(x)", ulps=1.5)
    bad = replace(good, id="b", case="b", implementation="torch.tan(x)", ulps=7.5)
    several = replace(good, id="c", case="c", implementation="torch.sin(x) + 1", ulps=99.0)
    found = overview(good, bad, replace(bad, id="d", dtype="float32", ulps=2.5), several)
    league = [(each.name, each.dtype, each.worst.ulps) for each in found.accuracy("operator")]
    assert league == [
        ("torch.tan", "float64", 7.5),
        ("torch.tan", "float32", 2.5),
        ("torch.sin", "float64", 1.5),
    ]
    assert '<th scope="row">torch.tan</th><td>float32</td>' in written(found)
    assert "By operator" not in written(overview(several))


def test_releases_stand_in_the_order_of_versions_and_not_of_letters():
    names = ("2.6.0", "2.13.0+cpu", "nightly", "2.10.0")
    found = overview(*(replace(PASSED, torch=name) for name in names))
    assert found.releases == ["nightly", "2.6.0", "2.10.0", "2.13.0+cpu"]


def test_a_derivative_names_functions_as_the_formula_does():
    ((value, slope),) = equations([("x*erfc(x)", "x")], 20).values()
    assert "<mi>erfc</mi>" in value + slope
    assert "complementary_error" not in value + slope
