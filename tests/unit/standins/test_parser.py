from __future__ import annotations

import pytest

from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.parser import (
    parse_condition,
    parse_projection,
    parse_update,
)
from benchmarks.standins.dynamodb.syntax import (
    And,
    Arithmetic,
    Between,
    Bound,
    Call,
    Comparison,
    Condition,
    IfNotExists,
    In,
    ListAppend,
    Not,
    Or,
    Path,
    Size,
    Update,
)
from benchmarks.standins.dynamodb.tokens import tokens_of


def path(*steps: str | int) -> Path:
    return Path(steps)


def equal(name: str, value: str) -> Comparison:
    return Comparison("=", path(name), Bound(value))


def test_tokens_need_no_spaces() -> None:
    assert tokens_of("#a.b[0]<>:v AND(c<=:w)") == [
        "#a", ".", "b", "[", "0", "]", "<>", ":v", "AND", "(", "c", "<=", ":w", ")",
    ]  # fmt: skip
    assert tokens_of(" a=:b-:c ") == ["a", "=", ":b", "-", ":c"]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = :v", equal("a", ":v")),
        ("a = :v OR b = :v AND c = :v",
         Or(equal("a", ":v"), And(equal("b", ":v"), equal("c", ":v")))),
        ("(a = :v OR b = :v) AND c = :v",
         And(Or(equal("a", ":v"), equal("b", ":v")), equal("c", ":v"))),
        ("NOT a = :v AND b = :v", And(Not(equal("a", ":v")), equal("b", ":v"))),
        ("not (a = :v and b = :v)", Not(And(equal("a", ":v"), equal("b", ":v")))),
        ("a BETWEEN :l AND :h AND b = :v",
         And(Between(path("a"), Bound(":l"), Bound(":h")), equal("b", ":v"))),
        ("a IN (:v, b, :w)", In(path("a"), (Bound(":v"), path("b"), Bound(":w")))),
        ("size(a.b) > :v", Comparison(">", Size(path("a", "b")), Bound(":v"))),
        ("size = :v", equal("size", ":v")),
        ("begins_with(a[1][2].b, :v)",
         Call("begins_with", (path("a", 1, 2, "b"), Bound(":v")))),
        ("((attribute_exists(a)))", Call("attribute_exists", (path("a"),))),
    ],
)  # fmt: skip
def test_a_condition_is_a_tree(text: str, tree: Condition) -> None:
    assert parse_condition(text, {}).tree == tree


def test_names_are_resolved_and_values_are_not() -> None:
    parsed = parse_condition("#a.#b = :v", {"#a": "one.two", "#b": "b", "#c": "unused"})
    assert parsed.tree == Comparison("=", path("one.two", "b"), Bound(":v"))
    assert parsed.names == {"#a", "#b"}
    assert parsed.values == {":v"}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("SET a = :v, b.c[0] = a",
         Update(sets=((path("a"), Bound(":v")), (path("b", "c", 0), path("a"))))),
        ("SET a = a + :v", Update(sets=((path("a"), Arithmetic("+", path("a"), Bound(":v"))),))),
        ("SET a = (a - :v)", Update(sets=((path("a"), Arithmetic("-", path("a"), Bound(":v"))),))),
        ("SET a = if_not_exists(b, :v) + :w",
         Update(sets=((path("a"),
                       Arithmetic("+", IfNotExists(path("b"), Bound(":v")), Bound(":w"))),))),
        ("SET a = list_append(:v, if_not_exists(a, :w))",
         Update(sets=((path("a"),
                       ListAppend(Bound(":v"), IfNotExists(path("a"), Bound(":w")))),))),
        ("remove a, b[1] add c :v delete d :w, e :w",
         Update(removes=(path("a"), path("b", 1)),
                adds=((path("c"), Bound(":v")),),
                deletes=((path("d"), Bound(":w")), (path("e"), Bound(":w"))))),
    ],
)  # fmt: skip
def test_an_update_is_its_clauses(text: str, tree: Update) -> None:
    assert parse_update(text, {}).tree == tree


def test_a_projection_is_its_paths() -> None:
    parsed = parse_projection("a, #b.c[3]", {"#b": "b"})
    assert parsed.tree == (path("a"), path("b", "c", 3))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "can not be empty"),
        ("a = ", 'token: "<EOF>"'),
        ("a = :v)", r'token: "\)"'),
        ("(a = :v", 'token: "<EOF>"'),
        ("a == :v", 'token: "="'),
        ("a ! :v", 'token: "!"'),
        ("a[b] = :v", 'token: "b"'),
        ("AND = :v", 'token: "AND"'),
        ("a = :v AND", 'token: "<EOF>"'),
        ("#n = :v", "attribute name: #n"),
        ("exists(a)", "Invalid function name; function: exists"),
        ("contains(a)", "number of operands: 1"),
        ("attribute_exists(:v)", "requires a document path"),
    ],
)
def test_a_condition_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        parse_condition(text, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = :v", 'token: "a"'),
        ("SET a = :v SET b = :v", "only be used once"),
        ("SET a = size(b)", "function: size"),
        ("ADD a = :v", 'token: "="'),
        ("REMOVE", 'token: "<EOF>"'),
    ],
)
def test_an_update_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        parse_update(text, {})
