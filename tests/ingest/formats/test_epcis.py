"""EPCIS 2.0: documents, single events, steps in our words, URIs that become tags."""

from typing import Any

import pytest

TAG = "urn:epc:id:sgtin:0614141.812345.6789"
HEX = "3034257BF7194E4000001A85"  # filter 1, a point-of-sale item


def event(kind: str = "ObjectEvent", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "action": "OBSERVE",
        "eventTime": "2026-04-01T08:15:30.250-05:00",
        "eventTimeZoneOffset": "-05:00",
    } | more


def document(*events: Any) -> dict[str, Any]:
    return {"type": "EPCISDocument", "schemaVersion": "2.0", "epcisBody": {"eventList": events}}


def test_documents_single_events_and_query_results_are_read_alike(tell: Any) -> None:
    single = event(epcList=[TAG], bizStep="shipping")
    results = {"queryName": "q", "resultsBody": {"eventList": [single]}}
    query = {"type": "EPCISQueryDocument", "epcisBody": {"queryResults": results}}
    for payload in (single, document(single), query):
        assert tell(payload).events == tell(single).events
    assert tell(document()).ignored


@pytest.mark.parametrize(
    ("step", "disposition", "kind", "fields"),
    [
        ("shipping", "in_transit", "ItemScan", {"scan_type": "Rental", "contract": "C77"}),
        ("arriving", "in_transit", "ItemScan", {"scan_type": "Delivery"}),
        ("collecting", "returned", "ItemScan", {"scan_type": "Pickup"}),
        ("receiving", "returned", "ItemScan", {"scan_type": "Return"}),
        ("cycle_counting", "", "ItemScan", {"scan_type": "Touch Scan", "status": ""}),
        ("holding", "", "ItemScan", {"status": "Needs to be Inspected"}),
        (
            "inspecting",
            "conformant",
            "Maintenance",
            {"kind": "inspection", "status": "Ready to Rent"},
        ),
        ("inspecting", "non_conformant", "Maintenance", {"status": "Needs to be Inspected"}),
        ("repairing", "unavailable", "Maintenance", {"kind": "repair", "status": "Repair"}),
        ("repairing", "available", "Maintenance", {"status": "Ready to Rent"}),
        ("https://shop.example/bizstep-laundering", "unavailable", "Maintenance", {"kind": "wash"}),
        ("storing", "available", "ItemScan", {"status": "Ready to Rent", "bin": "rack-1"}),
        ("retail_selling", "retail_sold", "ItemScan", {"status": "Sold"}),
        ("stock_taking", "unknown", "ItemScan", {"status": "Missing"}),
        ("entering_exiting", "", "TagRead", {"source": "gate-1"}),
        ("commissioning", "active", "ItemLink", {"action": "bind", "sku": "80614141123458"}),
        ("decommissioning", "inactive", "ItemLink", {"action": "retire"}),
        ("departing", "", "TagRead", {}),
        ("", "", "TagRead", {}),
    ],
)
def test_business_steps_in_our_words(
    one: Any, step: str, disposition: str, kind: str, fields: dict[str, Any]
) -> None:
    found = one(
        event(
            epcList=[TAG],
            bizStep=step,
            disposition=disposition,
            readPoint={"id": "gate-1"},
            bizLocation={"id": "rack-1"},
            bizTransactionList=[
                {"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:0614141073467:1"},
                {"type": "https://shop.example/contract", "bizTransaction": "https://x/C77"},
            ],
        )
    )
    assert type(found).__name__ == kind
    assert (found.epc, found.at) == (HEX, 1_775_049_330_250)
    assert {f: getattr(found, f) for f in fields} == fields


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        (TAG, HEX),
        ("urn:epc:tag:sgtin-96:3.0614141.812345.6789", "3074257BF7194E4000001A85"),
        ("urn:epc:id:grai:0614141.12345.5678", "3314257BF40C0E400000162E"),
        ("urn:epc:id:giai:0614141.5678", "3414257BF40000000000162E"),
        ("urn:epc:id:sscc:0614141.1234567890", "3114257BF4499602D2000000"),
        ("urn:epc:id:sgln:0614141.12345.5678", "3214257BF46072000000162E"),
        ("https://id.gs1.org/01/80614141123458/21/6789", HEX),
        ("https://shop.example/epc/42544500000000000000beef", "42544500000000000000BEEF"),
        ("https://id.gs1.org/01/09501101530003/21/6789", None),
        ("urn:epc:id:gdti:0614141.12345.400", None),
        ("urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8", None),
        ("https://shop.example/epc/not-hex", None),
    ],
)
def test_uris_become_hex_where_possible_else_stay_themselves(
    one: Any, uri: str, identity: str | None
) -> None:
    assert one(event(epcList=[uri])).epc == (identity or uri)


