"""XML is read strictly, and written as Canonical XML 1.1 says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.verifier.nvidia.xml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_NAMESPACES,
    canonical,
    parse,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<a/>", "<a></a>", id="empty element"),
        pytest.param("<?xml version='1.0'?>\n<a/>\n", "<a></a>", id="around"),
        pytest.param("<a  b = 'c' ></a >", '<a b="c"></a>', id="blanks in tags"),
        pytest.param('<a c="1" b="2"/>', '<a b="2" c="1"></a>', id="order"),
        pytest.param("<a>\r\n\r</a>", "<a>\n\n</a>", id="line ends"),
        pytest.param("<a>&#13;</a>", "<a>&#xD;</a>", id="carriage return"),
        pytest.param("<a>&lt;&gt;&amp;\"'</a>", "<a>&lt;&gt;&amp;\"'</a>", id="text"),
        pytest.param("<a><![CDATA[<&]]></a>", "<a>&lt;&amp;</a>", id="CDATA"),
        pytest.param("<a b='&lt;&gt;&quot;'/>", '<a b="&lt;>&quot;"></a>', id="quotes"),
        pytest.param("<a b='x\ty\nz'/>", '<a b="x y z"></a>', id="blanks in a value"),
        pytest.param(
            "<a b='&#9;&#10;&#13;'/>", '<a b="&#x9;&#xA;&#xD;"></a>', id="references"
        ),
        pytest.param("<a>é&#233;</a>", "<a>éé</a>", id="letters"),
        pytest.param(
            '<a xmlns:z="u" xmlns:b="v" xmlns="w"/>',
            '<a xmlns="w" xmlns:b="v" xmlns:z="u"></a>',
            id="order of namespaces",
        ),
        pytest.param(
            '<a xmlns:x="z" xmlns:y="b" x:k="1" y:k="2" k="3"/>',
            '<a xmlns:x="z" xmlns:y="b" k="3" y:k="2" x:k="1"></a>',
            id="order by namespace",
        ),
        pytest.param(
            '<a xmlns="u"><b xmlns="u"/></a>',
            '<a xmlns="u"><b></b></a>',
            id="declared again",
        ),
        pytest.param(
            '<a xmlns="u"><b xmlns=""><c/></b></a>',
            '<a xmlns="u"><b xmlns=""><c></c></b></a>',
            id="taken back",
        ),
        pytest.param('<a xmlns=""/>', "<a></a>", id="taken back at the top"),
        pytest.param(
            '<a xmlns:x="u"><x:b xmlns:x="v"/><x:c/></a>',
            '<a xmlns:x="u"><x:b xmlns:x="v"></x:b><x:c></x:c></a>',
            id="declared anew",
        ),
        pytest.param(
            '<a xmlns="u&amp;&quot;"/>', '<a xmlns="u&amp;&quot;"></a>', id="escaped"
        ),
    ],
)
def test_the_canonical_form_is_written(text: str, expected: str) -> None:
    assert canonical(parse(text.encode())).decode() == expected


def test_a_subtree_has_the_namespaces_of_its_ancestors() -> None:
    root = parse(b'<a xmlns="u" xmlns:x="v" k="1"><b><c x:l="2"/></b></a>')
    (below,) = root.elements

    expected = b'<b xmlns="u" xmlns:x="v"><c x:l="2"></c></b>'
    assert canonical(below) == expected


def test_an_element_can_be_left_out() -> None:
    root = parse(b"<a> <b/>,<b>x</b>. </a>")
    _, second = root.elements

    assert canonical(root, without=second) == b"<a> <b></b>,. </a>"
    assert root.text == " ,. "


def test_an_element_further_down_can_be_left_out_too() -> None:
    root = parse(b"<a><b><c/>x</b></a>")
    (below,) = root.elements
    (lowest,) = below.elements

    assert canonical(root, without=lowest) == b"<a><b>x</b></a>"


def test_an_attribute_is_found_by_namespace() -> None:
    root = parse(b'<a xmlns="u" xmlns:x="v" x:k="1" k="2"/>')

    assert root.attribute("k") == "2"
    assert root.attribute("k", "v") == "1"
    for local, space in (("k", "u"), ("l", "")):
        with pytest.raises(EvidenceError, match="XML a: expected the attribute"):
            root.attribute(local, space)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("<a>", id="half"),
        pytest.param("<a/><b/>", id="two"),
        pytest.param("text", id="text"),
        pytest.param("<a b='1' b='2'/>", id="attribute twice"),
        pytest.param("<a>&undefined;</a>", id="entity"),
        pytest.param("<a>\0</a>", id="NUL"),
        pytest.param("<a>&#0;</a>", id="reference to NUL"),
    ],
)
def test_what_is_not_well_formed_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="expected a well-formed document"):
        parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<!DOCTYPE a><a/>", id="document type"),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', id="entity"),
        pytest.param('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', id="external"),
        pytest.param("<?do it?><a/>", id="instruction"),
        pytest.param("<a><?do it?></a>", id="instruction within"),
        pytest.param("<!-- c --><a/>", id="comment"),
        pytest.param("<a>b<!-- c -->d</a>", id="comment within"),
    ],
)
def test_what_only_some_readers_understand_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="expected elements and text only"):
        parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<x:a/>", id="undeclared element"),
        pytest.param("<a x:k='1'/>", id="undeclared attribute"),
        pytest.param("<a xml:lang='en'/>", id="xml"),
        pytest.param("<a xmlns:x='u'><x:/></a>", id="no local part"),
        pytest.param("<a:b:c xmlns:a='u'/>", id="two colons"),
        pytest.param("<:a/>", id="no prefix"),
    ],
)
def test_a_name_that_is_not_declared_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="XML: expected"):
        parse(text.encode())


@pytest.mark.parametrize(
    "declaration",
    [
        "xmlns:x=''",
        "xmlns:xml='http://www.w3.org/XML/1998/namespace'",
        "xmlns:xmlns='u'",
        "xmlns:='u'",
        "xmlns:a:b='u'",
    ],
)
def test_another_declaration_is_refused(declaration: str) -> None:
    with pytest.raises(EvidenceError, match="expected declarations of prefixes"):
        parse(f"<a {declaration}/>".encode())


def test_an_attribute_by_two_prefixes_is_refused() -> None:
    with pytest.raises(EvidenceError, match="each attribute at most once"):
        parse(b"<a xmlns:x='u' xmlns:y='u' x:k='1' y:k='2'/>")


def test_other_encodings_are_refused() -> None:
    for data in ("<a/>".encode("utf-16"), b"<a>\xe9</a>"):
        with pytest.raises(EvidenceError, match="well-formed document in UTF-8"):
            parse(data)
    declared = "<?xml version='1.0' encoding='latin-1'?><a>é</a>"
    assert canonical(parse(declared.encode())) == "<a>é</a>".encode()


def test_the_size_is_limited() -> None:
    assert parse(b"<a/>".ljust(MAX_BYTES)).local == "a"
    with pytest.raises(EvidenceError, match=f"at most {MAX_BYTES} bytes"):
        parse(b"<a/>".ljust(MAX_BYTES + 1))


def test_the_depth_is_limited() -> None:
    def nested(depth: int) -> bytes:
        return b"<a>" * depth + b"</a>" * depth

    assert parse(nested(MAX_DEPTH)).local == "a"
    with pytest.raises(EvidenceError, match="at most 16 levels"):
        parse(nested(MAX_DEPTH + 1))


def test_the_number_of_elements_is_limited() -> None:
    def wide(count: int) -> bytes:
        return b"<a>" + b"<b/>" * (count - 1) + b"</a>"

    assert len(parse(wide(MAX_ELEMENTS)).elements) == MAX_ELEMENTS - 1
    with pytest.raises(EvidenceError, match="4096 elements"):
        parse(wide(MAX_ELEMENTS + 1))


PIECES = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b x='1'/>", " t ", "&lt;", "<c xmlns='u'>", "</c>", "\r\n"]
    ),
    max_size=12,
)


@given(PIECES)
def test_the_canonical_form_is_its_own(pieces: list[str]) -> None:
    try:
        once = canonical(parse("".join(pieces).encode()))
    except EvidenceError:
        return
    assert canonical(parse(once)) == once


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_tree_or_the_error(data: bytes) -> None:
    try:
        parse(data)
    except EvidenceError:
        return


def test_the_number_of_namespaces_in_scope_is_limited() -> None:
    def declaring(prefixes: int) -> bytes:
        declared = " ".join(f'xmlns:n{each}="n"' for each in range(prefixes))
        return f"<a {declared}/>".encode()

    assert parse(declaring(MAX_NAMESPACES - 1)).local == "a"
    with pytest.raises(EvidenceError, match=f"at most {MAX_NAMESPACES} namespaces"):
        parse(declaring(MAX_NAMESPACES))
