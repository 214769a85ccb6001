import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.queries import Predicate
from bot.transport.windows.wql import like, name, namespace, quote, select

LITERAL = re.compile(r"'((?:[^'\\]|\\\\|\\')*)'")
SENDABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufffe\uffff"))


def test_queries():
    assert select("MSCluster_Node") == "SELECT * FROM MSCluster_Node"
    assert select("MSCluster_Node", ("Name", "State")) == "SELECT Name, State FROM MSCluster_Node"
    where = (
        Predicate("Name", "=", "it's"),
        Predicate("State", "in", (1, 2)),
        Predicate("On", "!=", value=True),
        Predicate("X", "is not null"),
        Predicate("Id", "like", "Microsoft:%"),
    )
    assert select("C", (), where) == (
        "SELECT * FROM C WHERE Name = 'it\\'s' AND (State = 1 OR State = 2) AND On != TRUE"
        " AND X IS NOT NULL AND Id LIKE 'Microsoft:%'"
    )


@settings(max_examples=200)
@given(SENDABLE)
def test_a_quoted_value_is_one_literal_and_means_itself(value):
    literal = LITERAL.fullmatch(quote(value))
    assert literal
    assert re.sub(r"\\(.)", r"\1", literal[1], flags=re.DOTALL) == value


@settings(max_examples=100)
@given(SENDABLE)
def test_no_value_escapes_from_its_place(value):
    query = select("C", ("A",), (Predicate("B", "=", value), Predicate("D", "=", 1)))
    assert LITERAL.sub("?", query) == "SELECT A FROM C WHERE B = ? AND D = 1"


@pytest.mark.parametrize(
    "hostile", ["' OR ''='", "\\' OR 1=1 --", "a\\", "'; SELECT * FROM X", '"', "%_[", "\\\\'", "’ OR ’", "𝕏'\\"]
)
def test_hostile_names(hostile):
    assert LITERAL.fullmatch(quote(hostile))


@pytest.mark.parametrize("bad", ["\x00", "a\nb", "\x7f", "\ud800"])
def test_control_characters_are_refused(bad):
    with pytest.raises(ValueError, match="cannot stand in a query"):
        quote(bad)


@pytest.mark.parametrize("bad", ["", "a b", "a;b", "a'", "1a", "a.", "Name--", "*"])
def test_names_of_classes_and_columns(bad):
    with pytest.raises(ValueError, match="no name"):
        name(bad)
    assert name("TargetInstance.Name") == "TargetInstance.Name"


@pytest.mark.parametrize("bad", ["", "root/", "/root", "root//x", "root/a b", "root/x/*", "root/../x"])
def test_namespaces(bad):
    with pytest.raises(ValueError, match="no WMI namespace"):
        namespace(bad)
    assert namespace("root\\cimv2") == "root/cimv2"


@pytest.mark.parametrize(
    "term",
    [
        Predicate("A", "="),
        Predicate("A", "in", ()),
        Predicate("A", "in", "x"),
        Predicate("A", "=", ("x",)),
        Predicate("A", "or", 1),
    ],
)
def test_terms_that_mean_nothing_are_refused(term):
    with pytest.raises(ValueError, match=r"NULL|nothing|one value|comparison"):
        select("C", (), (term,))


def test_like_without_wildcards():
    assert like("50%_[x]") == "50[%][_][[]x]"
