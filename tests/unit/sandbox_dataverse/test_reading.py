"""Reading: queries, paging, expansion, annotations."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dataverse_in_memory import ROOT, Crm, write_in


def test_who_am_i_names_the_human_for_the_tools_token_and_the_application_user_for_the_app(crm: Crm) -> None:
    """Echo suppression needs to know one's own user."""
    human = crm.get("WhoAmI").document["UserId"]
    app = crm.as_app().get("WhoAmI()").document["UserId"]
    assert app == crm.settings.app_user_id
    assert human != app


def test_a_record_shows_its_key_etag_and_lookups_as_ids(crm: Crm) -> None:
    """The primary key and the etag come whatever is selected."""
    person = next(person for person in crm.world.people if person.company_id)
    record = crm.get(f"contacts({person.id})?$select=fullname,_parentcustomerid_value").document
    assert record["contactid"] == person.id
    assert record["fullname"] == f"{person.first_name} {person.last_name}"
    assert record["_parentcustomerid_value"] == person.company_id
    assert record["@odata.etag"].startswith('W/"')
    assert record["@odata.context"] == f"{ROOT}/$metadata#contacts(fullname,_parentcustomerid_value)/$entity"


def test_without_select_all_columns_come_and_nulls_are_null(crm: Crm) -> None:
    """The Web API returns nulls."""
    record = crm.get(f"accounts({crm.world.companies[0].id})").document
    assert record["websiteurl"] is None
    assert "_ownerid_value" in record
    assert "_owninguser_value" in record
    assert record["address1_composite"].startswith(crm.world.companies[0].line1)


def test_money_is_a_number_with_its_own_digits(crm: Crm) -> None:
    """Amounts are JSON numbers with the scale of the SQL type, and have a twin in the base currency."""
    deal = crm.deal([write_in(100.10, 3)], code="USD")
    answer = crm.get(f"opportunities({deal})?$select=totalamount,totalamount_base,exchangerate")
    assert b'"totalamount":300.3000' in answer.body
    record = answer.document
    assert record["totalamount_base"] == (Decimal("300.3") / record["exchangerate"]).quantize(Decimal("0.0001"))


