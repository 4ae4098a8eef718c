"""The rows that an environment starts with: the world's records, and what every Dataverse has."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse.environment import BUSINESS_UNIT_ID, HUMAN_ID
from closedwon_sandbox.dataverse.rows.schema import stable_id
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.dataverse.rows.values import decimal, money
from closedwon_sandbox.dataverse.sales import documents, states

if TYPE_CHECKING:
    from collections.abc import Iterable

    from closedwon_sandbox.dataverse.environment import Environment
    from closedwon_sandbox.world import Company, Currency, Deal, DealLine, Person, Product, World

CHANGE_TRACKING_DAYS = 7
SCHEDULE_ID, UNIT_ID = stable_id("uomschedule"), stable_id("uom")
EVENT_TABLES = (
    "account", "contact", "opportunity", "opportunityproduct", "product", "salesorder", "salesorderdetail", "invoice",
    "invoicedetail", "opportunityclose", "pricelevel", "productpricelevel", "transactioncurrency", "annotation",
)  # fmt: skip
_MESSAGES = ("Create", "Update", "Delete")
_CLOSINGS = ("Win", "Lose")


def seed(env: Environment, world: World) -> None:
    """Fill an empty environment."""
    base = next(currency for currency in world.currencies if currency.code == world.base_currency)
    env.base_currency_id = base.id
    _Seeding(env, world, base).run()


class _Seeding:
    def __init__(self, env: Environment, world: World, base: Currency) -> None:
        self._env = env
        self._world = world
        self._base = base
        self._currencies = {currency.code: currency for currency in world.currencies}
        self._now = env.now()
        self._human = Ref("systemuser", HUMAN_ID)
        self._organization = Ref("organization", env.settings.organization_id)

    def run(self) -> None:
        load = self._load
        load("organization", [self._organization_row()])
        load("businessunit", [{"businessunitid": BUSINESS_UNIT_ID, "name": self._world.organisation_name}])
        load("systemuser", self._users())
        load("transactioncurrency", [self._currency(currency) for currency in self._world.currencies])
        load(
            "uomschedule",
            [{"uomscheduleid": SCHEDULE_ID, "name": "Default Unit", "baseuomname": "Primary Unit", **_active()}],
        )
        load("uom", [self._unit()])
        load("pricelevel", [self._price_list(currency) for currency in self._world.currencies])
        load("product", [*self._families(), *(self._product(product) for product in self._world.products)])
        load("productpricelevel", self._price_list_items())
        contacts = {person.company_id: person.id for person in reversed(self._world.people) if person.company_id}
        load("account", (self._account(company, contacts.get(company.id)) for company in self._world.companies))
        load("contact", (self._contact(person) for person in self._world.people))
        load("opportunity", [self._opportunity(deal) for deal in self._world.deals])
        self._lines()
        load(
            "sdkmessage",
            [
                {"sdkmessageid": stable_id("message", name), "name": name, "isactive": True}
                for name in (*_MESSAGES, *_CLOSINGS)
            ],
        )
        load("sdkmessagefilter", self._filters())

    def _load(self, table: str, rows: Iterable[Row]) -> None:
        shared = {"createdon": self._now, "modifiedon": self._now, "createdby": self._human, "modifiedby": self._human}
        owner = self._env.schema.get(table).owner
        if owner == "user":
            shared |= {"ownerid": self._human, "owningbusinessunit": Ref("businessunit", BUSINESS_UNIT_ID)}
        if owner == "organization" and table != "systemuser":
            shared["organizationid"] = self._organization
        self._env.store.load(table, ({**shared, **_present(row)} for row in rows))

    def _money(self, code: str) -> Row:
        currency = self._currencies[code]
        return {
            "transactioncurrencyid": Ref("transactioncurrency", currency.id),
            "exchangerate": decimal(currency.rate),
        }

    def _organization_row(self) -> Row:
        return {
            "organizationid": self._env.settings.organization_id,
            "name": self._world.organisation_name,
            "basecurrencyid": Ref("transactioncurrency", self._base.id),
            "basecurrencyprecision": self._base.precision,
            "basecurrencysymbol": self._base.symbol,
            "orderprefix": "ORD",
            "invoiceprefix": "INV",
            "quoteprefix": "QUO",
            "oobpricecalculationenabled": True,
            "enablepricingoncreate": True,
            "ispricelistmandatory": True,
            "iswriteinproductsallowed": True,
            "createproductswithoutparentinactivestate": False,
            "discountcalculationmethod": 0,
            "expirechangetrackingindays": CHANGE_TRACKING_DAYS,
            "pricingdecimalprecision": 2,
            "languagecode": 1033,
            "maxuploadfilesize": 5_242_880,
        }

    def _users(self) -> list[Row]:
        settings = self._env.settings
        human = {
            "firstname": "Sam",
            "lastname": "Seller",
            "fullname": "Sam Seller",
            "accessmode": 0,
            "islicensed": True,
        }
        application = {
            "firstname": "#",
            "lastname": "Closedwon",
            "fullname": "# Closedwon",
            "accessmode": 4,
            "islicensed": False,
        }
        shared = {
            "isdisabled": False,
            "businessunitid": Ref("businessunit", BUSINESS_UNIT_ID),
            "isintegrationuser": False,
        }
        return [
            {"systemuserid": HUMAN_ID, "domainname": "sam@seller.example", **human, **shared},
            {"systemuserid": settings.app_user_id, "applicationid": settings.client_id, **application, **shared},
        ]

    @staticmethod
    def _currency(currency: Currency) -> Row:
        return {
            "transactioncurrencyid": currency.id,
            "currencyname": currency.name,
            "isocurrencycode": currency.code,
            "currencysymbol": currency.symbol,
            "currencyprecision": currency.precision,
            "currencytype": 0,
            "exchangerate": decimal(currency.rate),
            **_active(),
        }

    @staticmethod
    def _unit() -> Row:
        schedule = Ref("uomschedule", SCHEDULE_ID)
        return {
            "uomid": UNIT_ID,
            "name": "Primary Unit",
            "quantity": decimal(Decimal(1)),
            "isschedulebaseuom": True,
            "uomscheduleid": schedule,
        }

    def _price_list(self, currency: Currency) -> Row:
        state = {"statecode": 0, "statuscode": 100_001}
        return {
            "pricelevelid": price_list_id(currency.code),
            "name": f"Standard {currency.code}",
            **state,
            **self._money(currency.code),
        }

    def _families(self) -> list[Row]:
        return [
            {
                "productid": family.id,
                "name": family.name,
                "productnumber": f"FAMILY-{family.key.upper()}",
                "productstructure": 2,
                "parentproductid": Ref("product", family.parent_id) if family.parent_id else None,
                **self._product_basics(),
            }
            for family in self._world.families
        ]

    def _product_basics(self) -> Row:
        return {
            "statecode": 0,
            "statuscode": 1,
            "quantitydecimal": 2,
            "defaultuomid": Ref("uom", UNIT_ID),
            "defaultuomscheduleid": Ref("uomschedule", SCHEDULE_ID),
            "iskit": False,
            "isreparented": False,
            "isstockitem": False,
            **self._money(self._base.code),
        }

    def _product(self, product: Product) -> Row:
        return {
            "productid": product.id,
            "name": product.name,
            "productnumber": product.number,
            "description": product.description,
            "productstructure": 1,
            "parentproductid": Ref("product", product.family),
            "price": money(product.unit_price[self._base.code]),
            "standardcost": money(product.cost),
            "currentcost": money(product.cost),
            **self._product_basics(),
        }

    def _price_list_items(self) -> list[Row]:
        return [
            {
                "productpricelevelid": stable_id("price", product.id, code),
                "productidname": product.name,
                "productnumber": product.number,
                "productid": Ref("product", product.id),
                "pricelevelid": Ref("pricelevel", price_list_id(code)),
                "uomid": Ref("uom", UNIT_ID),
                "uomscheduleid": Ref("uomschedule", SCHEDULE_ID),
                "pricingmethodcode": documents.CURRENCY_AMOUNT,
                "amount": money(amount),
                **self._money(code),
            }
            for product in self._world.products
            for code, amount in product.unit_price.items()
        ]

    def _account(self, company: Company, contact_id: str | None) -> Row:
        return {
            "accountid": company.id,
            "name": company.name,
            "accountnumber": company.account_number,
            "emailaddress1": company.email,
            "telephone1": company.phone,
            "address1_line1": company.line1,
            "address1_city": company.city,
            "address1_stateorprovince": company.region,
            "address1_postalcode": company.postal_code,
            "address1_country": company.country,
            "primarycontactid": Ref("contact", contact_id) if contact_id else None,
            "customertypecode": 3,
            "creditonhold": False,
            **_active(),
            **self._money(company.currency),
        }

    def _contact(self, person: Person) -> Row:
        return {
            "contactid": person.id,
            "firstname": person.first_name,
            "lastname": person.last_name,
            "fullname": f"{person.first_name} {person.last_name}",
            "emailaddress1": person.email,
            "telephone1": person.phone,
            "address1_country": person.country,
            "parentcustomerid": Ref("account", person.company_id) if person.company_id else None,
            "creditonhold": False,
            **_active(),
            **self._money(person.currency),
        }

    def _opportunity(self, deal: Deal) -> Row:
        customer = Ref("contact" if deal.customer_is_person else "account", deal.customer_id)
        state, status = (states.OPPORTUNITY_WON, 3) if deal.won else (states.OPPORTUNITY_OPEN, 1)
        return {
            "opportunityid": deal.id,
            "name": deal.name,
            "customerid": customer,
            f"{customer.table}id": customer,
            f"parent{customer.table}id": customer,
            "pricelevelid": Ref("pricelevel", price_list_id(deal.currency)),
            "isrevenuesystemcalculated": True,
            "decisionmaker": False,
            "discountamount": money(deal.discount) if deal.discount else None,
            "freightamount": money(deal.freight) if deal.freight else None,
            "new_region": deal.region or None,
            "new_costcentre": deal.cost_centre or None,
            "new_ponumber": deal.po_number or None,
            "statecode": state,
            "statuscode": status,
            **self._money(deal.currency),
        }

    def _lines(self) -> None:
        env, document = self._env, documents.DOCUMENTS["opportunity"]
        rows = []
        for deal in self._world.deals:
            header = env.store.get("opportunity", deal.id)
            for number, line in enumerate(deal.lines, start=1):
                row = self._line(deal, line, number)
                documents.price(env, row, header)
                rows.append(row)
        self._load("opportunityproduct", rows)
        for deal in self._world.deals:
            header = env.store.get("opportunity", deal.id)
            header.update(documents.totals(env, document, header))
            if deal.won:
                header.update(actualvalue=header["totalamount"], actualclosedate=self._now.date())

    def _line(self, deal: Deal, line: DealLine, number: int) -> Row:
        product = next((product for product in self._world.products if product.id == line.product_id), None)
        row: Row = {
            "opportunityproductid": stable_id("line", deal.id, str(number)),
            "opportunityproductname": product.name if product else line.description,
            "productname": product.name if product else line.description,
            "opportunityid": Ref("opportunity", deal.id),
            "quantity": decimal(line.quantity),
            "priceperunit": money(line.unit_price),
            "manualdiscountamount": money(line.discount) if line.discount else None,
            "tax": money(line.tax),  # 0, not nothing: on an export the seller says that there is no tax
            "lineitemnumber": number,
            "sequencenumber": number,
            "isproductoverridden": product is None,
            "ispriceoverridden": product is not None and product.unit_price.get(deal.currency) != line.unit_price,
            **self._money(deal.currency),
        }
        if product is None:
            return row | {"productdescription": line.description}
        return row | {"productid": Ref("product", product.id), "uomid": Ref("uom", UNIT_ID)}

    @staticmethod
    def _filters() -> list[Row]:
        pairs = [(table, message) for table in EVENT_TABLES for message in _MESSAGES]
        pairs += [("opportunity", message) for message in _CLOSINGS]
        return [
            {
                "sdkmessagefilterid": stable_id("filter", table, message),
                "name": f"{message} of {table}",
                "primaryobjecttypecode": table,
                "secondaryobjecttypecode": "none",
                "iscustomprocessingstepallowed": True,
                "sdkmessageid": Ref("sdkmessage", stable_id("message", message)),
            }
            for table, message in pairs
        ]


def price_list_id(code: str) -> str:
    """Return the id of a currency's price list."""
    return stable_id("pricelevel", code)


def _active() -> Row:
    return {"statecode": 0, "statuscode": 1}


def _present(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
