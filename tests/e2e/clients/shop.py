"""Schemas of a shop, as the tests of stock Python clients register them."""

import json

AMOUNT = {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}
AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
NOTE = {"name": "note", "type": ["null", "string"], "default": None}


def record(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "shop", "fields": list(fields)})


ORDER_V1 = record("Order", {"name": "id", "type": "string"}, AMOUNT, AT)
# Compatible with V1 in both directions.
ORDER_V2 = record("Order", {"name": "id", "type": "string"}, AMOUNT, AT, NOTE)
# Compatible with neither.
ORDER_BAD = record("Order", {"name": "id", "type": "string"}, {"name": "weight", "type": "double"})
ADDRESS = record("Address", {"name": "street", "type": "string"})
CUSTOMER = record("Customer", {"name": "name", "type": "string"}, {"name": "address", "type": "shop.Address"})
INVOICE = record(
    "Invoice", {"name": "customer", "type": "shop.Customer"}, {"name": "ship_to", "type": "shop.Address"}
)