def test_annotations_come_on_demand(crm: Crm) -> None:
    """Formatted values, the table of a lookup and the name to bind it by."""
    path = f"opportunities({crm.world.deals[0].id})?$select=statecode,totalamount,_customerid_value"
    plain = crm.get(path).document
    rich = crm.get(path, prefer='odata.include-annotations="*"').document
    assert not any("@OData" in name or "@Microsoft" in name for name in plain)
    assert rich["statecode@OData.Community.Display.V1.FormattedValue"] == "Open"
    assert rich["_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] in {"account", "contact"}
    assert rich["_customerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"].startswith("customerid_")
    assert rich["totalamount@OData.Community.Display.V1.FormattedValue"].startswith(("$", "A$", "US$", "£", "€"))


def test_only_the_annotations_asked_for_come(crm: Crm) -> None:
    """A list of names is honoured."""
    path = f"opportunities({crm.world.deals[0].id})?$select=_customerid_value"
    names = crm.get(path, prefer='odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"').document
    assert [name for name in names if "@Microsoft" in name] == [
        "_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name eq 'alpha'", {"Alpha"}),
        ("name ne 'alpha'", {"Beta", "Gamma's"}),
        ("name eq 'Gamma''s'", {"Gamma's"}),
        ("contains(name,'A') and not startswith(name,'al')", {"Beta", "Gamma's"}),
        ("endswith(name,'a')", {"Alpha", "Beta"}),
        ("creditlimit gt 10 and creditlimit le 20.5", {"Beta"}),
        ("creditlimit eq null", {"Gamma's"}),
        ("creditlimit ne null", {"Alpha", "Beta"}),
        ("creditlimit ne 10", {"Beta", "Gamma's"}),
        ("creditonhold eq true or (numberofemployees ge 7 and name ne 'x')", {"Alpha", "Beta"}),
        ("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['alpha','BETA'])", {"Alpha", "Beta"}),
        ("Microsoft.Dynamics.CRM.NotIn(PropertyName='name',PropertyValues=['alpha','BETA'])", {"Gamma's"}),
        ('Microsoft.Dynamics.CRM.Between(PropertyName=\'creditlimit\',PropertyValues=["5","15"])', {"Alpha"}),
        ("Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=2)", {"Alpha", "Beta", "Gamma's"}),
        ("Microsoft.Dynamics.CRM.Today(PropertyName='createdon')", {"Alpha", "Beta", "Gamma's"}),
        ("Microsoft.Dynamics.CRM.OnOrBefore(PropertyName='createdon',PropertyValue='2020-01-01')", set()),
        ("Microsoft.Dynamics.CRM.EqualUserId(PropertyName='ownerid')", {"Alpha", "Beta", "Gamma's"}),
        ("primarycontactid/fullname eq 'Pat Doe'", {"Alpha"}),
        ("contact_customer_accounts/any(c:c/lastname eq 'Doe')", {"Beta"}),
        ("10 eq creditlimit", {"Alpha"}),
        ("name eq @wanted&@wanted='beta'", {"Beta"}),
    ],
)
def test_filters_find_what_they_say(crm: Crm, condition: str, expected: set[str]) -> None:
    """Texts compare without case; `ne` finds nulls; functions, paths and lambdas work."""
    alpha = {"name": "Alpha", "accountnumber": "T", "creditlimit": 10, "numberofemployees": 7, "creditonhold": False}
    crm.create("accounts", {**alpha, "primarycontactid": {"firstname": "Pat", "lastname": "Doe"}})
    beta = {"name": "Beta", "accountnumber": "T", "creditlimit": 20.5, "creditonhold": True}
    crm.create("accounts", {**beta, "contact_customer_accounts": [{"firstname": "Al", "lastname": "Doe"}]})
    crm.create("accounts", {"name": "Gamma's", "accountnumber": "T"})
    condition, _, alias = condition.partition("&")
    query = f"accounts?$select=name&$filter=accountnumber eq 'T' and ({condition})" + (f"&{alias}" if alias else "")
    assert {row["name"] for row in crm.get(query).value} == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("$filter=Name eq 'x'", "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'."),
        ("$select=nme", "Could not find a property named 'nme'"),
        ("$filter=name eq", "Syntax error at position"),
        ("$filter=name eq 5", "A binary operator with incompatible types was detected"),
        ("$filter=creditlimit eq 'x'", "Found operand types 'Edm.Decimal' and 'Edm.String'"),
        ("$filter=tolower(name) eq 'x'", "An unknown function with name 'tolower' was found."),
        ("$filter=Microsoft.Dynamics.CRM.Nope(PropertyName='name')", "An unknown function"),
        (
            "$filter=Microsoft.Dynamics.CRM.In(PropertyName='accountid',PropertyValues=['x'])",
            "Cannot convert the literal",
        ),
        ("$filter=name gt creditlimit", "A binary operator with incompatible types was detected"),
        ("$filter=Microsoft.Dynamics.CRM.Between(PropertyName='creditlimit',PropertyValues=['1'])", "needs two values"),
        ("$filter=Microsoft.Dynamics.CRM.Between(PropertyName='name',PropertyValues=[1,2])", "incompatible types"),
        ("$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='name',PropertyValue=1)", "that hold dates only"),
        ("$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue='x')", "a whole number"),
        ("$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=99999999)", "a whole number"),
        ("$filter=Microsoft.Dynamics.CRM.On(PropertyName='createdon',PropertyValue=null)", "a date as its"),
        ("$filter='x'", "must evaluate to a single boolean value"),
        ("$orderby=name up", "Syntax error in '$orderby'"),
        ("$orderby=nme", "Could not find a property named 'nme'"),
        ("$expand=nope", "Could not find a property named 'nope'"),
        ("$expand=contact_customer_accounts/$ref", "Expand with $ref is only supported on lookup type"),
        ("$skip=1", "Skip Clause is not supported in CRM"),
        ("$top=x", "requires a non-negative integer value"),
        ("$search=x", "is not supported"),
        ("$skiptoken=x", "Invalid skip token"),
    ],
)
def test_what_the_parser_does_not_take_is_refused(crm: Crm, query: str, text: str) -> None:
    """Each refusal is a 400 in the vendor's envelope that names the fault."""
    refused = crm.get(f"accounts?{query}")
    assert refused.status == 400
    assert text in refused.message