def test_counted_classes_set_or_add_to_the_stock(tell: Any) -> None:
    quantities = [
        {"epcClass": "urn:epc:class:lgtin:0614141.812345.LOT", "quantity": 12},
        {"epcClass": "https://id.gs1.org/01/80614141123458", "quantity": 1.5, "uom": "KGM"},
        {"epcClass": "urn:epc:idpat:sgtin:0614141.812345.*"},
    ]
    for step, kind in (("stock_taking", "StockCount"), ("receiving", "StockReceipt")):
        found = tell(event(quantityList=quantities, bizStep=step)).events
        assert [type(e).__name__ for e in found] == [kind, kind]
        assert [(e.sku, e.quantity) for e in found] == [
            ("80614141123458", 12),
            ("80614141123458", 1.5),
        ]


def test_parents_and_children_were_seen_together(tell: Any) -> None:
    for kind in ("AggregationEvent", "AssociationEvent"):
        payload = event(kind, parentID="urn:epc:id:giai:0614141.5678", childEPCs=[TAG])
        assert [e.epc for e in tell(payload).events] == ["3414257BF40000000000162E", HEX]


def test_a_transformation_retires_its_inputs_and_binds_its_outputs(tell: Any) -> None:
    payload = event("TransformationEvent", inputEPCList=[TAG], outputEPCList=[TAG + "1"])
    assert [e.action for e in tell(payload).events] == ["retire", "bind"]


def test_a_transaction_is_scans_under_its_contract(one: Any) -> None:
    payload = event(
        "TransactionEvent",
        epcList=[TAG],
        bizStep="shipping",
        bizTransactionList=[{"bizTransaction": "https://shop.example/contracts/C9"}],
    )
    assert (one(payload).scan_type, one(payload).contract) == ("Rental", "C9")


def test_an_error_declaration_takes_the_scan_back_under_an_id_of_its_own(one: Any) -> None:
    original = event(epcList=[TAG], bizStep="shipping", eventID="urn:uuid:1")
    undo = one(original | {"errorDeclaration": {"declarationTime": "2026-04-02T00:00:00Z"}})
    scan = one(original)
    assert (undo.action, undo.epc, undo.scan_type) == ("undo_scan", HEX, "Rental")
    assert undo.scanned_at == scan.at
    assert undo.id != scan.id


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (event(sensorElementList=[{}], bizStep="sensor_reporting"), "unsupported_event"),
        (event("TransformationEvent", inputQuantityList=[{"quantity": 1}]), "unsupported_event"),
        (event(epcList=[TAG], errorDeclaration={}), "unsupported_event"),
        (event("QuantityEvent", epcList=[TAG]) | {"epcisBody": {}}, "missing_field"),
        (document(event("QuantityEvent", epcList=[TAG])), "unsupported_event"),
        (document(event(epcList=[TAG], eventTime="soon")), "bad_time"),
        (document(event(epcList=[TAG], eventTime=None)), "missing_field"),
        (document(event(epcList=TAG)), "wrong_type"),
        (document(event(epcList=[7])), "wrong_type"),
        (document(7), "wrong_type"),
        ({"epcisBody": {}}, "missing_field"),
        ({"epcisBody": 7}, "wrong_type"),
    ],
)
def test_what_names_no_item_is_refused_with_a_clear_reason(
    refused: Any, payload: object, reason: str
) -> None:
    assert refused(payload) == [reason]


def test_a_bad_event_of_a_document_takes_no_neighbour_down(tell: Any) -> None:
    decoded = tell(document(event(epcList=[TAG]), event(epcList=[[]]), event(epcList=[TAG, TAG])))
    assert len(decoded.events) == 3
    assert [(r.index, r.reason) for r in decoded.rejects] == [(1, "wrong_type")]
