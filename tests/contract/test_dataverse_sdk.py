"""The vendor's official Python client works against the Dataverse simulator, sign-in included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.config import DataverseConfig
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from sandbox_process import Sandbox, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "11111111-1111-1111-1111-111111111111"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run a sandbox that serves https with its own authority."""
    with running_sandbox(tmp_path_factory.mktemp("sdk"), "--tls") as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[DataverseClient]:
    """Sign in as the application, the way the vendor's documentation does."""
    info = sandbox.info["dynamics"]
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = sandbox.ca_file
    credential = ClientSecretCredential(
        info["directory"],
        info["client_id"],
        info["client_secret"],
        authority=info["authority_url"],
        disable_instance_discovery=True,
    )
    try:
        with DataverseClient(info["url"], credential, DataverseConfig(http_retries=1)) as opened:
            yield opened
    finally:
        credential.close()
        if before is None:
            del os.environ["REQUESTS_CA_BUNDLE"]
        else:
            os.environ["REQUESTS_CA_BUNDLE"] = before


def read(client: DataverseClient, table: str, row_id: str, **options: Any) -> Any:
    """Retrieve a record that must be there."""
    found = client.records.retrieve(table, row_id, **options)
    assert found is not None
    return found


def test_records_are_created_read_changed_and_deleted(client: DataverseClient) -> None:
    """The four verbs on one record."""
    account = client.records.create("account", {"name": "Contoso", "creditlimit": 12.5})
    assert read(client, "account", account, select=["name"])["name"] == "Contoso"
    client.records.update("account", account, {"name": "Fabrikam", "telephone1": "555"})
    found = read(client, "account", account)
    assert (found["name"], found["telephone1"], found["creditlimit"]) == ("Fabrikam", "555", 12.5)
    client.records.delete("account", account)
    assert client.records.retrieve("account", account) is None


def test_many_records_go_in_one_call(client: DataverseClient) -> None:
    """CreateMultiple and UpdateMultiple, with one patch for all and one for each."""
    ids = client.records.create("contact", [{"lastname": "One"}, {"lastname": "Two"}])
    assert len(ids) == 2
    client.records.update("contact", ids, {"jobtitle": "Buyer"})
    client.records.update("contact", ids, [{"firstname": "A"}, {"firstname": "B"}])
    found = [read(client, "contact", row_id, select=["fullname", "jobtitle"]) for row_id in ids]
    assert [(row["fullname"], row["jobtitle"]) for row in found] == [("A One", "Buyer"), ("B Two", "Buyer")]
    for row_id in ids:
        client.records.delete("contact", row_id)


def test_lists_follow_pages_filters_and_orders(client: DataverseClient, sandbox: Sandbox) -> None:
    """Pages of seven bring every company once."""
    everything = sandbox.state("dynamics")["accounts"]
    pages = list(client.records.list_pages("account", select=["name"], orderby=["name asc"], page_size=7))
    names = [row["name"] for page in pages for row in page]
    assert len(pages) > 1
    assert sorted(names) == sorted(row["name"] for row in everything)
    assert names == sorted(names, key=str.casefold)
    wanted = names[3].replace("'", "''")
    found = client.records.list("account", filter=f"name eq '{wanted}' and statecode eq 0", select=["name"])
    assert {row["name"] for row in found} == {names[3]}
    assert len(client.records.list("account", top=5, count=True)) == 5


def test_the_query_builder_speaks_our_filters(client: DataverseClient, sandbox: Sandbox) -> None:
    """Its functions with named arguments too."""
    ids = [row["accountid"] for row in sandbox.state("dynamics")["accounts"]][:3]
    found = client.records.list("account", filter=col("accountid").in_(ids), select=["name"])
    assert {row["accountid"] for row in found} == set(ids)
    builder = client.query.builder("account").select("name").where(col("name").contains("a") & (col("statecode") == 0))
    rows: list[Any] = list(builder.order_by("name").top(4).execute())
    assert 0 < len(rows) <= 4
    assert all("a" in row["name"].lower() for row in rows)


