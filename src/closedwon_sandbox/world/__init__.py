"""The made-up trading world both simulators start from: `records`, `seeding`, and `names` with the word lists."""

from closedwon_sandbox.world.records import Company, Currency, Deal, DealLine, Family, Person, Product, World
from closedwon_sandbox.world.seeding import generate

__all__ = ["Company", "Currency", "Deal", "DealLine", "Family", "Person", "Product", "World", "generate"]
