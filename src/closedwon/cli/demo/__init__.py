"""`closedwon demo`: the main story, told with simulators of both systems, and the proof of it without words.

Reading order: command, stage, control, seller, payer, judge, report, proof, narrator, story.
"""

from closedwon.cli.demo.command import demo

__all__ = ["demo"]