def test_expansion_and_annotations(client: DataverseClient, sandbox: Sandbox) -> None:
    """A deal with its lines, its customer and formatted values."""
    deal = next(row for row in sandbox.state("dynamics")["opportunities"] if row["customerid"]["table"] == "account")
    found = read(
        client,
        "opportunity",
        deal["opportunityid"],
        select=["name", "totalamount", "statecode"],
        expand=["product_opportunities($select=quantity)", "customerid_account($select=name)"],
        include_annotations="*",
    )
    assert len(found["product_opportunities"]) == len(deal["lines"])
    assert found["customerid_account"]["accountid"] == deal["customerid"]["id"]
    assert found["statecode@OData.Community.Display.V1.FormattedValue"] == "Open"


def test_our_relationships_name_what_to_bind_by(client: DataverseClient) -> None:
    """The navigation property of a polymorphic lookup, found in the definitions, works in a bind."""
    links = client.tables.list_table_relationships("contact", filter="ReferencingAttribute eq 'parentcustomerid'")
    names = {
        row["ReferencedEntity"]: row["ReferencingEntityNavigationPropertyName"]
        for row in links
        if row["ReferencingEntity"] == "contact"
    }
    account = client.records.create("account", {"name": "Parent"})
    contact = client.records.create(
        "contact", {"lastname": "Child", f"{names['account']}@odata.bind": f"/accounts({account})"}
    )
    found = read(client, "contact", contact, expand=[names["account"]])
    assert found[names["account"]]["accountid"] == account
    client.records.delete("contact", contact)
    client.records.delete("account", account)


def test_columns_and_alternate_keys_are_created_and_used(client: DataverseClient, sandbox: Sandbox) -> None:
    """Column, key, waiting for its index, upserts one by one and together."""
    assert client.tables.add_columns(
        "account", {"new_ExternalId": "string", "new_Score": "decimal", "new_Since": "datetime"}
    )
    columns = {column["LogicalName"]: column for column in client.tables.list_columns("account")}
    assert columns["new_externalid"]["AttributeType"] == "String"
    key = client.tables.create_alternate_key("account", "new_ExternalIdKey", ["new_externalid"])
    assert client.tables.get_alternate_keys("account")[0].status == "Pending"
    sandbox.clock(advance_s=5)
    assert [(known.metadata_id, known.status) for known in client.tables.get_alternate_keys("account")] == [
        (key.metadata_id, "Active")
    ]
    for name in ("First", "Second"):
        client.records.upsert(
            "account", [UpsertItem(alternate_key={"new_externalid": "X1"}, record={"name": name, "new_score": 2.5})]
        )
    items: list[UpsertItem | dict[str, Any]] = [
        UpsertItem(alternate_key={"new_externalid": code}, record={"name": code}) for code in ("X2", "X3")
    ]
    client.records.upsert("account", items)
    found = client.records.list(
        "account", filter="new_externalid ne null", orderby=["new_externalid"], select=["name", "new_score"]
    )
    assert [(row["name"], row["new_score"]) for row in found] == [("Second", 2.5), ("X2", None), ("X3", None)]
    client.tables.delete_alternate_key("account", key.metadata_id)
    assert client.tables.get_alternate_keys("account") == []
    for row in found:
        client.records.delete("account", row["accountid"])
    client.tables.remove_columns("account", ["new_Score", "new_Since"])


def test_tables_can_be_looked_at(client: DataverseClient) -> None:
    """Names, sets, relationships."""
    info = client.tables.get("opportunity")
    assert info is not None
    assert (info["logical_name"], info["entity_set_name"]) == ("opportunity", "opportunities")
    assert client.tables.get("new_Nothing") is None
    assert {"account", "invoice"} <= {table["LogicalName"] for table in client.tables.list()}
    names = {row["SchemaName"] for row in client.tables.list_table_relationships("invoice")}
    assert {"invoice_customer_accounts", "invoice_details"} <= names


