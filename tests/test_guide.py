"""The guide to one's own operator does what it says: red at first, and then green."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "your-own-operator.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text("utf-8"), re.M | re.S)


def written_to(name):
    """All that the guide lets its reader write into that file."""
    return "\n\n".join(text for text in blocks("python") if text.startswith(f"# {name}\n"))


def mended(text):
    ((wrong, right),) = [re.findall(r"^[-+](.*)$", each, re.M) for each in blocks("diff")]
    assert text.count(wrong) == 1
    return text.replace(wrong, right)


FEW = ("-p", "no:cacheprovider", "--gradcheck-dtype", "float64", "--gradcheck-points", "8")


@pytest.fixture
def folder(pytester):
    """What the reader has at the end, before anything is mended."""
    (pytester.path / "my_ops.py").write_text(written_to("my_ops.py"), "utf-8")
    (pytester.path / "test_my_ops.py").write_text(written_to("test_my_ops.py"), "utf-8")
    (pytester.path / "cases").mkdir()
    (pytester.path / "cases" / "my_ops.yaml").write_text("\n".join(blocks("yaml")), "utf-8")
    (pytester.path / "pyproject.toml").write_text("\n".join(blocks("toml")), "utf-8")
    return pytester


def test_the_wrong_swish_of_the_guide_is_red_as_it_shows(folder):
    test = folder.path / "test_my_ops.py"
    shown_by = 'witness="reverse", dtype="float64", inputs='  # as all witnesses show it, and sooner
    test.write_text(test.read_text("utf-8").replace("inputs=", shown_by), "utf-8")
    done = folder.runpytest_subprocess(*FEW, "test_my_ops.py")
    done.assert_outcomes(failed=1)
    shown = next(text for text in blocks("text") if "GradientDisagreement" in text)
    assert shown.splitlines()[0] in done.outlines
    for line in shown.splitlines()[1:]:
        assert line in done.outlines


def test_the_failure_in_the_readme_is_that_of_the_wrong_swish(folder):
    only = ("--gradcheck-witness", "value,reverse", "cases/my_ops.yaml::swish")
    done = folder.runpytest_subprocess(*FEW, *only)
    readme = (GUIDE.parent.parent / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(disagree: .*?)^```$", readme, re.M | re.S)
    printed = "\n".join(done.outlines)
    assert [line for line in shown.splitlines() if line not in printed] == []


def test_all_that_the_guide_writes_is_green_once_the_swish_is_mended(folder):
    own = folder.path / "my_ops.py"
    own.write_text(mended(own.read_text("utf-8")), "utf-8")
    done = folder.runpytest_subprocess(*FEW, "test_my_ops.py", "cases")
    found = done.parseoutcomes()
    assert found.keys() <= {"passed", "skipped"}
    assert found["passed"] >= 25
