"""Tables, columns, keys and relationships as the metadata API's JSON, and columns from the JSON that creates them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.rows.schema import Column, stable_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.rows.schema import AlternateKey, Kind, Relationship, Schema, Table

LANGUAGE = 1033
ATTRIBUTE_TYPES: Mapping[Kind, tuple[str, str]] = {
    "text": ("StringAttributeMetadata", "String"),
    "memo": ("MemoAttributeMetadata", "Memo"),
    "money": ("MoneyAttributeMetadata", "Money"),
    "decimal": ("DecimalAttributeMetadata", "Decimal"),
    "double": ("DoubleAttributeMetadata", "Double"),
    "int": ("IntegerAttributeMetadata", "Integer"),
    "bigint": ("BigIntAttributeMetadata", "BigInt"),
    "bool": ("BooleanAttributeMetadata", "Boolean"),
    "choice": ("PicklistAttributeMetadata", "Picklist"),
    "state": ("StateAttributeMetadata", "State"),
    "status": ("StatusAttributeMetadata", "Status"),
    "date": ("DateTimeAttributeMetadata", "DateTime"),
    "datetime": ("DateTimeAttributeMetadata", "DateTime"),
    "localdate": ("DateTimeAttributeMetadata", "DateTime"),
    "guid": ("UniqueIdentifierAttributeMetadata", "Uniqueidentifier"),
    "lookup": ("LookupAttributeMetadata", "Lookup"),
    "managed": ("ManagedPropertyAttributeMetadata", "ManagedProperty"),
}
_OWNERSHIP = {"user": "UserOwned", "organization": "OrganizationOwned", "parent": "None", "none": "None"}
_CREATABLE: Mapping[str, Kind] = {
    "StringAttributeMetadata": "text", "MemoAttributeMetadata": "memo", "DecimalAttributeMetadata": "decimal",
    "DoubleAttributeMetadata": "double", "IntegerAttributeMetadata": "int", "MoneyAttributeMetadata": "money",
    "DateTimeAttributeMetadata": "datetime", "BooleanAttributeMetadata": "bool",
}  # fmt: skip
DEFAULT_TEXT_LENGTH, DEFAULT_MEMO_LENGTH = 100, 2000


def label(text: str) -> dict[str, Any]:
    """Render a label in one language."""
    localized = {
        "Label": text,
        "LanguageCode": LANGUAGE,
        "IsManaged": True,
        "MetadataId": stable_id("label", text),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def managed(name: str, *, value: Any) -> dict[str, Any]:
    """Render a managed property."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


def entity(table: Table) -> dict[str, Any]:
    """Render a table's definition."""
    return {
        "@odata.type": "#Microsoft.Dynamics.CRM.EntityMetadata",
        "MetadataId": table.metadata_id,
        "LogicalName": table.name,
        "SchemaName": table.schema_name,
        "EntitySetName": table.set_name,
        "LogicalCollectionName": table.set_name,
        "CollectionSchemaName": table.set_name,
        "PrimaryIdAttribute": table.key,
        "PrimaryNameAttribute": table.title,
        "ObjectTypeCode": table.code,
        "OwnershipType": _OWNERSHIP[table.owner],
        "ChangeTrackingEnabled": table.change_tracking,
        "CanChangeTrackingBeEnabled": managed("canchangetrackingbeenabled", value=True),
        "IsOptimisticConcurrencyEnabled": True,
        "IsActivity": table.name == "opportunityclose",
        "IsCustomEntity": False,
        "IsPrivate": False,
        "IsManaged": True,
        "IsCustomizable": managed("iscustomizable", value=True),
        "IsValidForAdvancedFind": True,
        "DataProviderId": None,
        "TableType": "Standard",
        "DisplayName": label(table.schema_name),
        "DisplayCollectionName": label(table.set_name),
        "Description": label(table.schema_name),
    }


def attribute(table: Table, column: Column, *, options: bool = False) -> dict[str, Any]:
    """Render a column's definition; option sets only when they were asked for, as the API does."""
    metadata_type, short = ATTRIBUTE_TYPES[column.kind]
    short = {"customerid": "Customer", "ownerid": "Owner", "parentcustomerid": "Customer"}.get(column.name, short)
    writable = not column.readonly and column.base_of is None
    document = {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{metadata_type}",
        "MetadataId": column.metadata_id,
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": short,
        "AttributeTypeName": {"Value": f"{short}Type"},
        "AttributeOf": None,
        "IsPrimaryId": column.name == table.key,
        "IsPrimaryName": column.name == table.title,
        "IsCustomAttribute": column.custom,
        "IsValidForCreate": writable,
        "IsValidForUpdate": writable and column.name != table.key,
        "IsValidForRead": column.name != "authvalue",
        "IsLogical": False,
        "IsManaged": not column.custom,
        "RequiredLevel": managed(
            "canmodifyrequirementlevelsettings", value="ApplicationRequired" if column.required else "None"
        ),
        "IsCustomizable": managed("iscustomizable", value=True),
        "DisplayName": label(column.label),
        "Description": label(""),
        **_details(column),
    }
    if options:
        document |= _option_set(table, column)
    return document


