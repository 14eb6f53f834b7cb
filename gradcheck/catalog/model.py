"""The keys of a case, once: validation and the JSON Schema are both made from these models.

To add a key, add a field here; its description is what editors show, its example the fix that a
message offers.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gradcheck.catalog.document import UNNAMED, Pairs, Scalar
from gradcheck.catalog.value_kinds import (
    Choice,
    Data,
    DomainText,
    DtypeName,
    Expression,
    Formula,
    Kind,
    Line,
    Numbers,
    Order,
    Reference,
    Shape,
    Tag,
    Text,
    Ulps,
)
from gradcheck.catalog.witness_names import LATER_WITNESSES, WITNESSES
from gradcheck.dtypes import DEFAULT_DTYPES, LATER_DTYPES


def one_or_list(value: Any) -> Any:
    """A single value as a list of one, so that the model has one form only."""
    return [value] if isinstance(value, Scalar) else value


class Keys(BaseModel):
    """What all maps of the format share: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class InputKeys(Keys):
    """Where an input lives."""

    domain: DomainText | None = Field(
        None,
        description="a domain: real, positive, negative, nonnegative, nonzero, an interval such "
        "as (0, pi/2], or several joined by |; default real",
        examples=["(-4, 4)"],
    )
    shape: Shape = Field(
        (),
        description="a list of dimensions, each 0 to 64; [] (the default) for a single number",
        examples=[[2, 3]],
    )
    kind: Kind | None = Field(
        None, description="which square matrices are drawn", examples=["positive_definite"]
    )


class PointKeys(Keys):
    """A fixed input, always tested, with known answers where stated."""

    at: dict[str, Numbers] = Field(
        description="a map from every input's name to its value, exact: 3, 1/3, pi or nested lists",
        examples=[{"x": 3}],
    )
    value: Numbers | None = Field(None, description="the function's value there", examples=[27])
    gradient: dict[str, Numbers] | None = Field(
        None,
        description="a map from an input's name to the gradient of a scalar function",
        examples=[{"x": 18}],
    )
    jacobian: dict[str, Numbers] | None = Field(
        None,
        description="a map from an input's name to the Jacobian: the output's shape, then its own",
        examples=[{"x": [1, 0]}],
    )
    hessian: dict[str, dict[str, Numbers]] | None = Field(
        None,
        description="a map from an input's name to a map from an input's name to second "
        "derivatives of a scalar function",
        examples=[{"x": {"x": 6}}],
    )
    convention: dict[str, Numbers] | None = Field(
        None,
        description="a map from an input's name to the gradient that PyTorch promises where no "
        "derivative exists",
        examples=[{"x": 0}],
    )
    because: Text | None = Field(
        None, description="a text: where the answers come from", examples=["by hand"]
    )
    dtypes: list[DtypeName] | None = Field(
        None, description="a list of the dtypes that the point is for", examples=[["float64"]]
    )


class AccuracyKeys(Keys):
    """A wider allowance than the derived one."""

    ulps: Ulps = Field(description="the allowance, a positive integer", examples=[1000])
    because: Text = Field(description="a text: the reason", examples=["a long sum"])


def as_accuracy(value: Any) -> Any:
    """The allowance for all dtypes as a map of dtypes too, of one without a name."""
    if not isinstance(value, Pairs):
        return value
    names_dtypes = any(
        isinstance(each, Pairs) or name in (*DEFAULT_DTYPES, *LATER_DTYPES)
        for name, each in value.items()
    )
    own = value.keys() & AccuracyKeys.model_fields.keys()
    return value if names_dtypes and not own else {UNNAMED: value}


Accuracy = Annotated[
    dict[str, AccuracyKeys],
    BeforeValidator(
        as_accuracy, json_schema_input_type=AccuracyKeys | dict[DtypeName, AccuracyKeys]
    ),
]


def as_input(value: Any) -> Any:
    """A bare domain as the map that it is short for."""
    return {"domain": value} if isinstance(value, Scalar) else value


Input = Annotated[
    InputKeys, BeforeValidator(as_input, json_schema_input_type=DomainText | InputKeys)
]
Expressions = Annotated[
    list[Expression],
    BeforeValidator(one_or_list, json_schema_input_type=Expression | list[Expression]),
]
References = Annotated[
    list[Reference],
    BeforeValidator(one_or_list, json_schema_input_type=Reference | list[Reference]),
]
Texts = Annotated[
    list[Text], BeforeValidator(one_or_list, json_schema_input_type=Text | list[Text])
]


class CaseKeys(Keys):
    """One mathematical function, where it lives, and the PyTorch code that claims to compute it."""

    formula: Formula = Field(
        description="the function in the formula language: an expression, a list of them (vector) "
        "or a list of lists (matrix)",
        examples=["3*x**2"],
    )
    inputs: dict[str, Input] = Field(
        description="a map from each input's name to its domain, or to a map with domain, shape "
        "and kind",
        examples=[{"x": "real"}],
    )
    summary: Line | None = Field(None, description="one line: what it is", examples=["y = 3x²"])
    let: dict[str, Expression] | None = Field(
        None,
        description="a map from names to expressions, in order: intermediate results of the "
        "formula",
        examples=[{"s": "sum(x)"}],
    )
    constants: dict[str, Data] | None = Field(
        None,
        description="a map from names to numbers, booleans or nested lists of them: data that is "
        "not differentiated",
        examples=[{"index": [0, 2]}],
    )
    sweep: dict[str, list[Choice]] | None = Field(
        None,
        description="a map from names to lists of values; each combination is a variant",
        examples=[{"d": [0, 1]}],
    )
    torch: Expressions | None = Field(
        None,
        description="an expression of the torch language, or a list of them: the code on trial",
        examples=["torch.softmax(x, dim=d)"],
    )
    function: References | None = Field(
        None,
        description="module:attribute, or a list of them: your own code on trial",
        examples=["my_package.ops:swish"],
    )
    where: Expressions | None = Field(
        None,
        description="a condition on the inputs, or a list of conditions that must all hold",
        examples=["x > y"],
    )
    points: list[PointKeys] | None = Field(
        None,
        description="a list of fixed inputs that are always tested",
        examples=[[{"at": {"x": 3}, "value": 27}]],
    )
    order: Order | None = Field(
        None, description="the highest derivative that is verified: 1 or 2", examples=[2]
    )
    dtypes: list[DtypeName] | None = Field(
        None,
        description="a list of dtypes; default float64 and float32",
        examples=[["float64", "float32"]],
    )
    accuracy: Accuracy | None = Field(
        None,
        description="a map with ulps and because, or a map from dtypes to such maps: a wider "
        "allowance than the derived one",
        examples=[{"ulps": 1000, "because": "a long sum"}],
    )
    without: dict[str, Text] | None = Field(
        None,
        description="a map from a witness's name to the reason why it cannot apply: "
        + ", ".join((*WITNESSES, *LATER_WITNESSES)),
        examples=[{"forward": "no formula in PyTorch"}],
    )
    tags: list[Tag] | None = Field(
        None, description="a list of words for pytest's -m and -k", examples=[["slow"]]
    )
    source: Texts | None = Field(
        None, description="where the formula comes from, a text or a list", examples=["DLMF 4.2"]
    )
