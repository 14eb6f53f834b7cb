"""The JSON Schema is draft-07, describes every key, and agrees with what the loader reads."""

import json
import re

import pytest

from gradcheck.catalog.domain import DOMAIN_NAMES, INTERVALS, parse_domain
from gradcheck.catalog.keys import AccuracyKeys, CaseKeys, InputKeys, PointKeys
from gradcheck.catalog.load import load_text
from gradcheck.catalog.validation import keys_of
from gradcheck.catalog.values import DOMAIN
from gradcheck.cli.validate import json_schema
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
    schema = json_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert json.loads(json.dumps(schema)) == schema
    assert not [each for each in every_object(schema) if NOT_IN_DRAFT_07 & each.keys()]


def test_every_reference_leads_somewhere_and_stands_alone():
    schema = json_schema()
    references = [each for each in every_object(schema) if "$ref" in each]
    assert references
    assert {len(each) for each in references} == {1}  # draft-07 ignores what stands beside
    names = {each["$ref"].removeprefix("#/definitions/") for each in references}
    assert names <= schema["definitions"].keys()


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_there_with_its_description(table):
    properties = json_schema()["definitions"][table.__name__]["properties"]
    assert list(properties) == list(keys_of(table))
    assert all(each["description"] for each in properties.values())


def test_unknown_keys_are_refused_and_required_ones_demanded():
    case = json_schema()["definitions"]["CaseKeys"]
    assert case["additionalProperties"] is False
    assert case["required"] == ["formula", "inputs"]
    assert json_schema()["definitions"]["PointKeys"]["required"] == ["at"]


def test_an_input_may_be_a_domain_or_a_map():
    inputs = json_schema()["definitions"]["CaseKeys"]["properties"]["inputs"]
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
    schema = json_schema()
    assert schema["$id"] == "urn:gradcheck:catalog:1"
    (case,) = load_text(json.dumps(schema["examples"][0]), "example")
    assert case.name == "square"


@pytest.mark.parametrize("table", TABLES)
def test_every_key_shows_an_example(table):
    properties = json_schema()["definitions"][table.__name__]["properties"]
    assert all(each["examples"] for each in properties.values())
