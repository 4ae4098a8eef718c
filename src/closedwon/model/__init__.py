"""The canonical documents: immutable values between the two systems.

Reading order: money, problem, customer, product, opportunity, invoice, payment, checks.
"""
