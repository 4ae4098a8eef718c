"""The texts of refusals, as the API prints them.

*Source*: recorded answers and the vendor's examples, read 2026-11-22, except those under "not established":
there only the rule is known and the wording is ours.
"""

from __future__ import annotations

from typing import Final

# Contacts
NAME_TAKEN: Final = (
    "The contact name {} is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)
NUMBER_TAKEN: Final = (
    "The contact number {} is already assigned to another contact. "
    "The contact number must be unique across all contacts."
)
CONTACT_IS_ARCHIVED: Final = (
    "The specified contact details matched an archived contact. "
    "Archived contacts cannot currently be edited via the API."
)
CONTACT_CANNOT_BUY: Final = (
    "The contact with the specified contact details has been archived. "
    "The contact must be un-archived before creating new invoices or credit notes."
)
CONTACT_STATUS: Final = "The status '{}' is not valid for contacts"
CONTACT_UNIDENTIFIED: Final = (
    "The Contact must contain at least 1 of the following elements "
    "to identify the contact: Name, ContactID, ContactNumber"
)
CONTACT_REQUIRED: Final = "A Contact must be specified for this type of transaction"
EMAIL_INVALID: Final = "Email address must be valid."

# Invoices and credit notes
LINES_REQUIRED: Final = "One or more line items must be specified"
STATUS_FOR_CREATION: Final = "{} not of valid status for creation"
STATUS_FOR_MODIFICATION: Final = "{} not of valid status for modification"
TYPE_FOR_CREATION: Final = "{} not of valid type for creation"
INVOICE_NUMBER_TAKEN: Final = "Invoice # must be unique."
DUE_DATE_REQUIRED: Final = "The document DueDate field must be specified."
DATE_REQUIRED: Final = "The Date field must be specified."
DESCRIPTION_REQUIRED: Final = "The description field is mandatory for each line item."
LINE_TOTAL: Final = "The line total {} does not match the expected line total {}"
NO_DISCOUNT_ON_BILLS: Final = "Discounts may not be applied to ACCPAY invoices."
ACCOUNT_REQUIRED: Final = "Account code must be specified"
TAX_TYPE_REQUIRED: Final = "The TaxType field is mandatory"
ACCOUNT_UNKNOWN: Final = "Account code '{}' is not a valid code for this document."
ACCOUNT_ARCHIVED: Final = (
    "Account code '{}' has been archived, or has been deleted. Each line item must reference a valid account."
)
TAX_TYPE_UNKNOWN: Final = "The TaxType code {} does not exist or cannot be used for this type of transaction."
TAX_TYPE_MISFIT: Final = "The TaxType code '{}' cannot be used with account code '{}'."
YEAR_LOCKED: Final = "The document date cannot be before the end of year lock date, currently set at {}"
PERIOD_LOCKED: Final = "The document date cannot be before the period lock date, currently set at {}"
CURRENCY_NOT_SUBSCRIBED: Final = "Organisation is not subscribed to currency {}"
VOID_BLOCKED: Final = (
    "The status VOIDED cannot be applied to the invoice because it has payments or credit notes allocated to it."
)
DOCUMENT_SETTLED: Final = "This document cannot be edited as it has a payment or credit note allocated to it."
DOCUMENT_UNKNOWN: Final = "An existing {} with the specified {} could not be found"
GUID_FORM: Final = "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)."

# Payments
PAYMENT_TOO_HIGH: Final = "Payment amount exceeds the amount outstanding on this document"
PAYMENT_NEEDS_AUTHORISED: Final = "Payments can only be made against Authorised documents"
PAYMENT_STATUS: Final = "Payment not of valid status for modification"

# Reference data
ITEM_CODE_TAKEN: Final = "Price List Item with Code '{}' already exists"
ACCOUNT_NAME_TAKEN: Final = "Please enter a unique Name."
ACCOUNT_CODE_TAKEN: Final = "Please enter a unique Code."
NOT_FOR_HISTORY: Final = "The document with the supplied id was not found for this endpoint."

# Requests
IDEMPOTENCY_MISMATCH: Final = "Idempotency Key: {} is used with a different request."

# Not established: the rule is known, the wording is ours.
CONTACT_UNKNOWN: Final = "An existing Contact with the specified ContactID could not be found"
CONTACT_NAME_FORM: Final = (
    "The contact name {} is not valid. Leading, trailing and double blanks, < and > are not allowed in a contact name."
)
TOO_MANY_PERSONS: Final = "A contact cannot have more than 5 contact persons."
TOO_LONG: Final = "The {} field exceeds the maximum length of {} characters."
CREDIT_NOTE_NUMBER_TAKEN: Final = "Credit Note # must be unique."
NO_DISCOUNT_ON_CREDIT: Final = "Discounts may not be applied to credit notes."
NEGATIVE_TOTAL: Final = "The total of this document must be greater than or equal to zero."
RATE_POSITIVE: Final = "The currency rate must be greater than zero."
AMOUNT_TYPES_UNKNOWN: Final = "The line amount type '{}' is not valid."
LINE_TOO_HIGH: Final = "The line amount cannot be more than 9,999,999,999.99."
DISCOUNT_RANGE: Final = "The discount rate must be between 0 and 100."
ITEM_UNKNOWN: Final = "Item code '{}' is not valid"
TRACKING_UNKNOWN: Final = "The tracking category or option '{}' is not valid or is not active."
TOO_MUCH_TRACKING: Final = "A line item cannot have more than 2 tracking categories, each once."
SENT_BEFORE_APPROVAL: Final = "SentToContact can only be set on an approved invoice."
PAYMENT_TARGET: Final = "A payment must be made against exactly one invoice or credit note."
PAYMENT_ACCOUNT: Final = "The payment account must be a bank account or have payments to it enabled."
PAYMENT_POSITIVE: Final = "The payment amount must be greater than zero."
PAYMENT_RECONCILED: Final = "The payment is reconciled and cannot be deleted."
ALLOCATION_TOO_HIGH: Final = "The amount exceeds the remaining credit or the amount outstanding on the invoice."
ALLOCATION_MISFIT: Final = (
    "The invoice and the credit note must have the same contact, currency and side of the ledger."
)
ALLOCATION_INCOMPLETE: Final = "An allocation needs an Invoice, an Amount greater than zero and a Date."
FIELD_REQUIRED: Final = "The {} field must be specified."
ACCOUNT_TYPE_UNKNOWN: Final = "The account type '{}' is not valid."
ACCOUNT_PROTECTED: Final = "The account is a system account or is in use and cannot be changed this way."
ACCOUNT_ARCHIVE_ALONE: Final = "An account's status cannot be changed together with other fields."
TOO_MANY_CATEGORIES: Final = "An organisation can have 2 active tracking categories and 4 in total."
TRACKING_NAME_TAKEN: Final = "The tracking name '{}' is already in use."
CURRENCY_UNKNOWN: Final = "The currency code '{}' is not valid."
IDEMPOTENCY_TOO_LONG: Final = "The Idempotency-Key header must not be longer than 128 characters."
EMAIL_REFUSED: Final = (
    "The invoice cannot be emailed: it must be an approved sales invoice of a contact with an email address."
)
