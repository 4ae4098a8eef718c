"""Word lists from which the sandbox's made-up companies, people, places and products are put together."""

from __future__ import annotations

from typing import NamedTuple


class City(NamedTuple):
    """A place with what an address and a phone number need; `postal` and `phone` show digits as '#'."""

    name: str
    region: str
    postal: str
    phone: str


class Country(NamedTuple):
    """A country customers come from: how its addresses look and which legal forms its companies take."""

    code: str
    name: str
    currency: str
    legal_forms: tuple[str, ...]
    cities: tuple[City, ...]


class ProductFamily(NamedTuple):
    """A branch of the product tree; `parent` is None at the top. `prefix` begins the numbers of its products."""

    key: str
    name: str
    parent: str | None
    prefix: str
    account_code: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NEW_ZEALAND = Country(
    "NZ",
    "New Zealand",
    "NZD",
    ("Ltd", "Limited", "Ltd", "Group Ltd", "Holdings Limited"),
    (
        City("Auckland", "Auckland", "10##", "+64 9 ### ####"),
        City("Hamilton", "Waikato", "32##", "+64 7 ### ####"),
        City("Tauranga", "Bay of Plenty", "31##", "+64 7 ### ####"),
        City("Napier", "Hawke's Bay", "41##", "+64 6 ### ####"),
        City("Wellington", "Wellington", "60##", "+64 4 ### ####"),
        City("Nelson", "Nelson", "70##", "+64 3 ### ####"),
        City("Christchurch", "Canterbury", "80##", "+64 3 ### ####"),
        City("Dunedin", "Otago", "90##", "+64 3 ### ####"),
    ),
)
AUSTRALIA = Country(
    "AU",
    "Australia",
    "AUD",
    ("Pty Ltd", "Pty Ltd", "Pty Limited", "Group Pty Ltd"),
    (
        City("Sydney", "NSW", "20##", "+61 2 #### ####"),
        City("Melbourne", "VIC", "30##", "+61 3 #### ####"),
        City("Brisbane", "QLD", "40##", "+61 7 #### ####"),
        City("Perth", "WA", "60##", "+61 8 #### ####"),
        City("Hobart", "TAS", "70##", "+61 3 #### ####"),
    ),
)
UNITED_KINGDOM = Country(
    "GB",
    "United Kingdom",
    "GBP",
    ("Ltd", "Limited", "plc", "LLP"),
    (
        City("London", "Greater London", "EC1A #BB", "+44 20 #### ####"),
        City("Manchester", "Greater Manchester", "M1 #AE", "+44 161 ### ####"),
        City("Leeds", "West Yorkshire", "LS1 #BA", "+44 113 ### ####"),
        City("Edinburgh", "Lothian", "EH1 #YZ", "+44 131 ### ####"),
    ),
)
UNITED_STATES = Country(
    "US",
    "United States",
    "USD",
    ("Inc.", "LLC", "Corp.", "Inc."),
    (
        City("Seattle", "WA", "981##", "+1 206 555 ####"),
        City("Portland", "OR", "972##", "+1 503 555 ####"),
        City("Denver", "CO", "802##", "+1 303 555 ####"),
        City("Austin", "TX", "787##", "+1 512 555 ####"),
        City("Boston", "MA", "021##", "+1 617 555 ####"),
    ),
)
IRELAND = Country(
    "IE",
    "Ireland",
    "EUR",
    ("Ltd", "DAC", "Teoranta"),
    (
        City("Dublin", "Leinster", "D02 X#8#", "+353 1 ### ####"),
        City("Galway", "Connacht", "H91 E#7#", "+353 91 ### ###"),
    ),
)
COUNTRIES = (NEW_ZEALAND, AUSTRALIA, UNITED_KINGDOM, UNITED_STATES, IRELAND)
COUNTRY_WEIGHTS = (55, 22, 10, 11, 2)