def test_labels_of_choices_become_numbers(client: DataverseClient) -> None:
    """The client reads our option sets to translate them."""
    account = client.records.create("account", {"name": "Labelled", "customertypecode": "Supplier"})
    assert read(client, "account", account, select=["customertypecode"])["customertypecode"] == 10
    client.records.delete("account", account)


def test_batches_and_change_sets(client: DataverseClient) -> None:
    """Several operations in one request, some of them atomic, with references between them."""
    batch = client.batch.new()
    with batch.changeset() as changes:
        account = changes.records.create("account", {"name": "Batch"})
        changes.records.create("contact", {"lastname": "Batch", "parentcustomerid_account@odata.bind": account})
        changes.records.update("account", account, {"telephone1": "1"})
    batch.records.list("contact", filter="lastname eq 'Batch'", select=["lastname", "_parentcustomerid_value"])
    result = batch.execute()
    assert not result.has_errors
    account_id, contact_id = result.entity_ids[0], result.entity_ids[1]
    listed = result.responses[-1].data
    assert listed is not None
    assert listed["value"][0]["_parentcustomerid_value"] == account_id
    again = client.batch.new()
    again.records.delete("contact", contact_id)
    again.records.delete("account", account_id)
    again.records.delete("account", NOBODY)
    again.records.retrieve("account", NOBODY)
    outcome = again.execute(continue_on_error=True)
    assert [item.status_code for item in outcome.responses] == [204, 204, 404, 404]
    assert outcome.failed[0].error_code == "0x80040217"


def test_a_failed_change_set_leaves_nothing(client: DataverseClient) -> None:
    """Rolled back as one."""
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "Never"})
        changes.records.create("account", {"nope": "x"})
    result = batch.execute(continue_on_error=True)
    assert result.has_errors
    assert len(client.records.list("account", filter="name eq 'Never'")) == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"nope": "x"}, 400, "0x80048d19"),
        ({"name": "x" * 161}, 400, "0x80044331"),
        ({"primarycontactid@odata.bind": f"/contacts({NOBODY})"}, 404, "0x80040217"),
    ],
)
def test_refusals_reach_the_clients_error(
    client: DataverseClient, body: dict[str, Any], status: int, code: str
) -> None:
    """Status, code, text and request id are where the client looks for them."""
    with pytest.raises(HttpError) as caught:
        client.records.create("account", body)
    assert caught.value.status_code == status
    assert caught.value.details["service_error_code"] == code
    assert caught.value.details["service_request_id"]


def test_throttling_reaches_the_clients_error(client: DataverseClient, sandbox: Sandbox) -> None:
    """With the seconds to wait, marked as passing."""
    sandbox.limits("dynamics", requests=0)
    try:
        with pytest.raises(HttpError) as caught:
            client.records.retrieve("account", NOBODY)
    finally:
        sandbox.limits("dynamics", requests=6000)
    assert (caught.value.status_code, caught.value.is_transient) == (429, True)
    assert caught.value.details["retry_after"] >= 1


def test_an_unknown_table_is_a_metadata_error(client: DataverseClient) -> None:
    """The client asks the definitions first."""
    with pytest.raises(MetadataError):
        client.records.list("new_nothing")


def test_a_wrong_secret_is_refused_at_sign_in(sandbox: Sandbox, client: DataverseClient) -> None:
    """By the identity library, with Entra's number. `client` makes the authority trusted."""
    from azure.core.exceptions import ClientAuthenticationError

    assert client is not None
    info = sandbox.info["dynamics"]
    wrong = ClientSecretCredential(
        info["directory"], info["client_id"], "wrong", authority=info["authority_url"], disable_instance_discovery=True
    )
    with wrong, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        wrong.get_token(f"{info['url']}/.default")