def _details(column: Column) -> dict[str, Any]:
    if column.kind in {"text", "memo"}:
        return {"MaxLength": column.length, "FormatName": {"Value": "Text" if column.kind == "text" else "TextArea"}}
    if column.kind in {"int", "bigint", "decimal", "double"}:
        digits = {} if column.kind in {"int", "bigint"} else {"Precision": 2 if column.kind == "decimal" else 5}
        return {"MinValue": column.low, "MaxValue": column.high, **digits}
    if column.kind == "money":
        return {
            "Precision": 2,
            "PrecisionSource": 2,
            "IsBaseCurrency": column.base_of is not None,
            "CalculationOf": column.base_of,
        }
    if column.kind in {"date", "datetime", "localdate"}:
        behavior = "DateOnly" if column.kind == "date" else "UserLocal"
        return {
            "Format": "DateAndTime" if column.kind == "datetime" else "DateOnly",
            "DateTimeBehavior": {"Value": behavior},
        }
    return {"Targets": list(column.targets)} if column.kind == "lookup" else {}


def _option_set(table: Table, column: Column) -> dict[str, Any]:
    if column.kind == "bool":
        pair = {"TrueOption": {"Value": 1, "Label": label("Yes")}, "FalseOption": {"Value": 0, "Label": label("No")}}
        return {
            "OptionSet": {"MetadataId": stable_id("options", table.name, column.name), **pair},
            "GlobalOptionSet": None,
        }
    if column.kind not in {"choice", "state", "status"}:
        return {}
    options = [_option(table, column, value, text) for value, text in sorted(column.options.items())]
    name = f"{table.name}_{column.name}"
    option_set = {
        "MetadataId": stable_id("options", name),
        "Name": name,
        "IsGlobal": False,
        "OptionSetType": ATTRIBUTE_TYPES[column.kind][1],
    }
    return {"OptionSet": {**option_set, "Options": options}, "GlobalOptionSet": None}


def _option(table: Table, column: Column, value: int, text: str) -> dict[str, Any]:
    option: dict[str, Any] = {"Value": value, "Label": label(text), "Color": None, "IsManaged": True}
    if column.kind == "status":
        option["State"] = column.states[value]
    if column.kind == "state":
        option |= {"DefaultStatus": table.default_status(value), "InvariantName": text}
    return option


def key_definition(table: Table, key: AlternateKey) -> dict[str, Any]:
    """Render an alternate key's definition."""
    return {
        "@odata.type": "#Microsoft.Dynamics.CRM.EntityKeyMetadata",
        "MetadataId": key.metadata_id,
        "LogicalName": key.name,
        "SchemaName": key.label or key.name,
        "EntityLogicalName": table.name,
        "KeyAttributes": list(key.columns),
        "EntityKeyIndexStatus": key.status,
        "IsManaged": False,
        "DisplayName": label(key.label or key.name),
    }


def many_to_one(schema: Schema, table: Table) -> list[dict[str, Any]]:
    """Render the relationships in which this table's lookups point to others."""
    found = []
    for column in table.columns.values():
        for target in column.targets:
            if target in schema.tables:
                owner = schema.get(target)
                link = next(
                    (link for link in owner.children if (link.table, link.column) == (table.name, column.name)), None
                )
                if link is not None:
                    found.append(_relationship(table, owner, link))
    return found


def one_to_many(schema: Schema, table: Table) -> list[dict[str, Any]]:
    """Render the relationships in which others' lookups point to this table."""
    return [_relationship(schema.get(link.table), table, link) for link in table.children]


def _relationship(child: Table, owner: Table, link: Relationship) -> dict[str, Any]:
    name = link.collection or f"{owner.name}_{child.name}_{link.column}"
    return {
        "@odata.type": "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "MetadataId": stable_id("relationship", owner.name, child.name, link.column),
        "SchemaName": name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": False,
        "ReferencedEntity": owner.name,
        "ReferencedAttribute": owner.key,
        "ReferencedEntityNavigationPropertyName": name,
        "ReferencingEntity": child.name,
        "ReferencingAttribute": link.column,
        "ReferencingEntityNavigationPropertyName": child.navigation_to(link.column, owner.name),
    }


def column_of(body: Mapping[str, Any]) -> Column:
    """Read the definition of a new column. *Raises* DataverseError (400) for what cannot be created."""
    metadata_type = str(body.get("@odata.type", "")).rpartition(".")[2]
    kind = _CREATABLE.get(metadata_type)
    schema_name = body.get("SchemaName")
    if kind is None:
        raise errors.not_simulated(f"Creating a column of type '{metadata_type}'")
    if not isinstance(schema_name, str) or "_" not in schema_name.strip("_"):
        text = f"The name of a custom attribute must start with the prefix of a publisher: '{schema_name}'."
        raise errors.DataverseError(400, "0x80044363", text)
    length = DEFAULT_TEXT_LENGTH if kind == "text" else DEFAULT_MEMO_LENGTH
    given = body.get("MaxLength")
    return Column(
        schema_name.lower(),
        _date_kind(body) if kind == "datetime" else kind,
        length=given if isinstance(given, int) else length,
        low=_bound(body.get("MinValue")),
        high=_bound(body.get("MaxValue")),
        custom=True,
        schema_name=schema_name,
        label=_text(body.get("DisplayName")) or schema_name,
        default=bool(body.get("DefaultValue")) if kind == "bool" else None,
    )


def _date_kind(body: Mapping[str, Any]) -> Kind:
    behavior = (body.get("DateTimeBehavior") or {}).get("Value")
    if behavior == "DateOnly":
        return "date"
    return "localdate" if body.get("Format") == "DateOnly" else "datetime"


def _bound(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _text(given: Any) -> str:
    labels = given.get("LocalizedLabels") if isinstance(given, dict) else None
    return str(labels[0].get("Label", "")) if labels else ""