COMPANY_FIRST = _words(
    """
    Kauri Rimu Totara Pohutukawa Kowhai Rata Manuka Harakeke Tui Kea Huia Takahe Moana Maunga Aoraki Aotea Koru
    Toroa Southern Northern Coastal Harbour Highland Pacific Tasman Alpine Summit Ridgeline Riverbend Bluestone
    Redwood Silver Golden Copper Iron Granite Basalt Amber Crimson Indigo Emerald Sapphire Cedar Willow Juniper
    Birch Aspen Maple Acorn Lantern Beacon Anchor Compass Keystone Cornerstone Milestone Waypoint Meridian
    Equator Zenith Apex Vertex Orbit Comet Falcon Heron Kestrel Osprey Kingfisher Albatross Plover Wren Sparrow
    Magpie Fox Badger Otter Stag Marlin Kingi Parata Ngata O'Brien Fitzgerald Henderson Macpherson Patel Singh
    Chen Nguyen Tanaka Kowalski Moretti Fernandez Larsen Müller Whitcombe Pemberton Ashworth Blackwood Thornton
    Hargreaves Lockwood Stirling Fairfax Waitoa Karaka Tamaki Mapua
    """
)
COMPANY_SECOND = _words(
    """
    Foods Freight Logistics Timber Dairy Orchards Wines Brewing Bakery Coffee Fisheries Farms Nurseries Joinery
    Builders Construction Roofing Plumbing Electrical Engineering Fabrication Machinery Tools Motors Marine
    Aviation Travel Tours Hotels Catering Events Media Print Design Studio Architects Surveyors Planning Legal
    Accounting Advisory Consulting Recruitment Training Software Systems Networks Analytics Robotics Instruments
    Optics Medical Dental Pharmacy Health Fitness Outdoors Cycles Sports Apparel Textiles Furniture Interiors
    Ceramics Glass Packaging Recycling Energy Solar Water Irrigation Mining Quarries Chemicals Plastics Security
    Insurance Finance Property
    """
)
COMPANY_JOINT = (
    "",
    "",
    "",
    "& Sons",
    "Brothers",
    "International",
    "Services",
    "Partners",
    "Trading",
    "Collective",
    "Works",
)

FIRST_NAMES = _words(
    """
    Aroha Hana Mere Ngaire Kiri Marama Anahera Tane Wiremu Hemi Rangi Tama Nikau Charlotte Amelia Isla Olivia
    Sophie Grace Ruby Emily Lucy Chloe Zoë Hannah Jessica Rachel Sarah Emma Kate Helen Margaret Ruth Joan Oliver
    Jack Noah Leo William James Thomas George Henry Samuel Daniel Benjamin Matthew Andrew Peter Simon Paul Mark
    Stephen Graeme Ravi Arjun Priya Anjali Neha Wei Li Jun Mei Yuki Hiroshi Sakura Minh Linh Fatima Omar Layla
    Yusuf José María Lucía Mateo Søren Ingrid Lars Anna Piotr Agnieszka Giulia Luca Sina Tevita Malia Sione
    """
)
LAST_NAMES = _words(
    """
    Parata Ngata Kingi Tamihana Walker Williams Smith Brown Wilson Taylor Anderson Thompson Campbell Mitchell
    Stewart Robinson Clark Wright Scott Young King Green Baker Adams Harris Martin Evans Edwards Collins Cook
    Murphy O'Connor Kelly Byrne Ryan MacDonald MacLeod Fraser Sinclair Patel Singh Sharma Kumar Gupta Chen Wang
    Zhang Liu Nguyen Tran Le Tanaka Sato Kim Park Kowalski Nowak Rossi Moretti Fernandez García López Müller
    Schmidt Larsen Nielsen Fifita Taufa Vakalahi Leota Faleolo Hughes Foster Bennett Gray Shaw Palmer Webb Hunt
    Lloyd Ellis Fox Marsh Pope Hale Frost Day
    """
)
STREETS = _words(
    """
    Queen Victoria Albert Princes High Station Church Mill Bridge Harbour Quay Customs Symonds Ponsonby
    Karangahape Lambton Willis Cuba Manners Tory Colombo Moorhouse Riccarton George Elgin Beach Marine Ocean
    Hill Park Garden Market Chapel Castle Kings Garfield Lincoln Madison Cedar Pine Elm Maple
    """
)
STREET_KINDS = ("Street", "Road", "Avenue", "Terrace", "Lane", "Drive", "Place", "Parade")
DEAL_WORDS = (
    "rollout",
    "renewal",
    "expansion",
    "pilot",
    "refresh",
    "upgrade",
    "fit-out",
    "migration",
    "annual plan",
    "support plan",
    "new site",
    "second stage",
    "autumn order",
    "spring order",
    "warehouse project",
    "office project",
)
COST_CENTRES = ("Direct", "Partners", "Online")

