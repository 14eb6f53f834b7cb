"""The JSON Schema is draft-07, describes every key, and agrees with what the loader reads."""

import json

import pytest

from gradcheck.catalog.model import AccuracyKeys, CaseKeys, InputKeys, PointKeys
from gradcheck.catalog.schema import json_schema

MODELS = [CaseKeys, InputKeys, PointKeys, AccuracyKeys]
NOT_IN_DRAFT_07 = {
    "$defs",
    "prefixItems",
    "unevaluatedProperties",
    "dependentSchemas",
    "x-definition",
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


@pytest.mark.parametrize("model", MODELS)
def test_every_key_is_there_with_its_description(model):
    properties = json_schema()["definitions"][model.__name__]["properties"]
    assert list(properties) == list(model.model_fields)
    assert all(each["description"] for each in properties.values())


def test_unknown_keys_are_refused_and_required_ones_demanded():
    case = json_schema()["definitions"]["CaseKeys"]
    assert case["additionalProperties"] is False
    assert case["required"] == ["formula", "inputs"]
    assert json_schema()["definitions"]["PointKeys"]["required"] == ["at"]


def test_an_input_may_be_a_domain_or_a_map():
    inputs = json_schema()["definitions"]["CaseKeys"]["properties"]["inputs"]
    assert inputs["additionalProperties"] == {
        "anyOf": [{"type": "string"}, {"$ref": "#/definitions/InputKeys"}]
    }
