"""Which YAML is a catalog: everybody's YAML may lie in a folder named `cases`."""

import pytest

from gradcheck.catalog.recognition import why_foreign

NO_MARK = "no top-level value is a map with 'formula' or 'inputs'"

FOREIGN = {
    "configuration": "model: {name: resnet50}\n",
    "openapi": "openapi: 3.0.0\ninfo: {title: Petstore}\npaths:\n  /pets:\n    get:\n"
    "      inputs: {limit: integer}\n",
    "cloudformation": "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    Properties:\n"
    "      inputs: !Ref Name\n      Arn: !GetAtt [Bucket, Arn]\n",
    "kubernetes": "apiVersion: v1\nkind: Service\nmetadata: {name: inputs}\n---\n"
    "apiVersion: v1\nkind: Pod\n",
    "a workflow": "on:\n  workflow_call:\n    inputs: {name: {type: string}}\n",
    "an action": "inputs:\n  who: {required: true}\nruns: {using: node20}\n",
    "aliases": "a: &a [inputs]\nb: {c: *a, d: *a}\n",
    "a list": "- {formula: x, inputs: {x: real}}\n",
    "a scalar": "formula\n",
    "a mark as a value": "f: {name: formula}\n",
    "a mark in a key that is a map": "? {inputs: 1}\n: 2\n",
    "a Jinja template": "{% for name in inputs %}\n{{ name }}:\n  inputs: 1\n{% endfor %}\n",
    "a Helm template": "{{- if .Values.on }}\nspec:\n  inputs: {{ .Values.x }}\n{{- end }}\n",
    "a fault, and a mark too deep": "a:\n  b:\n    inputs: 1\n\tc: [\n",
    "brackets without end": "inputs: " + "[" * 100_000,
}

CATALOGS = {
    "a block": "f:\n  formula: x**2\n  inputs: {x: real}\n",
    "flow": "f: {inputs: {x: real}, formula: x**2}\n",
    "one case among others": "a: 1\nb: {c: 2}\nf: {formula: x}\n",
    "formula alone": "f: {formula: x**2}\n",
    "inputs alone": "f: {inputs: {x: real}, formulla: x**2}\n",
    "quoted": "'f': {\"formula\": x}\n",
    "tagged": "f: !case {formula: x}\n",
    "behind an empty document": "---\n---\nf: {formula: x}\n",
    "a tab": "f:\n\tformula: x**2\n\tinputs: {x: real}\n",
    "a tab after other keys": "f:\n  summary: 'a'\n\tformula: x**2\n\tinputs: {x: real}\n",
    "a tab in the second case": "f:\n  formula: x\n  inputs: {x: real}\ng:\n\tformula: x\n",
    "an open quote": "f:\n  summary: 'a\n  formula: x**2\n",
    "an open brace": "f: {summary: a, formula: x**2, inputs: {x: real}\n",
    "an open brace before the mark": "f: {summary: [a, formula: x**2\n",
    "a control character": "f:\n  formula: x\x07\n",
    "a fault before the first mark": "a: 'b' c\nf:\n  # squared\n\n  formula: x**2\n",
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_what_has_no_mark_of_a_case_is_foreign(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert why_foreign(path) == NO_MARK


@pytest.mark.parametrize("text", CATALOGS.values(), ids=CATALOGS)
def test_what_has_a_mark_is_a_catalog_however_faulty(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert why_foreign(path) == ""


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf"], ids=["none", "blank", "mark"])
def test_an_empty_file_is_foreign(tmp_path, data):
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    assert why_foreign(path) == "it is empty"


def test_comments_alone_are_foreign(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# f: {formula: x}\n")
    assert why_foreign(path) == NO_MARK


def test_a_file_that_is_not_there_is_foreign(tmp_path):
    assert why_foreign(tmp_path / "a.yaml") == "it cannot be read: No such file or directory"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_catalog_in_another_encoding_is_one(tmp_path, encoding):
    path = tmp_path / "a.yaml"
    path.write_text("f:\n  summary: ä\n  formula: x\n", encoding=encoding)
    assert why_foreign(path) == ""


def test_bytes_that_are_no_text_are_foreign(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(bytes(range(256)) * 10 + b"inputs")
    assert why_foreign(path) == NO_MARK


LARGE = "a:\n" + "".join(f"  key{number}: inputs\n" for number in range(60_000))


def test_more_than_one_mebibyte_of_something_else_is_foreign(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(LARGE)
    assert path.stat().st_size > 2**20
    assert why_foreign(path) == NO_MARK


def test_more_than_one_mebibyte_of_cases_is_a_catalog(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("f: {formula: x}\n" + LARGE)
    assert why_foreign(path) == ""
