"""Between Dataverse's rows and our documents, both ways. Pure: no network, no clock.

Reading order: rows, deal, writeback.
"""
