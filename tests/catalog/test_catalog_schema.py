"""The JSON Schema is draft-07, describes every key, and agrees with what the loader reads."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from gradcheck.catalog.domain import DOMAIN_NAMES, INTERVALS, parse_domain
from gradcheck.catalog.keys import AccuracyKeys, CaseKeys, InputKeys, PointKeys
from gradcheck.catalog.load import load_text
from gradcheck.catalog.schema import case_schema, known_failures_schema
from gradcheck.catalog.validation import keys_of
from gradcheck.catalog.values import DOMAIN
from gradcheck.errors import ExpressionError

TABLES = [CaseKeys, InputKeys, PointKeys, AccuracyKeys]
NOT_IN_DRAFT_07 = {
    "$defs",
    "prefixItems",
    "unevaluatedProperties",
    "dependentSchemas",
}


def every_object(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from every_object(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from every_object(value)


def test_it_is_draft_07_and_plain_json():
    schema = case_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert json.loads(json.dumps(schema)) == schema
    assert not [each for each in every_object(schema) if NOT_IN_DRAFT_07 & each.keys()]


def test_every_reference_leads_somewhere_and_stands_alone():
    schema = case_schema()
    references = [each for each in every_object(schema) if "$ref" in each]
    assert references
    assert {len(each) for each in references} == {1}  # draft-07 ignores what stands beside
    names = {each["$ref"].removeprefix("#/definitions/") for each in references}
    assert names <= schema["definitions"].keys()


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_there_with_its_description(table):
    properties = case_schema()["definitions"][table.__name__]["properties"]
    assert list(properties) == list(keys_of(table))
    assert all(each["description"] for each in properties.values())


def test_unknown_keys_are_refused_and_required_ones_demanded():
    case = case_schema()["definitions"]["CaseKeys"]
    assert case["additionalProperties"] is False
    assert case["required"] == ["formula", "inputs"]
    assert case_schema()["definitions"]["PointKeys"]["required"] == ["at"]


def test_an_input_may_be_a_domain_or_a_map():
    inputs = case_schema()["definitions"]["CaseKeys"]["properties"]["inputs"]
    assert inputs["additionalProperties"] == {
        "anyOf": [DOMAIN.schema, {"$ref": "#/definitions/InputKeys"}]
    }


@pytest.mark.parametrize(
    "text",
    [*DOMAIN_NAMES, "(0, 1)", "[-pi/2, pi/2)", " (-inf, 0) | [1, max(2, 3)] ", "(0, 1]|(2, 3)"],
)
def test_a_domain_that_the_loader_reads_is_taken(text):
    assert text in DOMAIN_NAMES or re.search(INTERVALS, text)
    assert parse_domain(text)


@pytest.mark.parametrize("text", ["postive", "Real", "0, 1", "(0 1)", "(0, 1"])
def test_a_domain_that_is_none_is_refused(text):
    assert text not in DOMAIN_NAMES
    assert not re.search(INTERVALS, text)
    with pytest.raises(ExpressionError):
        parse_domain(text)


def test_it_has_a_name_and_an_example_that_the_loader_reads():
    schema = case_schema()
    assert schema["$id"] == "urn:gradcheck:catalog:1"
    (case,) = load_text(json.dumps(schema["examples"][0]), "example")
    assert case.name == "square"


@pytest.mark.parametrize("table", TABLES)
def test_every_key_shows_an_example(table):
    properties = case_schema()["definitions"][table.__name__]["properties"]
    assert all(each["examples"] for each in properties.values())


ROOT = Path(__file__).parent.parent.parent
SCHEMAS = {"case.json": case_schema, "known_failures.json": known_failures_schema}
CATALOG = sorted((ROOT / "cases").rglob("*.yaml"))


@pytest.mark.parametrize(("name", "made"), SCHEMAS.items())
def test_the_file_in_the_repository_is_what_the_command_prints(name, made):
    assert json.loads((ROOT / "schema" / name).read_text("utf-8")) == made()


@pytest.mark.parametrize("path", CATALOG, ids=lambda path: path.name)
def test_a_file_of_the_catalog_names_its_schema_in_its_first_line_and_meets_it(path):
    first = path.read_text("utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    schema = (path.parent / named).resolve()
    is_list = path.name == "known_failures.yaml"
    assert schema == ROOT / "schema" / ("known_failures.json" if is_list else "case.json")
    assert not complaints(json.loads(schema.read_text("utf-8")), path.read_text("utf-8"))


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as the language servers of editors read."""


