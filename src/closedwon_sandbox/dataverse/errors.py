"""The refusals of the Web API: one exception, one function per family of codes. Source: reference section 11."""

from __future__ import annotations

from typing import NoReturn


class DataverseError(Exception):
    """What the vendor would answer: an HTTP status, a code and a text."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def envelope(self) -> dict[str, object]:
        """Return the error as the body of an answer."""
        return {"error": {"code": self.code, "message": self.message}}


PAYLOAD_HELP = (
    "For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293"
)


def missing_row(table: str, row_id: str) -> DataverseError:
    """Say that no row has an id."""
    return DataverseError(404, "0x80040217", f"{table} With Id = {row_id} Does Not Exist")


def missing_key(table: str) -> DataverseError:
    """Say that no row has the values of an alternate key."""
    return DataverseError(404, "0x80060891", f"A record with the specified key values does not exist in {table} entity")


def unknown_segment(segment: str) -> DataverseError:
    """Say that a resource does not exist; names are case-sensitive."""
    return DataverseError(404, "0x8006088a", f"Resource not found for the segment '{segment}'.")


def no_resource(uri: str) -> DataverseError:
    """Say that no route answers a path."""
    return DataverseError(404, "", f"No HTTP resource was found that matches the request URI '{uri}'.")


def wrong_verb(method: str) -> DataverseError:
    """Say that a resource does not take a verb."""
    return DataverseError(405, "0x8004023b", f"The requested resource does not support http method '{method}'.")


def not_simulated(what: str) -> DataverseError:
    """Say that the vendor has something that this simulator has not."""
    return DataverseError(501, "0x80040224", f"{what} is not simulated by this sandbox.")


def bad_query(message: str) -> DataverseError:
    """Say what the OData parser refuses."""
    return DataverseError(400, "0x0", message)


def unknown_property(name: str, table: str) -> DataverseError:
    """Say that a query names a property that the table has not."""
    return bad_query(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'.")


def bad_payload(set_name: str, message: str) -> DataverseError:
    """Say why a body does not fit its table."""
    text = (
        f"Error identified in Payload provided by the user for Entity :'{set_name}', {PAYLOAD_HELP}  ---->  "
        f"InnerException : Microsoft.OData.ODataException: {message}"
    )
    return DataverseError(400, "0x80048d19", text)


def unknown_member(set_name: str, table: str, name: str) -> DataverseError:
    """Say that a body has a plain property that the table has not."""
    message = (
        "An error occurred while validating input parameters: Microsoft.OData.ODataException: "
        f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table}'. Ensure that the entity "
        "contains the property and that its name is spelled in the right case."
    )
    return bad_payload(set_name, message)


def undeclared_property(set_name: str, name: str) -> DataverseError:
    """Say that a property has annotations only, such as a wrong name before `@odata.bind`."""
    message = (
        f"An undeclared property '{name}' which only has property annotations in the payload but no property value was "
        "found in the payload. In OData, only declared navigation properties and declared named streams can be "
        "represented as properties without values."
    )
    return bad_payload(set_name, message)


def invalid_argument(message: str) -> DataverseError:
    """Say that an argument of an action, function or option makes no sense."""
    return DataverseError(400, "0x80040203", message)


def validation(code: str, message: str) -> DataverseError:
    """Say that a value is outside of what its column takes."""
    return DataverseError(400, code, f"A validation error occurred. {message}")


def version_mismatch() -> DataverseError:
    """Say that `If-Match` names another version than the row has."""
    text = "The version of the existing record doesn't match the RowVersion property provided."
    return DataverseError(412, "0x80060882", text)


def duplicate_row(message: str = "Cannot insert duplicate key.") -> DataverseError:
    """Say that a row with that id exists."""
    return DataverseError(412, "0x80040237", message)


def duplicate_key(key: str, columns: str) -> DataverseError:
    """Say that another row has those values of an alternate key."""
    text = (
        f"Entity Key {key} violated. A record with the same value for {columns} already exists. "
        "A duplicate record cannot be created. Select one or more unique values and try again."
    )
    return DataverseError(412, "0x80060892", text)


def read_only(table: str) -> DataverseError:
    """Say that a sales document is closed, and its lines with it."""
    text = f"Cannot perform the action because the record is read only. Entity: {table}."
    return DataverseError(400, "0x8004022e", text)


def privilege_denied(user_id: str, privilege: str, code: int, table: str) -> NoReturn:
    """Refuse a caller whose roles lack a privilege. *Raises* DataverseError always."""
    text = (
        f"Principal user (Id={user_id}, type=8, roleCount=1, privilegeCount=412, accessMode='4 Non-interactive'), is "
        f"missing {privilege} privilege on OTC={code} for entity '{table}'. context.Caller={user_id}."
    )
    raise DataverseError(403, "0x80040220", text)
