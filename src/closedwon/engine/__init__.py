"""Durable execution: lanes of runs, worked on in batches, with a ledger that makes every effect happen once.

Reading order: run, flow, retry, ledger, resolver, batch, intake, replay, schedule, runner, store.
"""
