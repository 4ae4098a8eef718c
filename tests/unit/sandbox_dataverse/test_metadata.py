"""Definitions of tables, columns, relationships and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dataverse_in_memory import Crm

CRM = "Microsoft.Dynamics.CRM."
TABLES = {
    "account": ("accounts", "accountid", "name"),
    "contact": ("contacts", "contactid", "fullname"),
    "opportunity": ("opportunities", "opportunityid", "name"),
    "opportunityproduct": ("opportunityproducts", "opportunityproductid", "opportunityproductname"),
    "opportunityclose": ("opportunitycloses", "activityid", "subject"),
    "invoice": ("invoices", "invoiceid", "name"),
    "salesorder": ("salesorders", "salesorderid", "name"),
    "transactioncurrency": ("transactioncurrencies", "transactioncurrencyid", "currencyname"),
    "uom": ("uoms", "uomid", "name"),
}
XERO_COLUMNS = {
    "new_xeroinvoiceid": ("String", 100), "new_xeroinvoicenumber": ("String", 100), "new_xerostatus": ("String", 50),
    "new_xerolink": ("String", 500), "new_xeroamountpaid": ("Money", None), "new_xeroamountdue": ("Money", None),
    "new_xeropaidon": ("DateTime", None),
}  # fmt: skip


@pytest.mark.parametrize("table", sorted(TABLES))
def test_tables_can_be_looked_up_by_name(crm: Crm, table: str) -> None:
    """By filter and by address; the set's name is not the table's."""
    query = "$select=LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute"
    (listed,) = crm.get(f"EntityDefinitions?{query}&$filter=LogicalName eq '{table}'").value
    addressed = crm.get(f"EntityDefinitions(LogicalName='{table}')?{query}").document
    assert (listed["EntitySetName"], listed["PrimaryIdAttribute"], listed["PrimaryNameAttribute"]) == TABLES[table]
    assert listed["MetadataId"] == addressed["MetadataId"]
    assert crm.get(f"EntityDefinitions({listed['MetadataId']})").document["LogicalName"] == table


def test_every_table_is_listed_and_answers(crm: Crm) -> None:
    """What the definitions name can be read."""
    for definition in crm.get("EntityDefinitions?$filter=IsPrivate eq false and IsCustomizable/Value eq true").value:
        assert crm.get(f"{definition['EntitySetName']}?$top=1").status == 200


def test_an_unknown_table(crm: Crm) -> None:
    """404 by address, an empty list by filter."""
    assert crm.get("EntityDefinitions(LogicalName='nope')").status == 404
    assert crm.get("EntityDefinitions?$filter=LogicalName eq 'nope'").value == []


@pytest.mark.parametrize("table", ["opportunity", "invoice", "salesorder"])
def test_the_columns_for_the_write_back_are_there(crm: Crm, table: str) -> None:
    """Custom columns with their types and lengths."""
    columns = {
        column["LogicalName"]: column
        for column in crm.get(f"EntityDefinitions(LogicalName='{table}')/Attributes").value
    }
    for name, (kind, length) in XERO_COLUMNS.items():
        assert (columns[name]["AttributeType"], columns[name].get("MaxLength")) == (kind, length)
        assert columns[name]["IsCustomAttribute"] is True
    assert columns["totalamount"]["IsValidForCreate"] is False
    assert columns["customerid"]["AttributeType"] == "Customer"


def test_columns_by_kind(crm: Crm) -> None:
    """A cast narrows and brings the members of that kind."""
    path = "EntityDefinitions(LogicalName='opportunity')/Attributes"
    lookups = crm.get(f"{path}/{CRM}LookupAttributeMetadata?$select=LogicalName,Targets").value
    assert {"LogicalName": "customerid", "Targets": ["account", "contact"]}.items() <= next(
        column for column in lookups if column["LogicalName"] == "customerid"
    ).items()
    picks = crm.get(
        f"{path}/{CRM}PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    ).value
    rating = next(column for column in picks if column["LogicalName"] == "opportunityratingcode")
    assert [option["Label"]["UserLocalizedLabel"]["Label"] for option in rating["OptionSet"]["Options"]] == [
        "Hot",
        "Warm",
        "Cold",
    ]
    status = crm.get(
        f"{path}(LogicalName='statuscode')/{CRM}StatusAttributeMetadata?$select=LogicalName&$expand=OptionSet"
    ).document
    assert [(option["Value"], option["State"]) for option in status["OptionSet"]["Options"]] == [
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 2),
        (5, 2),
    ]
    assert crm.get(f"{path}/{CRM}NopeMetadata").status == 404


def test_relationships_name_the_navigation_to_bind_by(crm: Crm) -> None:
    """In both directions."""
    many = crm.get("EntityDefinitions(LogicalName='opportunity')/ManyToOneRelationships").value
    names = {
        (row["ReferencingAttribute"], row["ReferencedEntity"]): row["ReferencingEntityNavigationPropertyName"]
        for row in many
    }
    assert names["customerid", "account"] == "customerid_account"
    assert names["pricelevelid", "pricelevel"] == "pricelevelid"
    back = crm.get("EntityDefinitions(LogicalName='opportunity')/OneToManyRelationships").value
    assert "product_opportunities" in {row["ReferencedEntityNavigationPropertyName"] for row in back}


def column(kind: str, name: str, **members: Any) -> dict[str, Any]:
    """Describe a new column."""
    label = {"LocalizedLabels": [{"Label": name, "LanguageCode": 1033}]}
    return {"@odata.type": f"{CRM}{kind}AttributeMetadata", "SchemaName": name, "DisplayName": label, **members}


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        (column("String", "new_Code", MaxLength=5), "abcde", "abcdef"),
        (column("Memo", "new_Story", MaxLength=10), "x", "x" * 11),
        (column("Integer", "new_Count", MinValue=0, MaxValue=9), 9, 10),
        (column("Decimal", "new_Rate", Precision=2, MinValue=0, MaxValue=1), 0.5, 2),
        (column("Money", "new_Fee"), 1.5, "1.5"),
        (column("Boolean", "new_Flag", DefaultValue=False), True, "x"),
        (
            column("DateTime", "new_On", Format="DateOnly", DateTimeBehavior={"Value": "DateOnly"}),
            "2026-11-22",
            "2026-11-22T01:00:00Z",
        ),
        (column("DateTime", "new_At", Format="DateAndTime"), "2026-11-22T01:00:00Z", "soon"),
    ],
)
def test_columns_can_be_created_and_used_at_once(crm: Crm, body: dict[str, Any], good: Any, bad: Any) -> None:
    """With the limits that their definition sets."""
    made = crm.post("EntityDefinitions(LogicalName='account')/Attributes", body)
    assert (made.status, "/Attributes(" in made.headers["OData-EntityId"]) == (204, True)
    name = body["SchemaName"].lower()
    account = crm.create("accounts", {"name": "A", name: good})
    assert crm.get(f"accounts({account})?$select={name}").document[name] == good
    assert crm.patch(f"accounts({account})", {name: bad}).status == 400
    assert len(crm.get("accounts?$filter=" + f"{name} ne null").value) >= 1
    again = crm.post("EntityDefinitions(LogicalName='account')/Attributes", body)
    assert (again.status, again.code) == (400, "0x80047013")


def test_custom_columns_can_be_deleted_others_not(crm: Crm) -> None:
    """A system column is here to stay."""
    path = "EntityDefinitions(LogicalName='opportunity')/Attributes"
    assert crm.delete(f"{path}(LogicalName='new_xerolink')").status == 204
    assert crm.get("opportunities?$select=new_xerolink").status == 400
    assert crm.delete(f"{path}(LogicalName='name')").status == 400
    assert crm.delete(f"{path}(LogicalName='nope')").status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (column("String", "noprefix"), 400),
        (column("Picklist", "new_Pick"), 501),
        ({"SchemaName": "new_X"}, 501),
    ],
)
def test_columns_that_cannot_be_created(crm: Crm, body: dict[str, Any], status: int) -> None:
    """A publisher's prefix is needed; kinds we do not simulate say so."""
    assert crm.post("EntityDefinitions(LogicalName='account')/Attributes", body).status == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"SchemaName": "new_A", "KeyAttributes": ["description"]}, "0x80060890"),
        ({"SchemaName": "new_A", "KeyAttributes": ["nope"]}, "0x80060890"),
        ({"SchemaName": "new_A", "KeyAttributes": []}, "0x80040203"),
        ({"SchemaName": "new_Taken", "KeyAttributes": ["name"]}, "0x80060893"),
        ({"SchemaName": "new_B", "KeyAttributes": ["accountnumber"]}, "0x80060894"),
    ],
)
def test_keys_that_cannot_be_created(crm: Crm, body: dict[str, Any], code: str) -> None:
    """Wrong columns and clashes."""
    path = "EntityDefinitions(LogicalName='account')/Keys"
    assert crm.post(path, {"SchemaName": "new_Taken", "KeyAttributes": ["accountnumber"]}).status == 204
    refused = crm.post(path, body)
    assert (refused.status, refused.code) == (400, code)


def test_keys_can_be_deleted(crm: Crm) -> None:
    """Then the values are free again."""
    path = "EntityDefinitions(LogicalName='account')/Keys"
    key = crm.post(path, {"SchemaName": "new_K", "KeyAttributes": ["accountnumber"]}).row_id
    crm.pass_time(2)
    assert crm.delete(f"{path}({key})").status == 204
    assert crm.get(path).value == []
    for _ in range(2):
        crm.create("accounts", {"name": "A", "accountnumber": "same"})


@pytest.mark.parametrize("query", ["$orderby=LogicalName", "$top=1", "$count=true"])
def test_definitions_are_never_ordered_or_cut(crm: Crm, query: str) -> None:
    """Refused, as the vendor does."""
    assert crm.get(f"EntityDefinitions?{query}").status == 400
