"""A check of one value as an annotation of pydantic's, with the JSON Schema that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True, eq=False)  # hashable: typing puts annotations in sets
class Reader:
    """Reads a value by ``function`` alone; ``schema`` is what editors are told of it.

    Where that ``costs``, the function is given the file's budget too.

    Unlike pydantic's PlainValidator it does not look into the annotated type, which here holds
    whole syntax trees.
    """

    function: Callable[..., Any]
    schema: dict[str, Any]
    costs: bool = False

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        if self.costs:
            return core_schema.with_info_plain_validator_function(
                lambda value, info: self.function(value, info.context)
            )
        return core_schema.no_info_plain_validator_function(self.function)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)