Core.yaml_implicit_resolvers = {}
for _tag, _pattern in {
    "null": r"~|null|",
    "bool": r"true|false",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}.items():
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None)


def complaints(schema, text):
    """What an editor marks."""
    return [each.message for each in Draft7Validator(schema).iter_errors(yaml.load(text, Core))]


@pytest.mark.parametrize("made", SCHEMAS.values())
def test_a_schema_is_a_schema(made):
    Draft7Validator.check_schema(made())
    assert not complaints(made(), json.dumps(made()["examples"][0]))


def marked(text):
    """Whether an editor marks a case file; None where it cannot even read it."""
    try:
        return bool(complaints(case_schema(), text))
    except (yaml.YAMLError, ValueError):
        return None


HOSTILE = yaml.load(
    (Path(__file__).parent / "hostile.yaml").read_text("utf-8"),
    getattr(yaml, "CSafeLoader", yaml.SafeLoader),
)
PLAIN = {  # those that are read as they stand, and hold no anchors, which explode
    name: entry
    for name, entry in HOSTILE.items()
    if "text" in entry and len(entry["text"]) < 3000 and not re.search("<<|&", entry["text"])
}
ODD = [entry["text"] for entry in PLAIN.values() if not entry["says"]]


@pytest.mark.parametrize("text", ODD)
def test_what_the_loader_takes_the_schema_takes(text):
    assert not marked(text)


def test_of_the_faulty_files_that_parse_as_many_are_marked_as_the_guide_says():
    marks = Counter(marked(entry["text"]) for entry in PLAIN.values() if entry["says"])
    guide = (ROOT / "docs" / "editors.md").read_text("utf-8")
    said = re.search(r"\*\*(\d+) of (\d+)\*\* faulty files", guide)
    assert said.groups() == (str(marks[True]), str(marks[True] + marks[False]))


LANGUAGE = [
    ("formula", ["x^2", "2x", "y = x", "torch.exp(x)", "sine(x)", "x.exp()", "x +"]),
    ("formula", ["x & x", "x | x", "sum(*x)", "\"'x' + x\"", "sum([i for i in x])"]),
    ("torch", ["sin(x)", "torch.sofmax(x)", "x.sofmax()", "os.system('a')", "x^2"]),
    ("where", ["x = 3", "x > ", "positive(x)"]),
    ("summary", ['"a\\e[2J"', '"one\\ntwo"']),
    ("function", ["my_ops", "..ops:f"]),
    ("call", ["f(x)", "f(torch.load(x))"]),
    ("dtypes", ["[float64, float64]", "[flaot64]", "[]"]),
    ("without", ["{forwards: no}"]),
    ("let", ["{sin: x}", "{lambda: x}"]),
    ("order", ["4"]),
]  # fmt: skip
FAULTS = [(key, text) for key, texts in LANGUAGE for text in texts]
SOUND = {
    "formula": ["sum([x*i for i in range(3)])", "-x**2 + .5*x1e3.T", "where(x > 0, 1e-6, 0)"],
    "torch": ["torch.nn.functional.softmax(x, dim=-1)", "x.T.real @ x", "torch.einsum('ij->', x)"],
    "where": ["x > 0 and not x == 3", "x != 1"],
    "summary": ["y = 3x²"],
    "function": ["my_ops.kernels:Swish.apply"],
    "dtypes": ["[bfloat16]"],
    "without": ["{forward: no jvp}"],
    "let": ["{e: exp(x)}"],
}  # fmt: skip


def written(key, text):
    keys = {"formula": "x", "inputs": "{x: real}", key: text}
    return "c:\n" + "".join(f"  {name}: {value}\n" for name, value in keys.items())


@pytest.mark.parametrize(("key", "text"), FAULTS)
def test_a_fault_is_marked_while_it_is_typed(key, text):
    assert marked(written(key, text))


@pytest.mark.parametrize(
    ("key", "text"), [(key, text) for key, texts in SOUND.items() for text in texts]
)
def test_what_is_right_is_not_marked(key, text):
    assert not marked(written(key, text))


KNOWN = "- {case: a.yaml::f, issue: not reported, because: it cancels, when: {witness: reverse}}\n"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("a.yaml::f", "a::f"),
        ("not reported", "soon"),
        ("reverse", "revers"),
        ("because", "becuase"),
    ],
)
def test_a_fault_in_a_list_of_known_failures_is_marked(right, wrong):
    assert not complaints(known_failures_schema(), KNOWN)
    assert complaints(known_failures_schema(), KNOWN.replace(right, wrong))
