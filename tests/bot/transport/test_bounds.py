"""Documents that are small on the wire and large in memory, or slow to read: refused while they are read, or before."""

import codecs
import encodings
import json
import time
from xml.etree.ElementTree import ParseError, fromstring, tostring

import pytest

from bot.config.inventory_file import InventoryFile
from bot.transport import bounds
from bot.transport.bounds import DocumentType, JsonOutline, TooMuch, is_encoded, parse_json, parse_xml, weigh
from bot.transport.client import QueryResult, TargetClient
from bot.transport.routing import Router


@pytest.mark.parametrize(
    "document",
    [
        "<a/>",
        '<s:E xmlns:s="urn:x" xmlns="urn:y"><s:B><r a="1" s:b="2"><Name>x&amp;y &#x20AC;</Name>tail<z xml:lang="en"/></r></s:B></s:E>',
        '<?xml version="1.0" encoding="utf-8"?><!-- said --><a><![CDATA[<b>]]><c/></a>',
    ],
)
def test_an_honest_document_is_read_as_elementtree_reads_it(document):
    assert tostring(parse_xml(document)) == tostring(fromstring(document))
    assert tostring(parse_xml(document.encode())) == tostring(fromstring(document))


def attributes(count):
    return " ".join(f'a{number}=""' for number in range(count))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("<r>" + "<a/>" * 330_000 + "</r>", TooMuch),
        ("<r>" + '<a b=""/>' * 110_000 + "</r>", TooMuch),
        (f"<r {attributes(165_000)}/>", TooMuch),
        ("<r>" + '<a xmlns="u"/>' * 110_000 + "</r>", TooMuch),
        ("<a>" * 100 + "</a>" * 100, TooMuch),
        ("<a>" + "".join(f"<b{number}/>" for number in range(20_000)) + "</a>", TooMuch),
        ("<a>" * 100, TooMuch),
        (f"<{'n' * 1_001}/>", TooMuch),
        ('<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>', DocumentType),
        ("<!DOCTYPE r><r/>", DocumentType),
        ('<r xmlns:x="' + "u" * 1_001 + '"/>', TooMuch),
        ("<r>&nobody;</r>", ParseError),
        ("<r>", ParseError),
        ("", ParseError),
    ],
)
def test_a_hostile_document_is_refused(document, error):
    for form in (document, document.encode(), document.encode("utf-16")):
        with pytest.raises(error):
            parse_xml(form)


@pytest.fixture
def looked_up():
    """The names of encodings that Python was asked for, and has none of."""
    names = []

    def search(name):
        names.append(name)

    codecs.register(search)
    yield names
    codecs.unregister(search)


@pytest.mark.parametrize("name", ["x1" + "a" * 100_000, "no-such", "rot13", "cp1252", "utf8", "x" * 3_000_000])
@pytest.mark.parametrize("form", ["utf-8", "utf-16", "utf-16-le"])
def test_no_document_has_python_look_up_an_encoding(name, form, looked_up, monkeypatch):
    """Python remembers each name that is none, whatever its length, as long as the process lives."""
    document, asked = f'<?xml version="1.0" encoding="{name}"?><a/>'.encode(form), []
    monkeypatch.setattr(encodings, "normalize_encoding", lambda told: (asked.append(told), told)[1])
    with pytest.raises(ParseError):
        parse_xml(document)
    assert not [*looked_up, *asked]


@pytest.mark.parametrize("name", ["utf-8", "UTF-8", "us-ascii", "ISO-8859-1", "utf-16", "UTF-16"])
def test_an_encoding_that_honest_documents_have_is_read(name):
    for document in (
        f"<?xml version='1.0' encoding='{name}' standalone='yes'?><a>e</a>",
        "<?xml version='1.0'?><a>e</a>",
    ):
        read = parse_xml(document.encode(name))
        assert (read.tag, read.text) == ("a", "e")
    if name.upper() != "US-ASCII":
        assert parse_xml(f"<?xml version='1.0' encoding='{name}'?><a>é</a>".encode(name)).text == "é"
    # what is a text by now has no encoding any more
    assert parse_xml(f"<?xml version='1.0' encoding='{name}'?><a>é</a>").text == "é"


def test_a_long_namespace_is_not_written_out_before_each_name():
    """Two megabytes of it would become a hundred gigabytes: every name carries its namespace."""
    names = "".join(f"<x:a{number}/>" for number in range(90_000))
    with pytest.raises(TooMuch):
        parse_xml(f'<r xmlns:x="{"u" * 2**20}">{names}</r>')
    with pytest.raises(TooMuch):
        parse_xml(f'<r xmlns:x="{"u" * 900}">{names}</r>')


