"""Writing: creates, updates, upserts, versions, associations, deletes, bulk messages."""

from __future__ import annotations

from typing import Any

import pytest

from dataverse_in_memory import ROOT, Crm, write_in

NOBODY = "11111111-1111-1111-1111-111111111111"
LABEL = {"LocalizedLabels": [{"Label": "External id", "LanguageCode": 1033}]}


def add_key(crm: Crm, *columns: str, table: str = "account") -> None:
    """Create an alternate key and wait until it can be used."""
    name = f"new_Key{len(crm.get(f'EntityDefinitions(LogicalName={table!r})/Keys').value)}"
    body = {"SchemaName": name, "DisplayName": LABEL, "KeyAttributes": list(columns)}
    assert crm.post(f"EntityDefinitions(LogicalName='{table}')/Keys", body).status == 204
    crm.pass_time(2)


def test_create_answers_204_with_the_address(crm: Crm) -> None:
    """The id is in two headers and the row is there, with what the platform sets itself."""
    made = crm.post(
        "accounts", {"name": "A", "creditlimit": 50000.25, "preferredcontactmethodcode": 2, "donotemail": True}
    )
    assert made.status == 204
    assert made.headers["OData-EntityId"] == made.headers["Location"] == f"{ROOT}/accounts({made.row_id})"
    row = crm.get(f"accounts({made.row_id})").document
    assert (row["statecode"], row["statuscode"], row["donotemail"], row["donotphone"]) == (0, 1, True, False)
    assert row["_transactioncurrencyid_value"] == crm.currency("NZD")
    assert row["_ownerid_value"] == row["_createdby_value"] == row["_owninguser_value"]


def test_return_representation_answers_201_with_the_row(crm: Crm) -> None:
    """`$select` applies, and there is no OData-EntityId then."""
    made = crm.post("accounts?$select=name", {"name": "A"}, prefer="return=representation")
    assert made.status == 201
    assert made.document["name"] == "A"
    assert "revenue" not in made.document
    assert "OData-EntityId" not in made.headers
    changed = crm.patch(
        f"accounts({made.document['accountid']})?$select=name", {"name": "B"}, prefer="return=representation"
    )
    assert (changed.status, changed.document["name"]) == (200, "B")


def test_the_client_may_choose_the_id_once(crm: Crm) -> None:
    """A create with a known id is idempotent: the second one is a duplicate."""
    assert crm.post("accounts", {"accountid": NOBODY, "name": "A"}).row_id == NOBODY
    again = crm.post("accounts", {"accountid": NOBODY, "name": "A"})
    assert (again.status, again.code, again.message) == (412, "0x80040237", "Cannot insert duplicate key.")


