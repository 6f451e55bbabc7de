"""Which model a feature should have, by the owner's own samples: the same ones to each, until a verdict is proven.

    comparison = await compare(settings, "ask", ["small", "large"], samples)
    comparison.verdict      ESCALATE | DOWNGRADE | KEEP | INCONCLUSIVE

verdict   what paired differences prove, however often they are looked at
judging   what a judge's word is worth: both orders, one length, people's labels
blind_page  the page on which they are picked
metrics   one model's answer to one sample, measured
emphasis  one posting that stresses other things, to see whether a verdict follows
journal   what was measured, on file: a run that breaks off is taken up
asking    several models behind one site
judge     a model's word on two answers, and what it is worth
replaying many recorded answers at once, on every processor
blind     two answers with no names, picked by hand, and what the picks prove
shadow    visitors' turns that another model answers too, unseen, and the verdict from them
running   one comparison, side by side, until it is decided
report    what is told of it: a sentence, sums, a document, a page
"""

from __future__ import annotations

from askfit.compare.journal import Journal
from askfit.compare.metrics import Outcome
from askfit.compare.running import Comparison, Pair, compare

__all__ = ["Comparison", "Journal", "Outcome", "Pair", "compare"]