@pytest.mark.parametrize(
    "text",
    [
        "[" * 33 + "]" * 33,
        '{"a":' * 33 + "1" + "}" * 33,
        "[" * 100_000,
        "[" + "[]," * 50_001 + "1]",
        "[" + "{}," * 50_001 + "1]",
        "[" + "1," * 400_001 + "1]",
        "[" + '"",' * 400_001 + "1]",
        "[" + "9" * 4_000 + "]",
        "[1." + "9" * 4_000 + "]",
        "[1e" + "9" * 4_000 + "]",
    ],
)
def test_hostile_json_is_refused_before_it_is_made(text):
    with pytest.raises(TooMuch):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r'{"\ud800x": ["a\uDFFF", "\ud83d\ude00"]}', {"\ufffdx": ["a\ufffd", "\U0001f600"]}),
        (r'"\\ud800"', r"\ud800"),
    ],
)
def test_half_a_character_is_replaced_for_nothing_could_be_written_with_it(text, told):
    found = parse_json(text)
    assert found == told
    str(found).encode()


def test_marks_inside_of_texts_are_no_values():
    said = ['[{,"' * 50_000, "\\" * 101, "\n"]
    assert parse_json(__import__("json").dumps({"said": said})) == {"said": said}


@pytest.mark.parametrize("text", ['"' + '\\"' * 500_000, '"' * 1_000_001, '"' + "\\" * 500_001, '["' * 20_000])
def test_text_without_an_end_is_not_read_again_and_again(text):
    """Quadratic, each of these took hours."""
    began = time.perf_counter()
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
    assert time.perf_counter() - began < 60


def test_rows_weigh_what_they_take():
    assert weigh([{"Name": "x" * 1_000_000}]) > 1_000_000
    assert weigh([{"Name": ("x" * 1_000_000, {"inner": "x" * 1_000_000}), "none": None}]) > 2_000_000
    assert weigh([{"Name": "\N{GRINNING FACE}" * 1_000}]) > 4_000
    assert weigh([{"Name": tuple(range(1_000, 11_000))}]) > 300_000
    assert weigh([{}] * 100_000) > bounds.MAX_WEIGHT / 10


@pytest.mark.parametrize(
    ("encoding", "is_so"),
    [({}, False), ({"Content-Encoding": "identity"}, False), ({"Content-Encoding": ""}, False)]
    + [({"Content-Encoding": word}, True) for word in ("gzip", "gzip, gzip", "br", "deflate", "identity, gzip", "?")],
)
def test_anything_but_plain_bytes_is_an_encoding(encoding, is_so):
    assert is_encoded(encoding) is is_so


def test_of_many_names_the_latest_are_remembered():
    known = bounds.Latest(3)
    for number in range(10):
        known.put(f"guest-{number}", number)
    known.put("guest-8", 80)
    known.put("guest-10", 10)
    assert [known.get(f"guest-{number}") for number in (7, 8, 9, 10)] == [None, 80, 9, 10]
    assert len(known) == 3


def outline(document, piece, deepest=3):
    made = JsonOutline(deepest)
    for at in range(0, len(document), piece):
        made.add(document[at : at + piece])
    return json.loads(made.read())


def test_an_outline_keeps_what_is_not_nested_however_it_comes_in():
    told = {
        "ok": True,
        "list": [{"ts": "1.5", "text": 'a"]}\\[{\\"', "in": [{"x": ['"', "\\", "]"]}], "of": {"n": 1}}, {}],
    }
    document = json.dumps({**told, "cursor": "é}"}).encode()
    kept = {
        "ok": True,
        "list": [{"ts": "1.5", "text": told["list"][0]["text"], "in": [], "of": {}}, {}],
        "cursor": "é}",
    }
    for piece in range(1, len(document) + 1):
        assert outline(document, piece) == kept
    assert outline(document, 7, deepest=9) == json.loads(document)


def test_an_outline_of_much_that_is_not_nested_is_refused():
    for document in (b'{"ok": "' + b"x" * 2**21 + b'"}', b"[" + b"{}," * 400_000 + b"{}]"):
        with pytest.raises(TooMuch):
            outline(document, 2**16)


@pytest.mark.parametrize(
    "rows",
    [[{"a": "x" * 101}], [{"x" * 101: ""}], [{"a": ["x" * 50] * 3}], [{"a": {"b": {"x" * 101: 1}}}], [{"a": 1}] * 20],
    ids=["a cell", "a name", "a list", "an inner name", "numbers"],
)
def test_rows_are_long_by_all_that_stands_in_them(rows):
    assert bounds.is_longer(rows, 100)
    assert not bounds.is_longer([{"a": "x" * 10, "b": [1, None]}], 100)


@pytest.mark.parametrize("raw", ["", "the first page"])
def test_an_answer_of_a_few_long_rows_is_weighed_though_little_of_its_text_was_kept(raw):
    """Of a long answer a part of the text is not kept: by that alone, hundreds of megabytes counted as a few bytes."""
    client = TargetClient(Router(InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}}), {}))
    try:
        assert not client._is_small(QueryResult([{"a": "x" * 2**20}] * 13, raw, "hv01"))
        assert client._is_small(QueryResult([{"a": "x"}], raw, "hv01"))
    finally:
        client.close()