def test_binds_accept_every_spelling_of_an_address(crm: Crm) -> None:
    """With and without slash, absolute; null clears."""
    person = crm.world.people[0].id
    account = crm.create("accounts", {"name": "A", "primarycontactid@odata.bind": f"/contacts({person})"})
    for address in (f"contacts({person})", f"{ROOT}/contacts({person})", None):
        crm.patch(f"accounts({account})", {"primarycontactid@odata.bind": address})
        found = crm.get(f"accounts({account})?$select=_primarycontactid_value").document
        assert found["_primarycontactid_value"] == (person if address else None)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"nme": "x"}, "0x80048d19", "Invalid property 'nme' was found in entity 'Microsoft.Dynamics.CRM.account'."),
        (
            {"primaryContactId@odata.bind": f"/contacts({NOBODY})"},
            "0x80048d19",
            "An undeclared property 'primaryContactId'",
        ),
        ({"_primarycontactid_value": NOBODY}, "0x80048d19", "is read-only"),
        ({"primarycontactid@odata.bind": f"/accounts({NOBODY})"}, "0x80040217", "account With Id"),
        (
            {"primarycontactid@odata.bind": f"/contacts({NOBODY})"},
            "0x80040217",
            f"contact With Id = {NOBODY} Does Not Exist",
        ),
        ({"primarycontactid@odata.bind": "/nowhere(x)"}, "0x8006088a", "Resource not found for the segment 'nowhere'."),
        ({"primarycontactid@odata.bind": 5}, "0x80048d19", "must be the address of one record"),
        ({"name": "x" * 161}, "0x80044331", "exceeded the maximum allowed length of '160'"),
        ({"name": 5}, "0x80048d19", "as a quoted JSON string value"),
        ({"creditlimit": "5"}, "0x80048d19", "to the expected type 'Edm.Decimal'"),
        ({"creditlimit": 1e18}, "0x80044330", "is outside the valid range"),
        ({"numberofemployees": -1}, "0x8004432f", "is outside the valid range 0 to 1000000000"),
        ({"numberofemployees": 1.5}, "0x80048d19", "Edm.Int32"),
        ({"customertypecode": 99}, "0x8004431a", "Accepted Values: 1,2,3"),
        ({"donotemail": "yes"}, "0x80048d19", "Edm.Boolean"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(crm: Crm, body: dict[str, Any], code: str, text: str) -> None:
    """The code says what kind of fault it is, the text where."""
    refused = crm.post("accounts", body)
    assert refused.status == (404 if code in {"0x80040217", "0x8006088a"} else 400)
    assert refused.code == code
    assert text in refused.message


def test_a_bind_to_another_table_than_the_navigation_takes_is_refused(crm: Crm) -> None:
    """A company cannot be a primary contact."""
    refused = crm.post("accounts", {"primarycontactid@odata.bind": f"/accounts({crm.world.companies[0].id})"})
    assert (refused.status, refused.code) == (400, "0x80048d19")


def test_dates(crm: Crm) -> None:
    """True dates, moments in UTC, and the oldest that SQL takes."""
    deal = crm.deal([write_in(1)], estimatedclosedate="2026-12-24")
    assert crm.get(f"opportunities({deal})").document["estimatedclosedate"] == "2026-12-24"
    order = {
        "name": "O",
        "pricelevelid@odata.bind": f"/pricelevels({crm.price_list('NZD')})",
        "submitdate": "2026-03-01T12:00:00+13:00",
    }
    made = crm.create("salesorders", order)
    assert crm.get(f"salesorders({made})").document["submitdate"] == "2026-02-28T23:00:00Z"
    assert crm.patch(f"opportunities({deal})", {"estimatedclosedate": "1700-01-01"}).code == "0x80040239"
    assert crm.patch(f"opportunities({deal})", {"estimatedclosedate": "soon"}).status == 400


def test_what_the_platform_sets_is_ignored_when_sent(crm: Crm) -> None:
    """Totals, times and versions cannot be imposed."""
    deal = crm.deal([write_in(10)])
    body = {
        "totalamount": 5,
        "versionnumber": 1,
        "createdon": "2020-01-01T00:00:00Z",
        "totalamount_base": 5,
        "exchangerate": 9,
    }
    assert crm.patch(f"opportunities({deal})", body).status == 204
    row = crm.get(f"opportunities({deal})").document
    assert (row["totalamount"], row["exchangerate"]) == (10, 1)
    assert not row["createdon"].startswith("2020")


def test_deep_inserts_create_the_whole_graph_or_nothing(crm: Crm) -> None:
    """Nested records in both directions, in one transaction."""
    body = {
        "name": "Deep",
        "primarycontactid": {"firstname": "First", "lastname": "Contact"},
        "contact_customer_accounts": [{"firstname": "One", "lastname": "Member"}, {"lastname": "Other"}],
    }
    account = crm.create("accounts", body)
    row = crm.get(
        f"accounts({account})?$expand=primarycontactid($select=fullname),contact_customer_accounts($select=fullname)"
    )
    assert row.document["primarycontactid"]["fullname"] == "First Contact"
    assert {member["fullname"] for member in row.document["contact_customer_accounts"]} == {"One Member", "Other"}
    before = crm.get("contacts/$count").body
    body["contact_customer_accounts"] = [{"lastname": "Fine"}, {"lastname": "x" * 51}]
    assert crm.post("accounts", body).code == "0x80044331"
    assert crm.get("contacts/$count").body == before


def test_every_update_makes_a_new_version(crm: Crm) -> None:
    """Even an update to the same values."""
    path = f"accounts({crm.world.companies[0].id})"
    first = crm.get(path).document
    crm.pass_time(5)
    crm.patch(path, {"name": first["name"]})
    second = crm.get(path).document
    assert second["versionnumber"] > first["versionnumber"]
    assert second["@odata.etag"] != first["@odata.etag"]
    assert second["modifiedon"] > first["modifiedon"]


def test_if_match_protects_from_lost_updates(crm: Crm) -> None:
    """An old version is refused for updates and deletes, `*` means that the row must exist."""
    path = f"accounts({crm.create('accounts', {'name': 'A'})})"
    old = crm.get(path).document["@odata.etag"]
    assert crm.patch(path, {"name": "B"}, if_match=old).status == 204
    for refused in (crm.patch(path, {"name": "C"}, if_match=old), crm.delete(path, if_match=old)):
        assert (refused.status, refused.code) == (412, "0x80060882")
    assert crm.get(path).document["name"] == "B"
    assert crm.patch(path, {"name": "D"}, if_match="*").status == 204
    gone = crm.patch(f"accounts({NOBODY})", {"name": "E"}, if_match="*")
    assert (gone.status, gone.code) == (404, "0x80040217")


def test_a_patch_without_if_match_creates_what_is_missing(crm: Crm) -> None:
    """PATCH is an upsert; `If-None-Match: *` makes it create only."""
    assert crm.patch(f"accounts({NOBODY})", {"name": "A"}).status == 204
    assert crm.get(f"accounts({NOBODY})").document["name"] == "A"
    refused = crm.patch(f"accounts({NOBODY})", {"name": "B"}, if_none_match="*")
    assert (refused.status, refused.message) == (412, "A record with matching key values already exists.")


def test_upsert_by_alternate_key(crm: Crm) -> None:
    """The key's values go from the address into the new row; the second time it is an update."""
    add_key(crm, "accountnumber")
    path = "accounts(accountnumber='X''1')"
    assert crm.get(path).code == "0x80060891"
    assert crm.patch(path, {"name": "A"}, prefer="return=representation").status == 201
    assert crm.patch(path, {"name": "B"}, prefer="return=representation").status == 200
    row = crm.get(path).document
    assert (row["accountnumber"], row["name"]) == ("X'1", "B")
    contact = crm.create("contacts", {"lastname": "C", "parentcustomerid_account@odata.bind": f"/{path}"})
    assert crm.get(f"contacts({contact})").document["_parentcustomerid_value"] == row["accountid"]
    assert crm.delete(path).status == 204


def test_an_alternate_key_is_unique_and_its_values_fold_case(crm: Crm) -> None:
    """Creates and updates that double a value are refused."""
    add_key(crm, "accountnumber")
    crm.create("accounts", {"name": "A", "accountnumber": "K-1"})
    refused = crm.post("accounts", {"name": "B", "accountnumber": "k-1"})
    assert (refused.status, refused.code) == (412, "0x80060892")
    assert "Entity Key new_Key0 violated." in refused.message
    other = crm.create("accounts", {"name": "C"})
    assert crm.patch(f"accounts({other})", {"accountnumber": "K-1"}).code == "0x80060892"
    assert crm.patch(f"accounts({other})", {"accountnumber": "K-2"}).status == 204


def test_an_alternate_key_works_only_once_its_index_is_built(crm: Crm) -> None:
    """Until then, and when rows share values, an address with it is refused."""
    body = {"SchemaName": "new_ByName", "DisplayName": LABEL, "KeyAttributes": ["accountnumber"]}
    assert crm.post("EntityDefinitions(LogicalName='account')/Keys", body).status == 204
    early = crm.get("accounts(accountnumber='x')")
    assert early.status == 400
    assert "The key in the request URI is not valid for resource" in early.message
    crm.pass_time(2)
    key = crm.get(
        "EntityDefinitions(LogicalName='account')/Keys?$select=SchemaName,KeyAttributes,EntityKeyIndexStatus"
    ).value[0]
    assert (key["KeyAttributes"], key["EntityKeyIndexStatus"]) == (["accountnumber"], "Active")
    add_key(crm, "address1_country")
    assert [key["EntityKeyIndexStatus"] for key in crm.get("EntityDefinitions(LogicalName='account')/Keys").value] == [
        "Active",
        "Failed",
    ]
    assert crm.get("accounts(address1_country='x')").status == 400


def test_keys_of_several_columns_and_of_lookups(crm: Crm) -> None:
    """Every part must be given."""
    add_key(crm, "emailaddress1", "parentcustomerid", table="contact")
    company = crm.world.companies[0].id
    path = f"contacts(emailaddress1='a@b.example',_parentcustomerid_value={company})"
    assert crm.get("contacts(emailaddress1='a@b.example')").status == 400
    assert crm.get(path).code == "0x80060891"
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({company})"}
    made = crm.create("contacts", {"lastname": "X", "emailaddress1": "a@b.example", **bind})
    assert crm.get(path).document["contactid"] == made


def test_associating_and_disassociating(crm: Crm) -> None:
    """Through `$ref`, from both ends."""
    account, contact = crm.create("accounts", {"name": "A"}), crm.create("contacts", {"lastname": "C"})

    def parent() -> Any:
        return crm.get(f"contacts({contact})").document["_parentcustomerid_value"]

    collection = f"accounts({account})/contact_customer_accounts"
    assert crm.post(f"{collection}/$ref", {"@odata.id": f"{ROOT}/contacts({contact})"}).status == 204
    assert parent() == account
    assert crm.delete(f"{collection}({contact})/$ref").status == 204
    assert parent() is None
    assert (
        crm.ask(
            "PUT", f"contacts({contact})/parentcustomerid_account/$ref", {"@odata.id": f"accounts({account})"}
        ).status
        == 204
    )
    assert parent() == account
    assert crm.delete(f"contacts({contact})/parentcustomerid_contact/$ref").status == 204
    assert parent() == account
    assert crm.delete(f"{collection}/$ref?$id={ROOT}/contacts({contact})").status == 204
    assert parent() is None


def test_single_properties_can_be_set_and_cleared(crm: Crm) -> None:
    """PUT and DELETE of one column."""
    account = crm.create("accounts", {"name": "A", "description": "D"})
    assert crm.ask("PUT", f"accounts({account})/name", {"value": "B"}).status == 204
    assert crm.delete(f"accounts({account})/description").status == 204
    row = crm.get(f"accounts({account})").document
    assert (row["name"], row["description"]) == ("B", None)


def test_deletes_cascade_release_or_are_refused(crm: Crm) -> None:
    """Lines go with their deal, contacts lose their company, a product in use stays."""
    product = next(line.product_id for deal in crm.world.deals for line in deal.lines if line.product_id)
    refused = crm.delete(f"products({product})")
    assert (refused.status, refused.code) == (405, "0x80040227")
    deal = crm.deal([write_in(1), write_in(2)])
    lines = [line["opportunityproductid"] for line in crm.get(f"opportunities({deal})/product_opportunities").value]
    assert crm.delete(f"opportunities({deal})").status == 204
    assert [crm.get(f"opportunityproducts({line})").status for line in lines] == [404, 404]
    account = crm.create("accounts", {"name": "A", "contact_customer_accounts": [{"lastname": "C"}]})
    contact = crm.get(f"accounts({account})/contact_customer_accounts").value[0]["contactid"]
    assert crm.delete(f"accounts({account})").status == 204
    assert crm.get(f"contacts({contact})").document["_parentcustomerid_value"] is None
    assert crm.delete(f"accounts({account})").status == 404


def test_bulk_messages_are_all_or_nothing(crm: Crm) -> None:
    """CreateMultiple gives ids, UpdateMultiple and UpsertMultiple nothing; one bad row undoes all."""
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.account"}

    def bulk(message: str, *targets: Any) -> Any:
        return crm.post(
            f"accounts/Microsoft.Dynamics.CRM.{message}", {"Targets": [{**kind, **target} for target in targets]}
        )

    ids = bulk("CreateMultiple", {"name": "A"}, {"name": "B"}).document["Ids"]
    assert bulk("UpdateMultiple", {"accountid": ids[0], "name": "C"}, {"accountid": ids[1], "name": "D"}).status == 204
    assert [crm.get(f"accounts({row_id})").document["name"] for row_id in ids] == ["C", "D"]
    assert bulk("UpdateMultiple", {"accountid": ids[0], "name": "E"}, {"accountid": NOBODY, "name": "F"}).status == 404
    assert crm.get(f"accounts({ids[0]})").document["name"] == "C"
    add_key(crm, "accountnumber")
    assert (
        bulk(
            "UpsertMultiple",
            {"@odata.id": "accounts(accountnumber='N')", "name": "G"},
            {"accountid": ids[0], "name": "H"},
        ).status
        == 204
    )
    assert crm.get("accounts(accountnumber='N')").document["name"] == "G"
    assert crm.get(f"accounts({ids[0]})").document["name"] == "H"
    assert crm.post("accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [{"name": "A"}]}).status == 400


def test_missing_privileges_are_refused_for_the_app_only(crm: Crm) -> None:
    """The text names the privilege, so that an administrator can grant it."""
    crm.settings.deny = frozenset({"prvCreateAccount", "prvReadInvoice"})
    assert crm.post("accounts", {"name": "A"}).status == 204
    crm.as_app()
    refused = crm.post("accounts", {"name": "A"})
    assert (refused.status, refused.code) == (403, "0x80040220")
    assert f"Principal user (Id={crm.settings.app_user_id}" in refused.message
    assert "is missing prvCreateAccount privilege" in refused.message
    assert crm.get("invoices").status == 403
    assert crm.get("accounts?$top=1").status == 200
