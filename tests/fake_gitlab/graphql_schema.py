# SPDX-License-Identifier: GPL-3.0-or-later
"""Executes GraphQL queries against `schema.graphql`, reduced to the fields that the current release has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    FieldDefinitionNode,
    FieldNode,
    FieldsOnCorrectTypeRule,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InputValueDefinitionNode,
    StringValueNode,
    ValidationRule,
    Visitor,
    VisitorAction,
    build_ast_schema,
    execute_sync,
    parse,
    specified_rules,
    validate,
    visit,
)

from fake_gitlab.access import Caller
from fake_gitlab.graphql_resolvers import RESOLVERS, Context
from fake_gitlab.state import FakeGitLab
from fake_gitlab.versions import DIFFERENCES

_DOCUMENT = parse(Path(__file__).with_name("schema.graphql").read_text())


def execute_query(
    gitlab: FakeGitLab, caller: Caller | None, query: str, variables: Mapping[str, Any], operation: str | None
) -> dict[str, Any]:
    """Return the body of the reply: `data`, `errors` or both.

    A document that does not parse or validate has only `errors`; an error in a resolver nulls its field in `data`.
    """
    rows = frozenset(difference.name for difference in DIFFERENCES if gitlab.has(difference.name))
    schema = _schema(rows)
    try:
        document = parse(query)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    errors = validate(schema, document, _RULES)
    if errors:
        return {"errors": [error.formatted for error in errors]}
    result = execute_sync(
        schema,
        document,
        context_value=Context(gitlab, caller),
        variable_values=dict(variables),
        operation_name=operation,
    )
    return dict(result.formatted)


class _UndefinedField(ValidationRule):
    """Reports a field that the schema lacks with GitLab's message and `extensions` instead of graphql-core's."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self.context.get_parent_type()
        if parent and not self.context.get_field_def():
            name = node.name.value
            code = {"code": "undefinedField", "typeName": parent.name, "fieldName": name}
            text = f"Field '{name}' doesn't exist on type '{parent.name}'"
            self.report_error(GraphQLError(text, node, extensions=code))


_RULES = [_UndefinedField if rule is FieldsOnCorrectTypeRule else rule for rule in specified_rules]


class _FieldsOfRelease(Visitor):
    """Removes the fields and arguments whose `@needs` names a row that the release does not have."""

    def __init__(self, rows: frozenset[str]) -> None:
        super().__init__()
        self._rows = rows

    def enter(self, node: Any, *_: Any) -> VisitorAction:
        if isinstance(node, (FieldDefinitionNode, InputValueDefinitionNode)):
            required = {
                _needed_row(directive) for directive in node.directives or () if directive.name.value == "needs"
            }
            if required - self._rows:
                return self.REMOVE
        return self.IDLE


def _needed_row(directive: ConstDirectiveNode) -> str:
    value = directive.arguments[0].value if directive.arguments else None
    return value.value if isinstance(value, StringValueNode) else ""


@cache
def _schema(rows: frozenset[str]) -> GraphQLSchema:
    document: DocumentNode = visit(_DOCUMENT, _FieldsOfRelease(rows))
    schema = build_ast_schema(document)
    for type_name, resolvers in RESOLVERS.items():
        found = schema.type_map[type_name]
        assert isinstance(found, GraphQLObjectType)
        for name, field in found.fields.items():
            field.resolve = resolvers[name]
    return schema