FAMILIES = (
    ProductFamily("hardware", "Hardware", None, "HW", "200"),
    ProductFamily("scanners", "Scanners", "hardware", "SCN", "200"),
    ProductFamily("printers", "Printers", "hardware", "PRN", "200"),
    ProductFamily("services", "Services", None, "SV", "200"),
    ProductFamily("consulting", "Consulting", "services", "CON", "200"),
    ProductFamily("support", "Support", "services", "SUP", "260"),
    ProductFamily("training", "Training", "services", "TRN", "205"),
)
# family, number, name, description, price and cost in NZD
PRODUCTS = (
    ("scanners", "SCN-100", "Handheld scanner", "Cordless 2D barcode scanner with dock", "389.00", "212.40"),
    ("scanners", "SCN-200", "Rugged scanner", "Barcode scanner for cold stores, IP67", "742.50", "431.00"),
    ("scanners", "SCN-300", "Fixed-mount scanner", "Conveyor scanner with bracket", "1289.00", "803.15"),
    ("scanners", "SCN-910", "Scanner battery", "Spare battery, 3,400 mAh", "64.95", "27.80"),
    ("scanners", "SCN-920", "Charging cradle", "Four-slot charging cradle", "219.00", "118.60"),
    ("printers", "PRN-100", "Label printer", "Thermal label printer, 4 inch", "864.00", "522.75"),
    ("printers", "PRN-200", "Mobile printer", "Belt printer with battery", "598.00", "344.90"),
    ("printers", "PRN-900", "Label roll", "1,000 labels, 100 x 50 mm", "17.35", "6.42"),
    ("printers", "PRN-910", "Ribbon", "Resin ribbon, 300 m", "23.80", "9.15"),
    ("consulting", "CON-100", "Process workshop", "One day on site with a written result", "2150.00", "980.00"),
    ("consulting", "CON-200", "Configuration", "Set-up work, per hour", "195.00", "92.00"),
    ("consulting", "CON-300", "Data import", "Import of existing stock data", "1475.00", "610.00"),
    ("support", "SUP-100", "Support plan basic", "E-mail support, per month", "89.00", "31.00"),
    ("support", "SUP-200", "Support plan plus", "Phone and e-mail support, per month", "179.00", "66.00"),
    ("support", "SUP-300", "Standby weekend", "Engineer on standby for one weekend", "640.00", "395.00"),
    ("training", "TRN-100", "Operator training", "Half a day for up to eight people", "890.00", "320.00"),
    ("training", "TRN-200", "Administrator training", "Two days for up to four people", "2480.00", "960.00"),
    ("hardware", "HW-100", "Forklift terminal", "Vehicle-mount computer, 10 inch", "3495.00", "2280.00"),
    ("hardware", "HW-200", "Access point", "Warehouse wireless access point", "529.00", "301.70"),
    ("services", "SV-100", "Installation", "Installation on site, flat", "450.00", "210.00"),
)
WRITE_IN_LINES = (
    "Courier and insurance",
    "Custom mounting plate",
    "After-hours work",
    "Extended warranty, 3 years",
    "Old label stock, as agreed",
)