def test_names_are_case_sensitive(crm: Crm) -> None:
    """A set by another case is no resource."""
    refused = crm.get("Accounts")
    assert (refused.status, refused.code) == (404, "0x8006088a")
    assert refused.message == "Resource not found for the segment 'Accounts'."


def test_pages_follow_each_other_without_gap_or_repetition(crm: Crm) -> None:
    """The next link carries the place, the page size must be sent again."""
    seen, path = [], "accounts?$select=name"
    while path:
        page = crm.get(path, prefer="odata.maxpagesize=7").document
        assert len(page["value"]) <= 7
        seen += [row["accountid"] for row in page["value"]]
        path = page.get("@odata.nextLink", "").removeprefix(f"{ROOT}/")
    assert seen == sorted(company.id for company in crm.world.companies)


def test_ordered_and_filtered_pages_follow_each_other_too(crm: Crm) -> None:
    """Paging works under an order that is not the key's."""
    seen, path = [], "contacts?$select=fullname&$orderby=lastname desc,contactid&$filter=statecode eq 0&$count=true"
    while path:
        page = crm.get(path, prefer="odata.maxpagesize=4").document
        assert page["@odata.count"] == len(crm.world.people)
        seen += [row["fullname"].split()[-1].casefold() for row in page["value"]]
        path = page.get("@odata.nextLink", "").removeprefix(f"{ROOT}/")
    assert len(seen) == len(crm.world.people)
    assert seen == sorted(seen, reverse=True)


def test_top_and_count(crm: Crm) -> None:
    """`$top` limits and makes no next link; counts are plain numbers."""
    answer = crm.get("accounts?$top=3&$count=true", prefer="odata.maxpagesize=2")
    assert len(answer.value) == 3
    assert answer.document["@odata.count"] == len(crm.world.companies)
    assert "@odata.nextLink" not in answer.document
    assert crm.get("accounts/$count").body == str(len(crm.world.companies)).encode()


def test_expansion_of_lines_customer_and_nested_lookups(crm: Crm) -> None:
    """One call brings a deal with everything that an invoice needs."""
    deal = next(deal for deal in crm.world.deals if not deal.customer_is_person and deal.lines[0].product_id)
    query = (
        "$select=name&$expand=product_opportunities($select=quantity,tax;$expand=productid($select=productnumber);$orderby=sequencenumber)"
        ",customerid_account($select=name;$expand=primarycontactid($select=fullname)),customerid_contact,"
        "transactioncurrencyid($select=isocurrencycode),opportunity_invoices($select=name)"
    )
    record = crm.get(f"opportunities({deal.id})?{query}").document
    numbers = [line["productid"]["productnumber"] for line in record["product_opportunities"] if line["productid"]]
    products = {product.id: product.number for product in crm.world.products}
    assert numbers == [products[line.product_id] for line in deal.lines if line.product_id]
    assert record["customerid_account"]["accountid"] == deal.customer_id
    assert record["customerid_contact"] is None
    assert record["transactioncurrencyid"]["isocurrencycode"] == deal.currency
    assert record["opportunity_invoices"] == []


def test_more_than_fifteen_expansions_are_refused(crm: Crm) -> None:
    """The vendor's limit."""
    one = "primarycontactid($expand=parentcustomerid_account)"
    assert crm.get(f"accounts?$expand={','.join([one] * 7)}").status == 200
    assert crm.get(f"accounts?$expand={','.join([one] * 8)}").status == 400


