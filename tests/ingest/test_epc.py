"""GS1's published examples, the tags that must be refused, and round trips over every partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import FormatError
from edge.ingest import epc
from edge.ingest.epc import EpcReader, Gs1, decode, encode, from_link, from_uri

EXAMPLES = [
    (
        "3074257BF7194E4000001A85",
        "urn:epc:tag:sgtin-96:3.0614141.812345.6789",
        "urn:epc:id:sgtin:0614141.812345.6789",
        "80614141123458",
    ),
    (
        "3674257BF6B7A659B2C2BF1000000000000000000000000000",
        "urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb",
        "urn:epc:id:sgtin:0614141.712345.32a%2Fb",
        "70614141123451",
    ),
    (
        "3174257BF4499602D2000000",
        "urn:epc:tag:sscc-96:3.0614141.1234567890",
        "urn:epc:id:sscc:0614141.1234567890",
        "106141412345678908",
    ),
    (
        "3274257BF46072000000162E",
        "urn:epc:tag:sgln-96:3.0614141.12345.5678",
        "urn:epc:id:sgln:0614141.12345.5678",
        "0614141123452",
    ),
    (
        "3374257BF40C0E400000162E",
        "urn:epc:tag:grai-96:3.0614141.12345.5678",
        "urn:epc:id:grai:0614141.12345.5678",
        "06141411234525678",
    ),
    (
        "3774257BF40C0E59B2C2BF1000000000000000000000",
        "urn:epc:tag:grai-170:3.0614141.12345.32a%2Fb",
        "urn:epc:id:grai:0614141.12345.32a%2Fb",
        "061414112345232a/b",
    ),
    (
        "3474257BF40000000000162E",
        "urn:epc:tag:giai-96:3.0614141.5678",
        "urn:epc:id:giai:0614141.5678",
        "06141415678",
    ),
    (
        "3300393243FF740000000000",
        "urn:epc:tag:grai-96:0.061414113245..0",
        "urn:epc:id:grai:061414113245..0",
        "06141411324540",
    ),
]


@pytest.mark.parametrize(("hex_digits", "tag_uri", "uri", "key"), EXAMPLES)
def test_published_examples_decode_and_encode(
    hex_digits: str, tag_uri: str, uri: str, key: str
) -> None:
    identity = decode(hex_digits)
    assert (identity.tag_uri, identity.uri) == (tag_uri, uri)
    assert identity.key == key
    assert encode(from_uri(tag_uri)) == hex_digits
    assert encode(from_uri(uri, filter_value=identity.filter)) == hex_digits


@pytest.mark.parametrize(
    ("hex_digits", "why"),
    [
        ("301FFFFFFFFFFFFFFFFFFFFF", "partition 7"),
        ("307BFFFFC000004000000005", "company prefix"),
        ("3074257BF7194E4000001A", "96 bits"),
        ("3074257BF7194E4000001A8500", "96 bits"),
        ("E28011606000020A6681F23F", "header"),
        ("42544500000000000000049A", "header"),
        ("3174257BF4499602D2000001", "after the end"),
        ("3674257BF6B7A659B2C2BF1000000000000000000000000001", "after the end"),
        ("3674257BF680000000000000000000000000000000000000000000000000", "198 bits"),
        ("3674257BF68000000000000000000000000000000000000000", "characters"),
        ("", "header"),
        ("3", "not hex"),
        ("zz", "not hex"),
    ],
)
def test_what_is_not_a_gs1_tag_is_refused_with_its_reason(hex_digits: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        decode(hex_digits)


@pytest.mark.parametrize(
    "uri",
    [
        "urn:epc:id:sgtin:0614141.812345.06789.",
        "urn:epc:id:sgtin:0614141.81234.1",
        "urn:epc:id:sgtin:06141.1.1",
        "urn:epc:id:sgtin:061414A.812345.1",
        "urn:epc:id:gdti:0614141.12345.1",
        "urn:epc:id:sscc:0614141.1234567890.1",
        "urn:epc:id:sgtin:0614141.812345.",
        "urn:epc:tag:sgtin-96:9.0614141.812345.1",
        "urn:epc:tag:sgtin-96:3.0614141.812345.0001",
        "urn:epc:tag:sgtin-96:3.0614141.812345.274877906944",
        "urn:epc:id:sgtin:٠614141.812345.1",
        "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "",
    ],
)
def test_uris_that_name_no_tag_are_refused(uri: str) -> None:
    try:
        identity = from_uri(uri)
    except FormatError:
        return
    assert identity.serial.endswith("."), "only a serial ending in a dot is legal here"


def test_a_serial_too_large_for_96_bits_takes_the_long_layout() -> None:
    assert from_uri("urn:epc:id:sgtin:0614141.812345.274877906944").scheme == "sgtin-198"
    assert from_uri("urn:epc:id:sgtin:0614141.812345.0001").scheme == "sgtin-198"
    assert from_uri("urn:epc:id:giai:0614141.AB-1").scheme == "giai-202"
    assert from_uri("urn:epc:id:sgln:0614141.12345.dock%2F1").scheme == "sgln-195"


def test_long_epcs_are_read_in_whole_bytes_and_in_whole_words() -> None:
    identity = from_uri("urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb")
    assert len(encode(identity)) == 50
    assert len(encode(identity, words=True)) == 52
    assert decode(encode(identity, words=True)) == identity


TEXT = st.text("!\"%&'()*+,-./0189:;<=>?AZ_az", min_size=1)


@st.composite
def identities(draw: st.DrawFn) -> Gs1:
    """Any identity of any scheme and partition."""
    scheme = draw(st.sampled_from(epc.SCHEMES))
    size = draw(st.integers(6, 12))

    prefix = draw(st.text("0123456789", min_size=size, max_size=size))
    width = scheme.reference_digits - size if scheme.reference_digits else 0
    reference = draw(st.text("0123456789", min_size=width, max_size=width)) if width else ""

    if scheme.kind == "sscc":
        serial = ""
    elif scheme.serial_text:
        longest = scheme.serial_max if scheme.reference_digits else 30 - size
        serial = draw(TEXT.map(lambda t: t[:longest]))
    elif scheme.kind == "giai":
        serial = str(draw(st.integers(0, (1 << (82 - epc.PARTITIONS[12 - size][0])) - 1)))
    else:
        serial = str(draw(st.integers(0, (1 << scheme.serial_bits) - 1)))
    return Gs1(scheme.name, draw(st.integers(0, 7)), prefix, reference, serial)


@given(identities(), st.booleans())
def test_every_identity_survives_the_round_trip(identity: Gs1, words: bool) -> None:
    assert decode(encode(identity, words=words)) == identity
    assert from_uri(identity.tag_uri) == identity


@given(st.binary(min_size=0, max_size=30))
def test_whatever_decodes_encodes_to_the_same_bits(data: bytes) -> None:
    for header in (data[:1], *(bytes([s.header]) for s in epc.SCHEMES)):
        text = (header + data[1:]).hex().upper()
        try:
            identity = decode(text)
        except FormatError:
            continue
        assert text in (encode(identity), encode(identity, words=True))


def test_a_digital_link_becomes_hex_only_where_its_company_prefix_is_known() -> None:
    link = "https://id.gs1.org/01/70614141123451/21/2017"
    assert from_link(link, ["0614141"]).uri == "urn:epc:id:sgtin:0614141.712345.2017"
    with pytest.raises(FormatError, match="no known company prefix"):
        from_link(link, ["4012345"])
    with pytest.raises(FormatError, match="check digit"):
        from_link("https://id.gs1.org/01/70614141123452/21/2017", ["0614141"])


@pytest.mark.parametrize(
    ("link", "uri"),
    [
        ("https://shop.example/00/106141412345678908", "urn:epc:id:sscc:0614141.1234567890"),
        ("https://id.gs1.org/414/0614141123452/254/5678", "urn:epc:id:sgln:0614141.12345.5678"),
        ("https://id.gs1.org/414/0614141123452", "urn:epc:id:sgln:0614141.12345.0"),
        ("https://id.gs1.org/8003/006141411234525678", "urn:epc:id:grai:0614141.12345.5678"),
        ("https://id.gs1.org/8004/06141415678", "urn:epc:id:giai:0614141.5678"),
        (
            "https://id.gs1.org/01/80614141123458/10/LOT/21/a%2Fb?x=1",
            "urn:epc:id:sgtin:0614141.812345.a%2Fb",
        ),
    ],
)
def test_digital_links_of_every_key(link: str, uri: str) -> None:
    assert from_link(link, ["0614141"]).uri == uri


def test_only_listed_company_prefixes_are_believed() -> None:
    tag = "3074257BF7194E4000001A85"
    assert EpcReader().read(tag) is not None
    assert EpcReader(["0614141"]).read(tag) is not None
    assert EpcReader(["4012345"]).read(tag) is None


def test_a_pc_word_with_the_toggle_bit_denies_gs1() -> None:
    reader = EpcReader()
    assert reader.read("3074257BF7194E4000001A85", "3100") is None
    assert reader.read("3074257BF7194E4000001A85", "3000") is not None
    assert reader.read("3074257BF7194E4000001A85", "what") is not None


def test_the_reader_remembers_no_more_than_its_limit() -> None:
    reader = EpcReader(limit=3)
    for i in range(10):
        reader.read(f"{i:024X}")
    assert len(reader) == 3