def test_single_properties_related_records_and_counts_have_addresses(crm: Crm) -> None:
    """Paths below a record."""
    person = next(person for person in crm.world.people if person.company_id)
    assert crm.get(f"contacts({person.id})/lastname").document["value"] == person.last_name
    assert crm.get(f"contacts({person.id})/lastname/$value").body == person.last_name.encode()
    assert crm.get(f"contacts({person.id})/jobtitle").status == 204
    assert crm.get(f"contacts({person.id})/parentcustomerid_account").document["accountid"] == person.company_id
    assert crm.get(f"contacts({person.id})/parentcustomerid_contact").status == 204
    people = crm.get(f"accounts({person.company_id})/contact_customer_accounts?$select=fullname").value
    assert person.id in {row["contactid"] for row in people}
    assert crm.get(f"accounts({person.company_id})/contact_customer_accounts/$count").body == str(len(people)).encode()
    assert crm.get(f"contacts({person.id})/nope").status == 404


def test_a_row_that_is_not_there(crm: Crm) -> None:
    """The text names the table and the id."""
    missing = crm.get("accounts(11111111-1111-1111-1111-111111111111)")
    assert (missing.status, missing.code) == (404, "0x80040217")
    assert missing.message == "account With Id = 11111111-1111-1111-1111-111111111111 Does Not Exist"


def test_a_conditional_get_answers_304_until_the_row_changes(crm: Crm) -> None:
    """If-None-Match with the etag of the version one has."""
    path = f"accounts({crm.world.companies[0].id})"
    etag = crm.get(path).document["@odata.etag"]
    assert crm.get(path, if_none_match=etag).status == 304
    assert crm.get(path, if_none_match="null").status == 200
    crm.patch(path, {"description": "x"})
    assert crm.get(path, if_none_match=etag).status == 200


def test_a_url_over_32_kb_is_refused(crm: Crm) -> None:
    """Long filters belong into a batch."""
    assert crm.get(f"accounts?$filter=name eq '{'x' * 33_000}'").status == 414


def test_the_other_probes_answer(crm: Crm) -> None:
    """Version, organization, counts, service document, settings."""
    assert crm.get("RetrieveVersion()").document["Version"].startswith("9.2.")
    detail = crm.get(
        "RetrieveCurrentOrganization(AccessType=@p1)?@p1=Microsoft.Dynamics.CRM.EndpointAccessType'Default'"
    )
    assert detail.document["Detail"]["OrganizationId"] == crm.settings.organization_id
    counts = crm.get('RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account"]').document
    assert counts["EntityRecordCountCollection"]["Values"] == [len(crm.world.companies)]
    sets = {entry["name"] for entry in crm.get("").value}
    assert {"accounts", "opportunities", "invoices", "transactioncurrencies", "sdkmessageprocessingsteps"} <= sets
    organization = crm.get("organizations?$select=name,expirechangetrackingindays,_basecurrencyid_value").value[0]
    assert organization["expirechangetrackingindays"] == 7


def test_filters_on_lookups_that_have_no_index(crm: Crm) -> None:
    """Who made it and who owns it, found by looking at every row."""
    me = crm.get("WhoAmI").document["UserId"]
    count = crm.get("accounts/$count").body
    for column in ("_createdby_value", "_modifiedby_value", "_owninguser_value", "_ownerid_value"):
        assert crm.get(f"accounts/$count?$filter={column} eq {me}").body == count
    assert crm.get(f"accounts/$count?$filter=_createdby_value eq {crm.settings.app_user_id}").body == b"0"


@pytest.mark.parametrize("path", ["$metadata", "Merge", "quotes", "RetrieveMetadataChanges(Query=@p1)"])
def test_resources_that_are_not_simulated_say_so(crm: Crm, path: str) -> None:
    """A 404 would be a lie: the vendor has them."""
    assert crm.get(path).status == 501
    assert crm.get("accounts", mscrmcallerid="x").status == 501


def test_what_is_not_simulated_says_so(crm: Crm) -> None:
    """Nothing is silently ignored that would change the answer."""
    for query in ("fetchXml=x", "$apply=x", "sql=select", "savedQuery=x"):
        refused = crm.get(f"accounts?{query}")
        assert refused.status == 501
        assert "not simulated" in refused.message
